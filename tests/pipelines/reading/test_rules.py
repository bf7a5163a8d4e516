"""Rules drawn on paper are found where they are, and nothing else is."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from florence2.pipelines.reading.rules import find_rules

Grey = NDArray[np.uint8]


def paper(height: int = 400, width: int = 600, value: int = 255) -> Grey:
    return np.full((height, width), value, np.uint8)


def drawn(name: str) -> Grey:
    page = paper()
    line = page[200:202, 100:500]
    if name == "light on dark":
        page[:] = 30
        line[:] = 200
    elif name == "pale":
        line[:] = 225
    elif name == "noisy":
        line[:] = 40
        line[:, ::37] = 255
        rng = np.random.default_rng(0)
        page[:] = (page + rng.normal(0, 5, page.shape)).clip(0, 255)
    elif name == "dotted":
        line[:, np.arange(400) % 4 < 2] = 0
    elif name == "dashed":
        line[:, np.arange(400) % 12 < 7] = 0
    elif name == "double":
        page[197:199, 100:500] = 0
        line[:] = 0
    elif name == "thick":
        page[198:202, 100:500] = 0  # thicker strokes of so small a page are areas with two edges
    elif name == "edge of a shade":
        page[200:, :] = 235
    else:
        line[:] = 0
    return page


KINDS = ("solid", "light on dark", "pale", "noisy", "dotted", "dashed", "double", "thick")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("is_upright", [False, True])
def test_a_rule_is_found_where_it_is(name: str, is_upright: bool) -> None:
    page = drawn(name)
    rules = find_rules(np.ascontiguousarray(page.T) if is_upright else page)
    assert rules.shape == (1, 4)
    box = rules[0, [1, 0, 3, 2]] if is_upright else rules[0]
    assert box == pytest.approx([100, 200, 500, 202], abs=4)


def test_the_edge_of_a_shade_is_a_rule() -> None:
    rules = find_rules(drawn("edge of a shade"))
    assert rules == pytest.approx(np.array([[0.0, 200.0, 600.0, 201.0]]), abs=2)


@pytest.mark.parametrize("degrees", [-2.0, -0.5, 1.0, 2.0])
def test_a_turned_rule_is_one_box_as_high_as_it_climbs(degrees: float) -> None:
    page = Image.fromarray(drawn("solid")).rotate(
        degrees, resample=Image.Resampling.BICUBIC, fillcolor=255
    )
    (rule,) = find_rules(np.asarray(page))
    assert rule[2] - rule[0] == pytest.approx(400, abs=6)
    assert rule[3] - rule[1] == pytest.approx(400 * np.tan(np.radians(abs(degrees))), abs=4)


def test_short_rules_count_between_others() -> None:
    page = paper()
    page[100, 100:300] = page[130, 100:300] = 0
    page[100:130, 200] = 0
    page[300:330, 200] = 0  # alone, it may be a letter
    assert [tuple(rule) for rule in find_rules(page)] == [
        (100, 100, 300, 101),
        (100, 130, 300, 131),
        (200, 101, 201, 130),
    ]


def test_letters_are_no_rules() -> None:
    page = Image.new("L", (900, 700), 255)
    draw = ImageDraw.Draw(page)
    for number, size in enumerate((12, 14, 16, 20, 24, 30)):
        font = ImageFont.load_default(size)
        draw.text((20, 20 + 100 * number), "Illumination of all EFT hills 1,111", 0, font)
        draw.text((20, 55 + 100 * number), "the minimum number is 315.37 mmm", 0, font)
    assert len(find_rules(np.asarray(page))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (30, 30)])
def test_small_and_empty_pictures_have_no_rules(shape: tuple[int, int]) -> None:
    assert find_rules(np.full(shape, 255, np.uint8)).shape == (0, 4)


def test_noise_has_no_rules() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500), dtype=np.uint8)
    assert len(find_rules(noise)) == 0
