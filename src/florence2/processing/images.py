"""Pictures in: open anything a user has, as RGB and upright, and turn it into the model's array.

What is refused, always as one `ImageError` sentence: what is no picture or a damaged one, more
pixels than `MAX_PIXELS` (seen in the header, before anything is decoded), a side below `MIN_SIDE`,
a side more than `MAX_ASPECT_RATIO` times the other, and pictures with several frames or pages, as
an answer about one of them would look like an answer about all.

The array equals that of the PIL path of the Hugging Face CLIP processor bit for bit. Decoding a
JPEG at a reduced size would be faster but moves pixel values, hence location tokens: not done.
"""

import logging
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from florence2.errors import ImageError
from florence2.geometry import Array

logger = logging.getLogger(__name__)

ImageSource = str | Path | bytes | Image.Image | NDArray[Any]
"""What users may pass as a picture; an array is uint8 `(H, W)`, `(H, W, 3)` or `(H, W, 4)`."""

MAX_PIXELS = 178_956_970
"""Where Pillow itself calls a picture a decompression bomb; 683 MiB once decoded."""
MIN_SIDE = 8
"""Smaller ones are web spacers and placeholders."""
MAX_ASPECT_RATIO = 100
"""At 768 pixels a side, the model then sees under 8 pixels where the picture has a square."""
GROUND_SIDE = 512
"""Pixels a side on which the ground of a transparent picture is chosen."""
BLACK_SHOWS = 2
"""How much more of a picture black must show than white to be its ground."""

# Everything else that Pillow reads is left out: rare, and some start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000")

# Formats whose further frames are not further pictures: a phone's depth or brightness map, layers.
_FORMATS_WITH_ONE_PICTURE = frozenset({"MPO", "PSD"})
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Formats for which Pillow's 32-bit mode "I" holds 16-bit grey.
_FORMATS_OF_16_BIT_IN_32 = frozenset({"PNG", "PPM"})

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the step that undoes it."""

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)

T = TypeVar("T")


def _normalised_levels() -> NDArray[np.float32]:
    """The model's value for each of the 256 levels of a channel, `(3, 256)`.

    The two roundings to float32 are those of the published processor.
    """
    levels = (np.arange(256) * (1 / 255)).astype(np.float32)
    mean, std = np.array([IMAGE_MEAN, IMAGE_STD], dtype=np.float32)[:, :, None]
    return np.asarray((levels - mean) / std, dtype=np.float32)


_NORMALISED_LEVELS = _normalised_levels()
_GREY_8_OF_16 = [(level + 128) // 257 for level in range(65536)]


def open_image(source: ImageSource) -> Image.Image:
    """Read a picture as RGB, turned upright by its EXIF orientation.

    Transparent pixels are laid on white, or on black where white would hide the picture, which is
    then told in the log. 16-bit grey keeps its scale (65,535 is white); other
    32-bit grey has no white of its own and is stretched from its darkest to its brightest value.
    A Pillow image that is RGB and upright already is returned itself, not copied.

    Raises:
        ImageError: if it cannot be read or is beyond the limits of this module.
    """
    if isinstance(source, Image.Image):
        return _finish(source, f"Pillow image of mode {source.mode!r}")
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source), f"array of shape {source.shape}")
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        name = f"image of {len(data):,} bytes"
        if not data:
            raise ImageError(f"{name} is empty; give the bytes of a picture file")
        return _decode(BytesIO(data), name)
    if isinstance(source, (str, Path)):
        return _decode(source, checked_path(str(source)))
    raise ImageError(
        f"a picture cannot be a {type(source).__name__}; give a path, the bytes of a file, a "
        "Pillow image or a uint8 NumPy array"
    )


def read_pages(
    source: str | Path | bytes, wanted: Callable[[int], bool]
) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield pages of a file, or frames of an animation, one by one.

    Args:
        wanted: tells of a page, counted from 1, whether to read it.

    Yields:
        Its number, how many there are, and an RGB picture as `open_image` returns it.

    Raises:
        ImageError: the file or a page cannot be read, or there is none of those wanted.
    """
    any_wanted = False
    with _paged(source) as (opened, name, total):
        for number in filter(wanted, range(1, total + 1)):
            any_wanted = True
            of = name if total == 1 else f"page {number} of {name}"
            _read(partial(opened.seek, number - 1), of)
            _check_size(opened, of)
            _read(opened.load, of)
            # Loaded TIFF pages are upright, and no copy has further frames.
            yield number, total, _finish(_read(opened.copy, of), of)
    if not any_wanted:
        pages = f"{total} pages" if total > 1 else "one page"
        raise ImageError(f"{name} has {pages}, and none of those asked for; pages count from 1")


