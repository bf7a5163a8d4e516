"""Names of 0.4 that have moved still work, and say where they are now."""

import subprocess
import sys
from dataclasses import replace

import pytest

from florence2 import Boxes, Mixed, Polygons, Quads, Text
from florence2.answers.compat import to_transformers_dict
from florence2.pipelines.tiling.grid import Tiles
from florence2.results import Absent
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage


@pytest.mark.process
@pytest.mark.parametrize(
    "code",
    [
        "from florence2.formats import open_dataset",
        "from florence2.formats.coco import write_coco",
        "from florence2.formats import jsonl; jsonl.write_jsonl",
    ],
)
def test_formats_are_found_where_they_were(code: str) -> None:
    ignored = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(ignored, capture_output=True, text=True).stderr == ""
    refused = [sys.executable, "-W", "error", "-c", code]
    assert "use florence2.data" in subprocess.run(refused, capture_output=True, text=True).stderr


def test_results_still_write_the_dictionaries_of_others() -> None:
    result = Text("a car", image_size=(9, 9))
    with pytest.warns(DeprecationWarning, match="use answers.compat.to_transformers_dict"):
        told = result.to_official("caption", "remote")
    assert told == to_transformers_dict(result, "caption", "microsoft")


def test_boxes_are_still_split_by_the_name_of_before() -> None:
    boxes = Boxes([[0, 0, 1, 1]] * 2, ["it", "car"], image_size=(9, 9))
    with pytest.warns(DeprecationWarning, match="use Boxes.split_by_label"):
        assert boxes.without_labels(["it"]) == boxes.split_by_label(["it"])


def test_results_still_take_a_threshold_and_absent_phrases_by_the_names_of_before() -> None:
    boxes = Boxes([[0, 0, 1, 1]] * 2, ["it", "car"], [0.2, 0.8], image_size=(9, 9))
    polygons = Polygons([[[[0, 0], [9, 0], [9, 9]]]], ["car"], [0.3], image_size=(9, 9))
    quads = Quads([[[0, 0], [9, 0], [9, 9], [0, 9]]], ["a"], [0.1], image_size=(9, 9))
    mixed = Mixed(boxes, polygons, image_size=(9, 9))
    for result in (boxes, polygons, quads, mixed):
        name = type(result).__name__
        with pytest.warns(DeprecationWarning, match=f"use {name}.with_min_score"):
            assert result.above(0.5) == result.with_min_score(0.5) != result
    absent = [Absent("car", 0.1)]
    for found in (boxes, mixed):
        with pytest.warns(DeprecationWarning, match="drop_absent"):
            assert found.without(absent) == found.drop_absent(absent)


def test_tiles_still_look_twice() -> None:
    for wanted in (True, False):
        with pytest.warns(DeprecationWarning, match=r"use Tiles\(verify=\)") as warned:
            tiles = Tiles(overlap=0.3, look_twice=wanted)
        assert tiles == Tiles(overlap=0.3, verify=wanted)
        assert warned[0].filename == __file__
    assert replace(tiles, overlap=0.4) == Tiles(overlap=0.4, verify=False)


def test_a_recipe_still_takes_the_names_of_before() -> None:
    given = {"stages": (Stage("small", 1, 1, 32, 1e-3),), "examples": list, "loss": list}
    with pytest.warns(DeprecationWarning) as warned:
        recipe = replace(Recipe(**given, accumulate=2, recompute=True), seed=1)
    assert (recipe.gradient_accumulation, recipe.gradient_checkpointing) == (2, True)
    assert ["gradient_" in str(each.message) for each in warned] == [True, True]
    assert {each.filename for each in warned} == {__file__}
