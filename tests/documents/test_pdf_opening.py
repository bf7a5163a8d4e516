"""Pages of PDFs, pictures and TIFF files through one door."""

import io
from pathlib import Path

import pytest
from PIL import Image
from raw_pdfs import encrypted_pdf, raw_pdf, text

from florence2.documents.opening import PicturePage, open_pages
from florence2.documents.pdf import PdfPage
from florence2.errors import ImageError


def saved(kind: str, *sides: int, **options: object) -> bytes:
    first, *rest = (Image.new("L", (side, 2 * side), side) for side in sides)
    file = io.BytesIO()
    more = {"save_all": True, "append_images": rest} if rest else {}
    first.save(file, kind, **more, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", ["a.pdf", "a.bin"])
def test_a_pdf_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw_pdf(text(50, 300, "one"), text(50, 300, "two")))
    for source in (path, str(path), path.read_bytes()):
        with open_pages(source) as file:
            assert file.num_pages == len(file) == 2
            with file.page(1) as page:
                assert isinstance(page, PdfPage) and page.lines()[0].text == "two"


def test_the_password_is_passed_on() -> None:
    data = encrypted_pdf(text(50, 300, "one"), "key")
    with open_pages(data, "key") as file:
        assert file.num_pages == 1
    with pytest.raises(ImageError, match="--password"):
        open_pages(data)


@pytest.mark.parametrize(
    ("data", "dpis"),
    [
        (saved("PNG", 50), [72]),
        (saved("PNG", 50, dpi=(150, 150)), [150]),
        (saved("JPEG", 50, dpi=(300, 300)), [300]),
        (saved("JPEG", 50, dpi=(1, 1)), [72]),
        (saved("TIFF", 50, 60, 70, dpi=(204, 98)), [204, 204, 204]),
        (saved("GIF", 50, 60), [72, 72]),
    ],
)
def test_pictures_and_their_pages(data: bytes, dpis: list[float]) -> None:
    with open_pages(data) as file:
        assert file.num_pages == len(dpis)
        for index, dpi in enumerate(dpis):
            with file.page(index) as page:
                assert isinstance(page, PicturePage) and page.image.mode == "RGB"
                assert page.dpi == pytest.approx(dpi, abs=0.5)
                assert (page.width, page.height) == page.image.size
        with pytest.raises(ImageError, match="none of those asked for"):
            file.page(len(dpis))


def test_a_turned_photograph_keeps_its_dpi() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with open_pages(saved("JPEG", 50, dpi=(300, 300), exif=exif)) as file, file.page(0) as page:
        assert isinstance(page, PicturePage)
        assert page.image.size == (100, 50) and page.dpi == pytest.approx(300)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.png", b"none", "cannot be read as a picture"),
        ("a.pdf", b"none", "is no PDF"),
        ("a.pdf", b"", "document .* is an empty file"),
        ("a.png", b"", "image .* is an empty file"),
    ],
)
def test_what_is_neither_is_told(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ImageError, match=told):
        open_pages(path)
    with pytest.raises(ImageError, match="does not exist"):
        open_pages(tmp_path / f"no-{name}")


def test_a_picture_under_the_name_of_a_pdf_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(saved("PNG", 50))
    with pytest.raises(ImageError, match="is no PDF"):
        open_pages(path)
