"""Other readers of text beside the model, asked the same questions about the same pictures.

    python benchmarks/peers.py --kit KIT.zip --manuals PDFS/ --answers peers.jsonl

takes the arguments of `florence2-lab eval`.

- Tesseract through its command line (Debian packages `tesseract-ocr`, `tesseract-ocr-eng`).
- rapidocr, the PP-OCR models on onnxruntime (`pip install rapidocr onnxruntime`); the models
  are inside the package.

Each is used as it reads these pictures best: a tight line as one line, without looking for text
first and without a border added (with one, both made more errors on 40 lines); a cutting of a
page as one block (modes 3 and 11 of Tesseract found fewer words on 40 pages and 40 manuals).
What they answer does not change while a model is trained: `Remembering` asks them once.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from florence2.cli.eval import measure
from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.predict import MAX_ANSWER_TOKENS, Answerer
from florence2.geometry import box_to_quad
from florence2.results import Quads, Result, Text, from_dict
from florence2.tasks import Task
from florence2_lab.cli import eval

TASKS = (Task.OCR, Task.OCR_WITH_REGION)
ONE_LINE, ONE_BLOCK = "7", "6"  # page segmentation modes of Tesseract
WORD_LEVEL, LINE_LEVEL = "5", "4"
SLICE = 20  # pictures


class Reader(Answerer, Protocol):
    """An answerer of the tasks that read, with a name."""

    name: str


class Tesseract:
    """Reads with `tesseract -l eng`; its words are placed as it says, as high as their lines."""

    name = "Tesseract"

    def __init__(self) -> None:
        if which("tesseract") is None:
            raise ConfigError("'tesseract' is not installed; apt-get install tesseract-ocr")

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Read pictures; all must be of one task."""
        task = _only_task(records)
        with TemporaryDirectory() as folder:
            files = [Path(folder, f"{number}.png") for number in range(len(records))]
            for file, record in zip(files, records, strict=True):
                record.picture().save(file)
            names = Path(folder, "files.txt")
            names.write_text("\n".join(map(str, files)))
            rows = self._read(names, ONE_LINE if task is Task.OCR else ONE_BLOCK)
        by_page: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            by_page.setdefault(row["page_num"], []).append(row)
        return [
            _tesseract_result(record, by_page.get(str(number), []))
            for number, record in enumerate(records, start=1)
        ]

    @staticmethod
    def _read(names: Path, mode: str) -> list[dict[str, str]]:
        done = subprocess.run(
            ["tesseract", str(names), "stdout", "-l", "eng", "--psm", mode, "tsv"],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        if done.returncode:
            raise ConfigError(f"tesseract failed: {done.stderr.strip()[-200:]}")
        return list(
            csv.DictReader(done.stdout.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        )


class RapidOcr:
    """Reads with rapidocr as it comes; it answers lines."""

    name = "rapidocr"

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError:
            raise ConfigError(
                "rapidocr is not installed; pip install rapidocr onnxruntime"
            ) from None
        threads = "EngineConfig.onnxruntime.intra_op_num_threads"
        self._engine = RapidOCR(
            params={"Global.log_level": "error", threads: torch.get_num_threads()}
        )

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Read pictures; all must be of one task."""
        task = _only_task(records)
        return [
            self._line(record) if task is Task.OCR else self._lines(record) for record in records
        ]

    def _line(self, record: Record) -> Text:
        found: Any = self._engine(_bgr(record.picture()), use_det=False, use_cls=False)
        return Text(" ".join(found.txts or ()), image_size=_size(record))

    def _lines(self, record: Record) -> Quads:
        found: Any = self._engine(_bgr(record.picture()), use_det=True, use_cls=False)
        quads = np.array([] if found.boxes is None else found.boxes, dtype=np.float64)
        texts = tuple(found.txts or ())
        return Quads(quads.reshape(-1, 4, 2), texts, image_size=_size(record))


class Remembering:
    """Another reader, and a file of JSON lines that keeps its answers.

    Pictures whose answer is there are not read again; answers are written every `SLICE`
    pictures, so a run that was stopped goes on.
    """

    def __init__(self, reader: Reader, path: Path):
        self.reader, self.path = reader, path
        self._known: dict[str, Result] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            kept = json.loads(line)
            self._known[kept["asked"]] = from_dict(kept["result"])

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Answer as the reader would."""
        asked = [self._question(record) for record in records]
        new = [row for row, question in enumerate(asked) if question not in self._known]
        for start in range(0, len(new), SLICE):
            rows = new[start : start + SLICE]
            answers = self.reader.answer([records[row] for row in rows])
            with self.path.open("a", encoding="utf-8") as file:
                for row, result in zip(rows, answers, strict=True):
                    self._known[asked[row]] = result
                    kept = {"asked": asked[row], "result": result.to_dict()}
                    file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        return [self._known[question] for question in asked]

    def _question(self, record: Record) -> str:
        picture = record.picture()
        pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        return f"{self.reader.name} {record.task.token} {picture.size} {pixels}"


def _only_task(records: Sequence[Record]) -> Task:
    """Return the task of all records, if these readers can do it."""
    tasks = {record.task for record in records}
    if len(tasks) != 1 or not tasks <= set(TASKS):
        raise ConfigError(
            f"readers of text answer one of {', '.join(task.token for task in TASKS)}; "
            f"got {', '.join(sorted(task.token for task in tasks))}"
        )
    return tasks.pop()


def _tesseract_result(record: Record, rows: Sequence[dict[str, str]]) -> Result:
    words = [row for row in rows if row["level"] == WORD_LEVEL and (row["text"] or "").strip()]
    texts = tuple(row["text"].strip() for row in words)
    if record.task is Task.OCR:
        return Text(" ".join(texts), image_size=_size(record))
    lines = {_line_key(row): row for row in rows if row["level"] == LINE_LEVEL}
    quads = np.array([_word_quad(row, lines[_line_key(row)]) for row in words])
    return Quads(quads.reshape(-1, 4, 2), texts, image_size=_size(record))


def _line_key(row: dict[str, str]) -> tuple[str, ...]:
    return row["block_num"], row["par_num"], row["line_num"]


def _word_quad(word: dict[str, str], line: dict[str, str]) -> NDArray[np.float64]:
    left, top = float(word["left"]), float(line["top"])
    return box_to_quad((left, top, left + float(word["width"]), top + float(line["height"])))


def _size(record: Record) -> tuple[int, int]:
    return record.result.image_size


def _bgr(picture: Image.Image) -> NDArray[Any]:
    return np.asarray(picture)[..., ::-1]


def load_readers(kept: Path | None) -> dict[str, Answerer]:
    """Load the readers that are installed, with a file for their answers; say which are not."""
    readers: dict[str, Answerer] = {}
    for reader in (Tesseract, RapidOcr):
        try:
            asked = reader()
            readers[reader.name] = Remembering(asked, kept) if kept else asked
        except ConfigError as error:
            print(f"left out: {error}", file=sys.stderr)
    return readers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    eval.add_arguments(parser)
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="keeps what the others answer: asked once"
    )
    arguments = parser.parse_args()
    suites = eval.choose_suites(arguments)
    measure(arguments, suites, load_readers(arguments.answers), MAX_ANSWER_TOKENS)


if __name__ == "__main__":
    main()
