"""Results as people, notebooks, tables and other libraries see them."""

import io
import pickle
import sys
from collections.abc import Callable
from copy import copy, deepcopy
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from florence2.errors import ConfigError, DataError
from florence2.results import Boxes, Mixed, Points, Polygons, Quads, Result, Text

SIZE = (80, 60)
BOXES = Boxes([[1, 2, 30.4, 40], [5, 6, 7, 8]], ("cat", "dog"), (0.5, None), image_size=SIZE)
QUADS = Quads([[[1, 2], [11, 2], [11, 6], [1, 6]]], ("TOTAL",), image_size=SIZE)
TRIANGLE = np.array([[10, 10], [30, 10], [10, 30]])
POLYGONS = Polygons(((TRIANGLE, TRIANGLE + 25),), ("cat",), (0.25,), image_size=SIZE)
MIXED = Mixed(BOXES, POLYGONS, image_size=SIZE)
RESULTS = [
    pytest.param(Text("a cat", score=0.75, image_size=SIZE), id="text"),
    pytest.param(Text("", image_size=SIZE), id="no text"),
    pytest.param(BOXES, id="boxes"),
    pytest.param(Boxes(np.zeros((0, 4)), (), image_size=SIZE), id="nothing"),
    pytest.param(Points([[3, 4]], ("nose",), image_size=SIZE), id="points"),
    pytest.param(QUADS, id="quads"),
    pytest.param(POLYGONS, id="polygons"),
    pytest.param(MIXED, id="mixed"),
]


def test_a_result_is_told_in_a_line() -> None:
    assert repr(BOXES) == (
        "Boxes('cat' at 1,2 to 30,40 (0.50); 'dog' at 5,6 to 7,8; 80 x 60 pixels)"
    )
    assert repr(Text("a cat", score=0.75, image_size=SIZE)) == (
        "Text('a cat' (0.75); 80 x 60 pixels)"
    )
    many = Boxes(np.tile([[1, 2, 3, 4]], (1207, 1)), ("",) * 1207, image_size=SIZE)
    assert repr(many).endswith("; at 1,2 to 3,4; and 1,202 more; 80 x 60 pixels)")
    assert repr(Text("", image_size=SIZE)) == "Text(nothing; 80 x 60 pixels)"


def test_rows_have_the_same_columns_whatever_was_asked() -> None:
    box = {"x_min": 1.0, "y_min": 2.0, "x_max": 30.4, "y_max": 40.0}
    assert BOXES.to_rows()[0] == {"label": "cat", "score": 0.5, **box, "outline": None}
    assert QUADS.to_rows()[0]["outline"] == [QUADS.quads[0].tolist()]
    (outlined,) = POLYGONS.to_rows()
    assert (outlined["x_min"], outlined["x_max"]) == (10, 55)
    assert outlined["outline"] == [TRIANGLE.tolist(), (TRIANGLE + 25).tolist()]
    assert [row["label"] for row in MIXED.to_rows()] == ["cat", "dog", "cat"]
    columns = {tuple(row) for result in (BOXES, QUADS, MIXED) for row in result.to_rows()}
    (names,) = columns
    assert names == ("label", "score", "x_min", "y_min", "x_max", "y_max", "outline")


@pytest.mark.parametrize("result", RESULTS)
def test_a_notebook_shows_every_result(result: Result) -> None:
    html = result._repr_html_()
    assert html.count("<td>") == 3 * len(result.to_rows())
    assert result._repr_png_() is None and "<img" not in html
    drawn = Image.open(io.BytesIO(with_picture(result)._repr_png_() or b""))
    assert drawn.format == "PNG"
    assert "data:image/png;base64," in with_picture(result)._repr_html_()


def with_picture(result: Result) -> Result:
    from dataclasses import replace

    return replace(result, picture=Image.new("RGB", SIZE, "white"))


def test_what_is_long_is_cut_for_people() -> None:
    assert repr(Text("x" * 5000, image_size=SIZE)).endswith(
        "' and 4,800 more characters; 80 x 60 pixels)"
    )
    many = Boxes([[1, 2, 3, 4]] * 1000, ("x",) * 1000, image_size=SIZE)
    assert "and 800 more" in many._repr_html_() and many._repr_html_().count("<tr>") == 202


@pytest.mark.parametrize("copied", [copy, deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_is_equal_and_as_read_only_as_the_first(copied: Callable[[Any], Any]) -> None:
    boxes = copied(Boxes([[1, 2, 3, 4]], ("x",), image_size=SIZE, picture="a.png"))
    assert boxes.picture == "a.png" and boxes == Boxes([[1, 2, 3, 4]], ("x",), image_size=SIZE)
    outlines = copied(Polygons([[[(0, 0), (9, 0), (9, 9)]]], ("x",), image_size=SIZE))
    for array in (boxes.xyxy, outlines.polygons[0][0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_notebook_shows_a_table_where_the_picture_is_gone() -> None:
    gone = Boxes([[1, 2, 3, 4]], ("x",), image_size=SIZE, picture="gone.png")
    assert gone._repr_png_() is None and gone._repr_html_().startswith("<table>")


def test_names_in_html_are_text() -> None:
    html = Text("<b>a & b</b>", image_size=SIZE)._repr_html_()
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in html


def test_a_result_draws_itself_where_its_picture_is_known(monkeypatch) -> None:
    picture = Image.new("RGB", SIZE, "white")
    with pytest.raises(DataError, match=r"result.draw\('a.jpg'\)"):
        BOXES.draw()
    assert BOXES.draw(picture).tobytes() == with_picture(BOXES).draw().tobytes()
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image: shown.append(image.size))
    with_picture(BOXES).show()
    assert shown == [BOXES.draw(picture).size]


def test_the_picture_is_no_part_of_what_a_result_says() -> None:
    assert with_picture(BOXES) == BOXES
    assert "picture" not in with_picture(BOXES).to_dict()


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the library, whose OpenCV and ours cannot be installed side by side."""
    module = ModuleType("supervision")
    module.Detections = lambda **given: given  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", module)


def test_supervision_gets_class_ids_and_confidences(supervision: None) -> None:
    found = BOXES.to_supervision(["dog", "bird"])
    assert found["class_id"].tolist() == [-1, 0]
    assert found["confidence"].tolist() == [0.5, 1.0]
    assert found["xyxy"].tolist() == BOXES.xyxy.tolist()
    assert found["data"]["class_name"].tolist() == ["cat", "dog"]
    assert QUADS.to_supervision([])["data"]["xyxyxyxy"].shape == (1, 4, 2)
    assert POLYGONS.to_supervision(["cat"])["mask"].sum(axis=(1, 2)).tolist() == [2 * 190]
    everything = MIXED.to_supervision(["cat", "dog"])
    assert everything["class_id"].tolist() == [0, 1, 0]
    assert everything["mask"].shape == (3, 60, 80)
    nothing = Boxes(np.zeros((0, 4)), (), image_size=SIZE).to_supervision(["cat"])
    assert (nothing["xyxy"].shape, nothing["class_id"].shape) == ((0, 4), (0,))


def test_without_supervision_the_install_line_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigError, match="pip install supervision"):
        BOXES.to_supervision(["cat"])
