"""VQA and its kin (VQA v2, OK-VQA): a file of questions and one of what people answered.

    v2_OpenEnded_mscoco_train2014_questions.json    {"questions": [{"image_id", "question", ...}]}
    v2_mscoco_train2014_annotations.json            {"annotations": [{"question_id", "answers"}]}

Pictures are found by the number in their names. Each different answer is a record.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from florence2.data.columns import RowReader
from florence2.data.files import read_json
from florence2.data.parts import part_of_stem
from florence2.data.recognition import head_of
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_files import find_rows
from florence2.data.row_pictures import PicturePlaces
from florence2.errors import DataError
from florence2.tasks import Task

_ANSWERS = re.compile(r'"annotations"\s*:\s*\[[\s\S]*"answers"\s*:')


def read_vqa(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file of questions, or of the one that a folder holds."""
    file = find_rows(path, "vqa", split, report)
    answers = _by_question(_answers_of(file))
    root = path if path.is_dir() else file.parent
    reader = RowReader(PicturePlaces(file, root), report, tasks)
    for index, row in enumerate(_list(read_json(file), "questions", file)):
        where = f"{file.name}, questions[{index}]"
        if not isinstance(row, dict):
            report.add(Problem.ROW, where, "this is no JSON object")
            continue
        given = answers.get(str(row.get("question_id")))
        yield from reader.records({**row, "answers": given}, where)


def _answers_of(file: Path) -> Path:
    """Return the file of answers that lies beside one of questions, and is of its part."""
    part = part_of_stem(file.stem)
    found = [
        other
        for other in sorted(file.parent.glob("*.json"))
        if other != file
        and part_of_stem(other.stem) == part
        and other.is_file()
        and _ANSWERS.search(head_of(other))
    ]
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise DataError(
            f"file {str(file)!r} holds questions; put the one file of their answers"
            f" ('annotations') beside it, named for the same part (there: {names})"
        )
    return found[0]


def _by_question(file: Path) -> dict[str, Any]:
    rows = _list(read_json(file), "annotations", file)
    return {
        str(row.get("question_id")): row.get("answers", row.get("multiple_choice_answer"))
        for row in rows
        if isinstance(row, dict)
    }


def _list(data: Any, name: str, file: Path) -> list[Any]:
    rows = data.get(name) if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"file {str(file)!r} has no list {name!r}")
    return rows
