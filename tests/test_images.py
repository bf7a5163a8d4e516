"""Reading pictures of every kind, refusing what cannot be answered, and the model's array."""

import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from florence2.errors import ImageError
from florence2.processing import images
from florence2.processing.images import open_image, preprocess

# An asymmetric picture: every turn and flip of it differs.
CORNERS = np.zeros((16, 24, 3), dtype=np.uint8)
CORNERS[:8, :12] = (200, 30, 30)
CORNERS[:8, 12:] = (30, 200, 30)
CORNERS[8:, :12] = (30, 30, 200)
GREY = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)


def encoded(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def corners() -> Image.Image:
    return Image.fromarray(CORNERS)


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> np.ndarray[Any, Any]:
    assert image.mode == "RGB"
    return np.asarray(image)


# What may be passed.


def test_path_bytes_image_and_array_give_the_same_picture(tmp_path: Path) -> None:
    data = encoded(corners())
    path = tmp_path / "corners.png"
    path.write_bytes(data)
    sources = (path, str(path), data, bytearray(data), memoryview(data), corners(), CORNERS)
    for source in sources:
        assert np.array_equal(pixels(open_image(source)), CORNERS)


def test_the_content_decides_and_not_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(corners()))
    assert np.array_equal(pixels(open_image(path)), CORNERS)


@pytest.mark.parametrize("fmt", ["PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000"])
def test_formats(fmt: str) -> None:
    options = {"lossless": True} if fmt == "WEBP" else {}
    assert np.array_equal(pixels(open_image(encoded(corners(), fmt, **options))), CORNERS)


def test_jpeg_is_close() -> None:
    read = pixels(open_image(encoded(corners(), "JPEG", quality=95, subsampling=0)))
    assert np.abs(read.astype(int) - CORNERS).max() < 12


def test_an_rgb_image_is_not_copied() -> None:
    image = corners()
    assert open_image(image) is image


def test_the_array_may_change_afterwards() -> None:
    array = GREY.copy()
    image = open_image(array)
    array[:] = 0
    assert np.array_equal(pixels(image)[:, :, 0], GREY)


def test_views_of_arrays() -> None:
    assert np.array_equal(pixels(open_image(CORNERS[:, ::-1, ::-1])), CORNERS[:, ::-1, ::-1])


