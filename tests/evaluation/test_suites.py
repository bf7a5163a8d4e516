"""A dataset is measured by what its records ask."""

import numpy as np
import pytest

from answerers import Oracle
from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.report import run_suites
from florence2.evaluation.suites import dataset_suites
from florence2.results import Boxes, Result, Text
from florence2.tasks import Task

SIZE = (40, 20)


def record(task: Task, result: Result) -> Record:
    return Record(np.zeros((20, 40, 3), np.uint8), task, "", None, result, "test")


def test_a_suite_for_each_task_takes_the_first_records() -> None:
    detection = record(Task.OD, Boxes([[1, 2, 30, 15]], ["cat"], image_size=SIZE))
    records = [*[detection] * 3, record(Task.CAPTION, Text("a cat", image_size=SIZE)), detection]
    report = run_suites(dataset_suites(records, 4), ("oracle", Oracle()), {}, 3)
    assert [(row.group, row.count) for row in report.rows] == [("od", 3), ("caption", 1)]
    assert report.rows[0].numbers["f1"].value == 1.0


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ConfigError, match="no records"):
        list(dataset_suites([], 4))