def count_pages(source: str | Path | bytes) -> int:
    """Return how many pages or frames a file has, without decoding any.

    Raises:
        ImageError: it is no picture, or damaged.
    """
    with _paged(source) as (_, _, total):
        return total


@contextmanager
def _paged(source: str | Path | bytes) -> Iterator[tuple[Image.Image, str, int]]:
    """Open a file at its first page; its name for messages, and how many pages it has."""
    if isinstance(source, bytes):
        name = f"image of {len(source):,} bytes"
        if not source:
            raise ImageError(f"{name} is empty; give the bytes of a picture file")
        file: str | Path | BytesIO = BytesIO(source)
    else:
        name, file = checked_path(str(source)), source
    with _opened(file, name) as opened:
        total = 1
        if opened.format not in _FORMATS_WITH_ONE_PICTURE:
            total = _read(lambda: int(getattr(opened, "n_frames", 1)), name)
        yield opened, name, total


def preprocess(image: Image.Image, side: int) -> NDArray[np.float32]:
    """Turn an RGB picture into the model's input.

    Args:
        image: as `open_image` returns it. Its aspect ratio is not kept.
        side: width and height of the model frame in pixels; 768 for the published checkpoints.

    Returns:
        float32 `(3, side, side)`, normalised by the mean and deviation of ImageNet.
    """
    if image.mode != "RGB":
        raise ImageError(f"preprocess takes an RGB picture, not {image.mode!r}; use open_image")
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
    array = np.empty((3, side, side), dtype=np.float32)
    for channel in range(3):
        levels = _NORMALISED_LEVELS[channel]
        np.take(levels, pixels[:, :, channel], out=array[channel], mode="clip")
    return array


def checked_path(path: str, kind: str = "image", wanted: str = "picture") -> str:
    """Refuse a path that is no file with anything in it; return the file's name for messages."""
    name = f"{kind} {shortened(path)!r}"
    if path.startswith(("http:", "https:", "data:")):
        raise ImageError(f"{name} is a web address; download it, or pass the bytes of the {wanted}")
    try:
        found = Path(path).stat()
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist; check the path") from error
    except (OSError, ValueError) as error:  # a name too long, a null byte, a closed folder
        raise ImageError(f"{name} cannot be read ({_reason(error)}); check the path") from error
    if not stat.S_ISREG(found.st_mode):
        found_kind = "folder" if stat.S_ISDIR(found.st_mode) else "device"
        raise ImageError(f"{name} is a {found_kind}; give the path of a {wanted} file")
    if found.st_size == 0:
        raise ImageError(f"{name} is an empty file; give a {wanted} file")
    return name


def shortened(name: str) -> str:
    """A name for messages: of a long one its beginning and its end."""
    return name if len(name) < 200 else f"{name[:50]}...{name[-100:]}"


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with; HEIF where its plug-in is installed."""
    Image.init()
    found = tuple(name for name in FORMATS if name in Image.OPEN)
    if find_spec("pillow_heif") is None:
        return found
    import_module("pillow_heif").register_heif_opener()
    return (*found, "HEIF")


def _decode(file: str | Path | BytesIO, name: str) -> Image.Image:
    """Open a file through Pillow and finish it."""
    with _opened(file, name) as opened:
        return _finish(opened, name)


def _opened(file: str | Path | BytesIO, name: str) -> Image.Image:
    """Read the head of a file through Pillow."""
    try:
        return Image.open(file, formats=readable_formats())
    except UnidentifiedImageError as error:
        if _is_heif(file) and "HEIF" not in readable_formats():
            raise ImageError(
                f"{name} is a HEIF picture, as phones take them; pip install 'florence2[heif]', or"
                " save it as JPEG"
            ) from error
        raise ImageError(
            f"{name} cannot be read as a picture; give a {', '.join(FORMATS[:-1])} or "
            f"{FORMATS[-1]} file, or convert it to one (a PDF: pdftoppm -r 150"
            " -png FILE.pdf page; florence2 read FILE.pdf reads its text)"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{name} has too many pixels; at most {MAX_PIXELS:,} are read: make it smaller or cut "
            "it into tiles"
        ) from error
    except Exception as error:
        raise _damaged(name, error) from error


def _is_heif(file: str | Path | BytesIO) -> bool:
    """Tell by its first bytes."""
    if isinstance(file, BytesIO):
        head = file.getvalue()[:16]
    else:
        with open(file, "rb") as opened:
            head = opened.read(16)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _finish(image: Image.Image, name: str) -> Image.Image:
    """Check, load, convert and turn a picture."""
    _check_size(image, name)
    if _read(lambda: _has_more_frames(image), name):
        raise ImageError(
            f"{name} is animated or has several pages ({image.format}); florence2 run --pages all, "
            "or 1, asks about each by itself; in Python, pass a Pillow image of convert('RGB')"
        )
    _read(image.load, name)
    # Only now: TIFF files are turned by Pillow while they load.
    step = _UPRIGHT.get(_orientation(image, name))
    rgb = _read(lambda: _to_rgb(image, name), name)
    if step is not None:
        rgb = rgb.transpose(step)
        rgb.info.clear()  # or the next reader would turn it again
    if (dpi := image.info.get("dpi")) is not None:
        rgb.info.setdefault("dpi", dpi)
    return rgb


def _read(step: Callable[[], T], name: str) -> T:
    """Run a step of Pillow's, whose readers raise almost anything on damaged bytes."""
    try:
        return step()
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ImageError:
    return ImageError(
        f"{name} is damaged, cut off or of a rare kind ({_reason(error)}); save it anew as PNG or "
        "JPEG"
    )


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    short, long = sorted(image.size)
    given = f"{name} is {width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{given}; at most {MAX_PIXELS:,} are read: make it smaller or cut it into tiles"
        )
    if short < MIN_SIDE:
        raise ImageError(f"{given}; each side must have at least {MIN_SIDE}: enlarge or pad it")
    if long > MAX_ASPECT_RATIO * short:
        raise ImageError(
            f"{given}; one side may be at most {MAX_ASPECT_RATIO} times the other: cut it into "
            "parts or pad it"
        )


