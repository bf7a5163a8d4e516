"""None, NaN and bytes among class names, as tables and databases give them."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2 import Boxes, DataError, Florence2, TaskError, Text
from florence2.data import open_dataset
from florence2.results import from_dict
from florence2.tasks import Task, join_classes

PICTURE = Image.new("RGB", (40, 40), "navy")
BOX = np.array([[1.0, 2.0, 30.0, 40.0]])
NO_NAMES = [None, math.nan, b"car", 5, ["car"], {"name": "car"}]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Florence2:
    return Florence2.load(str(tiny_folder), device="cpu")


ASK: dict[str, Callable[[Florence2, object], object]] = {
    "detect": lambda model, names: model.detect(PICTURE, names),  # type: ignore[arg-type]
    "detect_classes": lambda model, names: model.detect_classes(PICTURE, names),  # type: ignore[arg-type]
    "presence": lambda model, names: model.presence(PICTURE, names),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("method", ASK)
@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_is_no_name_is_named(model: Florence2, method: str, name: object) -> None:
    with pytest.raises(TaskError, match="give texts alone") as caught:
        ASK[method](model, ["car", name])
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("method", ASK)
@pytest.mark.parametrize("names", [b"car", 5])
def test_what_is_no_list_is_named(model: Florence2, method: str, names: object) -> None:
    with pytest.raises(TaskError, match="are a list of names"):
        ASK[method](model, names)


def test_names_from_numpy_are_names() -> None:
    assert join_classes(np.array(["car", "bus"])) == "car<and>bus"


@pytest.mark.parametrize("label", [None, b"car", ["car"]], ids=repr)
def test_labels_that_are_no_texts_are_refused_and_not_spelled(label: object) -> None:
    """They were trained as the words None and b'car'."""
    with pytest.raises(DataError, match="give a text for each object"):
        Boxes(BOX, (label,), image_size=(100, 100))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is no text"):
        Text(label, image_size=(100, 100))  # type: ignore[arg-type]
    stored = Boxes(BOX, ("car",), image_size=(100, 100)).to_dict() | {"labels": [label]}
    with pytest.raises(DataError, match="give a text for each object"):
        from_dict(stored)


@pytest.mark.parametrize("labels", [None, b"c", 5], ids=repr)
def test_labels_that_are_no_list_are_refused(labels: object) -> None:
    with pytest.raises(DataError, match="give a list"):
        Boxes(BOX, labels, image_size=(100, 100))  # type: ignore[arg-type]


def test_numbers_are_names_of_classes() -> None:
    assert Boxes(BOX, (7,), image_size=(100, 100)).labels == ("7",)  # type: ignore[arg-type]


def test_a_class_without_a_name_is_lost_and_counted(picture: Path, tmp_path: Path) -> None:
    for number in range(3):
        Image.open(picture).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"{number} 0.5 0.5 0.25 0.25\n")
    (tmp_path / "data.yaml").write_text("train: .\nnames: [car, ~, !!binary 'Y2Fy']\n")
    dataset = open_dataset(tmp_path)
    labels = [record.result.labels for record in dataset if record.task is Task.OD]
    assert ("car",) in labels and not {("None",), ("b'car'",)} & {*labels}
    assert "class 1 has no name" in str(dataset.report)
