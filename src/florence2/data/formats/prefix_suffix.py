"""The rows that other kits fine-tune Florence-2 with: JSON lines, or one list of JSON.

    {"image": "1.jpg", "prefix": "<OD>", "suffix": "cat<loc_1><loc_2><loc_3><loc_4>"}

`florence2.data.questions` says what becomes of a prefix and its suffix.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from florence2.answers import format_answer
from florence2.data.files import field_of, write_json_lines
from florence2.data.image_files import PictureFolder
from florence2.data.objects import refuse_unplaced, unplaced_words
from florence2.data.questions import answer_text, question_records
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_files import find_rows, read_rows
from florence2.data.row_pictures import PicturePlaces, RowPicture
from florence2.errors import Florence2Error
from florence2.locations import encode_boxes, location_tokens
from florence2.tasks import Task


def read_prefix_suffix(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file, or of those `tasks` only."""
    file = find_rows(path, "prefix_suffix", split, report)
    places = PicturePlaces(file, path if path.is_dir() else file.parent)
    for where, row in read_rows(file, report):
        picture = RowPicture(row.get("image", row.get("images")), places, where)
        try:
            prefix = field_of(row, "prefix")
            suffix = answer_text(row.get("suffix"), "suffix", report, where)
        except Florence2Error as error:
            picture.tell(Problem.ROW, error, report)
            continue
        yield from question_records(picture, prefix, suffix, tasks, report)


def write_prefix_suffix(records: Iterable[Record], path: Path) -> None:
    """Write records one by one; coordinates become bins.

    Pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    """
    pictures = PictureFolder.beside(path)
    rows = (
        {
            "image": pictures.name_of(record),
            "prefix": _prefix(record),
            "suffix": format_answer(record.result, record.task),
        }
        for record in records
    )
    write_json_lines(rows, path)


def _prefix(record: Record) -> str:
    refuse_unplaced(record, "a prefix and its suffix", unplaced_words(record))
    if record.prompt is not None:
        return record.prompt
    assert record.task is not None, "a record has one of the two"
    if record.task.needs_region:
        bins = encode_boxes(record.region or (), record.result.image_size)
        return record.task.token + location_tokens(bins)
    return record.task.token + record.text_input
