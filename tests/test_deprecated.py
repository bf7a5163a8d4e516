"""Names of 0.4 that have moved still work, and say where they are now."""

import subprocess
import sys

import pytest

from florence2 import Text
from florence2.answers.compat import to_transformers_dict


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
