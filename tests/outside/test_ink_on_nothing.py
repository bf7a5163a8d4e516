"""White ink on a transparent ground, as logos and subtitles have it, is not lost on white."""

import logging
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from florence2.processing.images import open_image


def written(ink: str, size: tuple[int, int] = (90, 40), mode: str = "RGBA") -> Image.Image:
    """A word in one colour on nothing."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).text((10, 8), "Non stop", fill=ink)
    return image.convert(mode)


def ground(image: Image.Image) -> str:
    corner = open_image(image).getpixel((0, 0))
    return {(255, 255, 255): "white", (0, 0, 0): "black"}[corner]  # type: ignore[index]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("ink", ["white", "#f4f4f4", "#d8d8d8"])
def test_light_ink_is_laid_on_black_and_told(
    ink: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = written(ink, mode=mode)
    with caplog.at_level(logging.WARNING):
        assert ground(image) == "black"
    assert np.ptp(np.asarray(open_image(image))) > 200


@pytest.mark.parametrize("ink", ["black", "#404040", "#808080", "red", "navy", "orange", "yellow"])
def test_other_ink_lies_on_white_as_ever(ink: str, caplog: pytest.LogCaptureFixture) -> None:
    assert ground(written(ink)) == "white"
    assert not caplog.records


def test_it_is_told_once_which_picture_was_laid_on_black(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    path = tmp_path / "logo.png"
    written("white").save(path)
    for _ in range(3):
        open_image(path)
    (record,) = caplog.records
    assert "logo.png" in record.message and "black" in record.message


def test_white_with_a_dark_outline_stays_on_white() -> None:
    image = Image.new("RGBA", (90, 40), (0, 0, 0, 0))
    ImageDraw.Draw(image).text(
        (10, 8), "Non stop", fill="white", stroke_width=1, stroke_fill="black"
    )
    assert ground(image) == "white"


def test_a_light_page_with_dark_words_and_a_clear_margin_stays_on_white() -> None:
    """What macOS saves of a window."""
    image = Image.new("RGBA", (200, 150), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 179, 129), fill=(250, 250, 250, 255))
    for row in range(28, 120, 12):
        draw.text((26, row), "Words of a page, dark", fill="black")
    assert ground(image) == "white"


def test_a_colour_and_white_show_both_on_black() -> None:
    image = written("white", (90, 60))
    ImageDraw.Draw(image).text((10, 36), "x", fill="blue")
    assert ground(image) == "black"


@pytest.mark.parametrize("alpha", [0, 255])
def test_nothing_and_opaque_pictures_lie_on_white(alpha: int) -> None:
    image = Image.new("RGBA", (40, 40), (255, 255, 255, alpha))
    assert ground(image) == "white"


def test_an_opaque_picture_keeps_its_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    noise[..., 3] = 255
    assert np.array_equal(np.asarray(open_image(noise)), noise[..., :3])


def test_palettes_with_a_transparent_entry_have_ink_too() -> None:
    palette = Image.new("P", (60, 40), 1)
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.paste(0, (20, 10, 40, 30))
    buffer = BytesIO()
    palette.save(buffer, "PNG", transparency=1)
    assert open_image(buffer.getvalue()).getpixel((0, 0)) == (0, 0, 0)
