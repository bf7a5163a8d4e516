"""A dataset is measured by what its records ask."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from answerers import Oracle
from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.report import run_suites
from florence2.evaluation.suites import dataset_suites, draw_pictures
from florence2.results import Boxes, Result, Text
from florence2.tasks import Task

SIZE = (40, 20)


RANDOM = np.random.default_rng(0)


def record(task: Task, result: Result) -> Record:
    pixels = RANDOM.integers(0, 256, (20, 40, 3), np.uint8)
    return Record(pixels, task, "", None, result, "test")


def test_a_suite_for_each_task() -> None:
    boxes = Boxes([[1, 2, 30, 15]], ["cat"], image_size=SIZE)
    records = [record(Task.OD, boxes) for _ in range(4)]
    records.insert(2, record(Task.CAPTION, Text("a cat", image_size=SIZE)))
    report = run_suites(dataset_suites(records, 3), ("oracle", Oracle()), {}, 3)
    assert [(row.group, row.material, row.count) for row in report.rows] == [
        ("od", "own data, 3 of 4 pictures", 3),
        ("caption", "own data", 1),
    ]
    assert report.rows[0].numbers["f1"].value == 1.0


def test_pictures_are_drawn_with_all_their_records_not_taken_from_the_front() -> None:
    """500 of three classes of 300, one after another, held none of the third."""
    records = [
        Record(Path(f"{name}{number}.png"), Task.CAPTION, "", None, Text(name, image_size=SIZE), "")
        for name in "abc"
        for number in range(300)
        for _ in range(2)
    ]
    drawn, total = draw_pictures(records, 500)
    assert (len(drawn), total) == (1000, 900)
    assert len({each.image for each in drawn}) == 500
    shares = Counter(each.result.text for each in drawn)
    assert min(shares.values()) > 280
    assert drawn == draw_pictures(records, 500)[0]
    assert [each for each in records if each in drawn] == drawn  # in their order


def test_a_protocol_without_detection_is_refused() -> None:
    records = [record(Task.CAPTION, Text("a cat", image_size=SIZE))]
    with pytest.raises(ConfigError, match=r"'voc' is one of detection .* it asks for caption, so"):
        list(dataset_suites(records, 4, "voc"))


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ConfigError, match="no records"):
        list(dataset_suites([], 4))