@given(st.sampled_from([(9, 17), (9, 17, 3), (9, 17, 4)]), st.integers(0, 2**32 - 1))
def test_opening_twice_changes_nothing(shape: tuple[int, ...], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    once = open_image(array)
    assert np.array_equal(pixels(open_image(once)), pixels(once))


# Orientation.


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int, fmt: str) -> None:
    # How the camera held the picture, by its own definition: where row 0 and column 0 go.
    stored = {
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.transpose(1, 0, 2),
        6: CORNERS.transpose(1, 0, 2)[::-1],
        7: CORNERS.transpose(1, 0, 2)[::-1, ::-1],
        8: CORNERS.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    data = encoded(
        Image.fromarray(np.ascontiguousarray(stored)), fmt, exif=exif, **options.get(fmt, {})
    )
    opened = open_image(data)
    tolerance = 12 if fmt == "JPEG" else 0
    assert np.abs(pixels(opened).astype(int) - CORNERS).max() <= tolerance
    assert open_image(opened) is opened, "turned only once"


@pytest.mark.parametrize("value", [0, 9, 60000])
def test_an_unknown_orientation_is_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(pixels(open_image(encoded(corners(), exif=exif))), CORNERS)


def test_damaged_exif_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    image = corners()
    image.info["exif"] = b"Exif\x00\x00nonsense"
    with caplog.at_level(logging.WARNING, "florence2.processing.images"):
        assert np.array_equal(pixels(open_image(image)), CORNERS)
    assert "EXIF" in caplog.text


# Modes.


def test_grey_has_three_equal_channels() -> None:
    read = pixels(open_image(GREY))
    assert all(np.array_equal(read[:, :, channel], GREY) for channel in range(3))


def test_black_and_white() -> None:
    read = pixels(open_image(encoded(Image.fromarray(GREY > 100))))
    assert np.array_equal(read[:, :, 1], np.where(GREY > 100, 255, 0))


def test_transparent_pixels_lie_on_white() -> None:
    rgba = np.dstack([CORNERS, np.where(GREY % 3 == 0, 0, 255).astype(np.uint8)])
    expected = np.where((GREY % 3 == 0)[:, :, None], 255, CORNERS)
    assert np.array_equal(pixels(open_image(rgba)), expected)
    assert np.array_equal(pixels(open_image(encoded(Image.fromarray(rgba)))), expected)


def test_half_transparent_pixels_are_blended() -> None:
    rgba = np.zeros((8, 8, 4), dtype=np.uint8)
    rgba[:, :, 3] = 102  # 40% black on white
    assert np.array_equal(np.unique(pixels(open_image(rgba))), [153])


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBa"])
def test_other_modes_with_alpha(mode: str) -> None:
    rgba = np.full((8, 8, 4), 255, dtype=np.uint8)
    rgba[:4] = 0
    steps = {"PA": ("P", "PA"), "LA": ("LA",), "RGBa": ("RGBa",)}[mode]
    image = Image.fromarray(rgba)
    for step in steps:
        image = image.convert(step)
    assert image.mode == mode
    assert pixels(open_image(image))[4:].min() == 255


def test_palette() -> None:
    palette = corners().quantize(4)
    assert palette.mode == "P"
    assert np.array_equal(pixels(open_image(encoded(palette))), CORNERS)


@pytest.mark.parametrize("fmt", ["PNG", "GIF"])
def test_palette_with_a_transparent_entry(fmt: str) -> None:
    palette = corners().quantize(4)
    entry = palette.getpixel((0, 0))
    read = pixels(open_image(encoded(palette, fmt, transparency=entry)))
    assert np.array_equal(read[0, 0], [255, 255, 255])
    assert np.array_equal(read[0, 23], CORNERS[0, 23])


def test_a_transparent_colour_without_an_alpha_channel() -> None:
    read = pixels(open_image(encoded(corners(), transparency=(200, 30, 30))))
    assert np.array_equal(read[0, 0], [255, 255, 255])
    assert np.array_equal(read[0, 23], CORNERS[0, 23])


def test_cmyk() -> None:
    data = encoded(corners().convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert np.abs(pixels(open_image(data)).astype(int) - CORNERS).max() < 12


@pytest.mark.parametrize("mode", ["YCbCr", "HSV"])
def test_other_colour_spaces(mode: str) -> None:
    read = pixels(open_image(corners().convert(mode)))
    assert np.abs(read.astype(int) - CORNERS).max() < 6


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(fmt: str) -> None:
    values = np.linspace(0, 65535, 16 * 24).astype(np.uint16).reshape(16, 24)
    read = pixels(open_image(encoded(Image.fromarray(values), fmt)))
    assert np.array_equal(read[:, :, 0], np.round(values / 257))


def test_16_bit_grey_of_the_other_byte_order() -> None:
    values = np.linspace(0, 65535, 16 * 24).astype(">u2").reshape(16, 24)
    image = Image.frombytes("I;16B", (24, 16), values.tobytes())
    assert np.array_equal(pixels(open_image(image))[:, :, 0], np.round(values / 257))


@pytest.mark.parametrize(
    ("values", "low_and_high"),
    [
        pytest.param(np.array([[-5, 1_000_000]], dtype=np.int32), [0, 255], id="int32"),
        pytest.param(np.array([[0.25, 0.75]], dtype=np.float32), [0, 255], id="float"),
        pytest.param(np.array([[-np.inf, np.inf]], dtype=np.float32), [0, 0], id="infinite"),
        pytest.param(np.array([[np.nan, 7]], dtype=np.float32), [0, 0], id="flat"),
    ],
)
def test_32_bit_is_stretched(values: np.ndarray[Any, Any], low_and_high: list[int]) -> None:
    image = Image.fromarray(np.repeat(np.repeat(values, 8, axis=0), 8, axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = pixels(open_image(image))
    assert [read[0, 0, 0], read[0, 8, 0]] == low_and_high


# Several frames.


def test_animated_pictures_are_refused() -> None:
    frames = [noise(16, 16, seed) for seed in range(3)]
    for fmt in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], fmt, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=r"animated or has several pages.*--pages all"):
            open_image(data)


def test_one_frame_of_an_animated_picture_is_a_picture() -> None:
    frames = [noise(16, 16, seed) for seed in range(3)]
    opened = Image.open(
        io.BytesIO(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    )
    opened.seek(2)
    assert np.array_equal(pixels(open_image(opened.convert("RGB"))), np.asarray(frames[2]))


def test_a_phone_picture_with_a_second_map_is_one_picture() -> None:
    data = encoded(corners(), "MPO", save_all=True, append_images=[noise(8, 8)], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert open_image(data).size == (24, 16)


# Bad input: one clear sentence.


def one_sentence(error: ImageError) -> str:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 300
    return text


def refused(source: Any) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(source)
    return one_sentence(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    message = refused(tmp_path / "absent.png")
    assert "absent.png' does not exist; check the path" in message


def test_a_web_address() -> None:
    assert "is a web address; download it" in refused("https://example.org/cat.png")
    assert "pass the bytes" in refused("data:image/png;base64," + "A" * 9000)


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder; give the path of a picture file" in refused(tmp_path)


def test_a_device() -> None:
    assert "is a device" in refused("/dev/null")


def test_an_impossible_path() -> None:
    assert "cannot be read" in refused("x" * 5000)
    assert refused("null\0byte.png")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert "is an empty file" in refused(tmp_path / "empty.png")


def test_no_bytes() -> None:
    assert "0 bytes is empty" in refused(b"")


def test_a_text_file_named_png(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("Dear diary")
    message = refused(tmp_path / "notes.png")
    assert "notes.png' cannot be read as a picture; give a JPEG, PNG," in message


def test_formats_that_are_left_out_are_not_tried() -> None:
    assert "cannot be read as a picture" in refused(encoded(corners(), "TGA"))
    assert "cannot be read as a picture" in refused(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    assert "a PDF: pdftoppm" in refused(b"%PDF-1.7\n")


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture(fmt: str, share: float) -> None:
    data = encoded(noise(64, 64), fmt)
    message = refused(data[: int(len(data) * share)])
    assert "is damaged" in message or "cannot be read as a picture" in message


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF"]))
def test_damaged_bytes_never_raise_anything_else(junk: bytes, fmt: str) -> None:
    data = encoded(noise(16, 16), fmt)
    place = len(junk) % len(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for damaged in (junk, data[:place] + junk, data[:place] + junk + data[place + len(junk) :]):
            try:
                assert open_image(damaged).mode == "RGB"
            except ImageError as error:
                one_sentence(error)


def test_a_mode_without_a_way_to_rgb() -> None:
    assert "is damaged, cut off or of a rare kind" in refused(Image.new("La", (16, 16)))


def test_running_out_of_memory_is_not_blamed_on_the_picture() -> None:
    class Hungry(Image.Image):
        def load(self) -> Any:
            raise MemoryError

    image = Hungry()
    image._size, image._mode = (16, 16), "RGB"  # type: ignore[attr-defined]
    with pytest.raises(MemoryError):
        open_image(image)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        pytest.param((1, 1), "is 1 x 1 pixels; each side must have at least 8", id="one pixel"),
        pytest.param((7, 200), "is 7 x 200 pixels; each side must", id="thin"),
        pytest.param((30000, 30), "one side may be at most 100 times the other", id="strip"),
        pytest.param((8, 801), "one side may be at most 100 times the other", id="just beyond"),
    ],
)
def test_extreme_sizes(size: tuple[int, int], message: str) -> None:
    image = Image.new("RGB", size)
    assert message in refused(image)
    assert message in refused(encoded(image))
    assert message in refused(np.zeros((size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(8, 8), (8, 800), (800, 8)])
def test_the_smallest_and_longest_that_are_answered(size: tuple[int, int]) -> None:
    assert open_image(Image.new("RGB", size)).size == size


def claim_size(data: bytes, width: int, height: int) -> bytes:
    """Rewrite the size in the header of a BMP, which has no checksum."""
    return data[:18] + width.to_bytes(4, "little") + height.to_bytes(4, "little") + data[26:]


def test_a_decompression_bomb_is_refused_from_its_header() -> None:
    small = encoded(corners(), "BMP")
    assert f"at most {images.MAX_PIXELS:,} are read" in refused(claim_size(small, 60000, 60000))


def test_the_limit_on_pixels_holds_for_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 300)
    for source in (CORNERS, corners(), encoded(corners())):
        assert "is 24 x 16 pixels; at most 300 are read" in refused(source)


def test_a_warning_about_pixels_made_an_error_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "has too many pixels" in refused(encoded(corners()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: np.zeros((16, 16), np.float32), "floats", id="float grey"),
        pytest.param(lambda: np.zeros((16, 16, 3)), "(array * 255).round()", id="float64"),
        pytest.param(lambda: np.zeros((16, 16), np.uint16), "is not uint8", id="uint16"),
        pytest.param(lambda: np.zeros((16, 16), bool), "is not uint8", id="bool"),
        pytest.param(lambda: np.zeros((16, 16), object), "is not uint8", id="object"),
        pytest.param(lambda: np.zeros((3, 16, 20), np.uint8), "transpose(1, 2, 0)", id="CHW"),
        pytest.param(lambda: np.zeros((16, 16, 2), np.uint8), "is no picture", id="two channels"),
        pytest.param(lambda: np.zeros((1, 16, 16, 3), np.uint8), "is no picture", id="batch"),
        pytest.param(lambda: np.zeros((), np.uint8), "is no picture", id="scalar"),
        pytest.param(lambda: np.zeros((0, 16, 3), np.uint8), "is empty", id="no rows"),
    ],
)
def test_arrays_that_are_refused(make: Callable[[], Any], message: str) -> None:
    text = refused(make())
    assert message in text
    assert "give uint8 of shape (height, width)" in text


@pytest.mark.parametrize("source", [None, 7, ["a.png"], io.BytesIO(b"x")])
def test_other_objects(source: Any) -> None:
    assert f"cannot be a {type(source).__name__}; give a path" in refused(source)


def test_a_closed_pillow_image(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pass
    assert "Pillow image of mode 'RGB'" in refused(image)


def test_files_are_closed(tmp_path: Path) -> None:
    """An open file would be a ResourceWarning, which is an error here, and a lock on Windows."""
    path = tmp_path / "a.jpg"
    corners().save(path)
    for _ in range(3):
        open_image(path)
    (tmp_path / "b.png").write_bytes(encoded(noise(16, 16))[:200])
    refused(tmp_path / "b.png")
    path.unlink()


# The model's array.


@pytest.mark.parametrize("side", [1, 32, 384, 512, 768])
def test_preprocess_equals_the_pil_path_of_transformers(side: int) -> None:
    """Bit for bit, for pictures smaller, larger and of other shapes than the model frame."""
    pytest.importorskip("transformers")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    oracle = CLIPImageProcessorPil(
        size={"height": side, "width": side},
        resample=3,
        do_center_crop=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    for height, width in [(480, 640), (16, 1000), (1200, 900), (side, side), (9, 8)]:
        image = noise(height, width)
        expected = oracle(image, return_tensors="np")["pixel_values"][0]
        assert np.array_equal(preprocess(image, side), expected)


def test_the_array_is_float32_and_contiguous() -> None:
    array = preprocess(corners(), 64)
    assert (array.dtype, array.shape) == (np.float32, (3, 64, 64))
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_black_and_white_are_where_imagenet_puts_them() -> None:
    black = preprocess(Image.new("RGB", (8, 8)), 4)[:, 0, 0]
    white = preprocess(Image.new("RGB", (8, 8), "white"), 4)[:, 0, 0]
    mean, std = np.array(images.IMAGE_MEAN), np.array(images.IMAGE_STD)
    assert np.allclose(black, -mean / std, atol=1e-6)
    assert np.allclose(white, (1 - mean) / std, atol=1e-6)


def test_preprocess_takes_rgb_only() -> None:
    with pytest.raises(ImageError, match="takes an RGB picture, not 'L'; use open_image"):
        preprocess(Image.new("L", (8, 8)), 4)