def _has_more_frames(image: Image.Image) -> bool:
    return image.format not in _FORMATS_WITH_ONE_PICTURE and getattr(image, "is_animated", False)


def _orientation(image: Image.Image, name: str) -> int:
    """EXIF orientation, 1 (upright) if there is none or it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # whatever damaged EXIF bytes trip over
        logger.warning("EXIF of %s is damaged and left out (%s)", name, _reason(error))
        return 1


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in _FORMATS_OF_16_BIT_IN_32):
        return image.convert("I").point(_GREY_8_OF_16, "L").convert("RGB")
    if mode in ("I", "F"):
        return _stretched(np.asarray(image, dtype=np.float64)).convert("RGB")
    if mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        ground = _ground(rgba)
        if ground != "white":
            _tell_ground(name, ground)
        return _laid_on(rgba, ground)
    return image if mode == "RGB" else image.convert("RGB")


def _laid_on(rgba: Image.Image, ground: str) -> Image.Image:
    page = Image.new("RGB", rgba.size, ground)
    page.paste(rgba, mask=rgba)
    return page


def _ground(rgba: Image.Image) -> str:
    """The ground to lay a picture on: white, but black where white hides it.

    Logos, subtitles and icons of dark screens are white ink on nothing, and so nothing on white.
    What can be seen on a ground are differences between neighbouring pixels. Black is taken where
    it shows more than twice as much of them as white; an opaque picture shows the same on both.
    """
    if rgba.getchannel("A").getextrema()[0] == 255:
        return "white"
    small = rgba.copy()
    small.thumbnail((GROUND_SIDE, GROUND_SIDE), Image.Resampling.BOX)
    on_white, on_black = (_outlines(_laid_on(small, each)) for each in ("white", "black"))
    return "black" if on_black > BLACK_SHOWS * on_white else "white"


def _outlines(picture: Image.Image) -> int:
    """The sum of the differences between neighbouring pixels, each in the channel of the most."""
    levels = np.asarray(picture).astype(np.int16)
    steps = (np.abs(np.diff(levels, axis=axis)).max(axis=2, initial=0) for axis in (0, 1))
    return sum(int(each.sum()) for each in steps)


@lru_cache(maxsize=1024)  # a picture is read many times in a training
def _tell_ground(name: str, ground: str) -> None:
    logger.warning("%s has light ink on a transparent ground, so it is laid on %s", name, ground)


def _stretched(values: Array) -> Image.Image:
    """Grey picture from the darkest to the brightest finite value; a flat one is black."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    levels = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low or 1.0)
    return Image.fromarray(np.round(levels * 255).astype(np.uint8))


def _from_array(array: NDArray[Any]) -> Image.Image:
    given = f"array of shape {array.shape} and type {array.dtype}"
    allowed = "give uint8 of shape (height, width), (height, width, 3) or (height, width, 4)"
    if array.dtype.kind == "f":
        raise ImageError(
            f"{given} has floats, whose range is not known; {allowed}: for values from 0 to 1, "
            "(array * 255).round().astype('uint8')"
        )
    if array.dtype != np.uint8:
        raise ImageError(f"{given} is not uint8; {allowed}")
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (3, 4):
        raise ImageError(f"{given} has its channels first; {allowed}: array.transpose(1, 2, 0)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(f"{given} is no picture; {allowed}")
    if 0 in array.shape:
        raise ImageError(f"{given} is empty; {allowed}")
    return Image.fromarray(array)
