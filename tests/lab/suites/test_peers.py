"""Other readers are asked once."""

import runpy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from florence2.data.records import Record
from florence2.results import Result
from florence2.tasks import Task
from florence2_lab.suites.worlds_suites import words_of_page
from florence2_lab.worlds.describe import line_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.lines import line
from florence2_lab.worlds.pages import page

# A script, as are all benchmarks.
PEERS = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "peers.py"))
SLICE, Remembering = PEERS["SLICE"], PEERS["Remembering"]


class Counting:
    """Knows every answer, and counts what it is asked; gives up after so many slices."""

    name = "counting"

    def __init__(self, slices: int = 100):
        self.asked, self.slices = 0, slices

    def answer(self, records: Sequence[Record]) -> list[Result]:
        if self.slices == 0:
            raise KeyboardInterrupt
        self.slices -= 1
        self.asked += len(records)
        return [record.result for record in records]


@pytest.fixture(scope="module")
def lines(kit: Kit) -> list[Record]:
    return [
        record
        for index in range(SLICE + 5)
        for record in line_records(line(kit, 3, index), (Task.OCR,))
    ]


def test_answers_are_kept_and_not_asked_again(
    kit: Kit, lines: list[Record], tmp_path: Path
) -> None:
    words = [words_of_page(page(kit, 3, index, side=256)) for index in range(2)]
    first, second = Counting(), Counting()
    for reader in (first, second):
        remembering = Remembering(reader, tmp_path / "kept.jsonl")
        for records in (lines, words):
            found = remembering.answer(records)
            assert [each.to_dict() for each in found] == [
                record.result.to_dict() for record in records
            ]
    assert first.asked == len(lines) + len(words)
    assert second.asked == 0


def test_what_was_read_before_an_end_is_kept(lines: list[Record], tmp_path: Path) -> None:
    broken, next_one = Counting(slices=1), Counting()
    with pytest.raises(KeyboardInterrupt):
        Remembering(broken, tmp_path / "kept.jsonl").answer(lines)
    Remembering(next_one, tmp_path / "kept.jsonl").answer(lines)
    assert (broken.asked, next_one.asked) == (SLICE, len(lines) - SLICE)


def test_another_task_is_another_question(lines: list[Record], tmp_path: Path) -> None:
    reader = Counting()
    remembering = Remembering(reader, tmp_path / "kept.jsonl")
    remembering.answer(lines[:1])
    remembering.answer([replace(lines[0], task=Task.CAPTION)])
    assert reader.asked == 2
