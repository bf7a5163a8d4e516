"""Names of 0.4 that have moved still work, and say where they are now."""

import subprocess
import sys
from dataclasses import replace

import pytest

from florence2 import Text
from florence2.answers.compat import to_transformers_dict
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


def test_a_recipe_still_takes_the_names_of_before() -> None:
    given = {"stages": (Stage("small", 1, 1, 32, 1e-3),), "examples": list, "loss": list}
    with pytest.warns(DeprecationWarning) as warned:
        recipe = replace(Recipe(**given, accumulate=2, recompute=True), seed=1)
    assert (recipe.gradient_accumulation, recipe.gradient_checkpointing) == (2, True)
    assert ["gradient_" in str(each.message) for each in warned] == [True, True]
    assert {each.filename for each in warned} == {__file__}
