"""Pictures from anywhere: what is given on, in which order, and what is told of broken ones."""

import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from florence2.data import sources
from florence2.data.downloads import Downloads, is_public
from florence2.data.sources import Pages, count_pictures, open_pictures
from florence2.errors import ConfigError, ImageError
from florence2.processing.images import open_image


def png(colour: str = "navy", size: tuple[int, int] = (40, 20)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


def write_picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), "navy").save(path)
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def names(*given: str | Path, **options) -> list[str]:
    return [picture.name for picture in open_pictures([str(each) for each in given], **options)]


def errors(*given: str | Path, **options) -> list[str]:
    found = open_pictures([str(each) for each in given], **options)
    return [str(picture.error) for picture in found if picture.error]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "in/c.webp", "in/deep/d.png", ".hidden/e.png", "z.txt"):
        path = tmp_path / name
        if path.suffix == ".txt":
            write_text(path, "a cat")
        else:
            write_picture(path)
    return tmp_path


def test_a_folder_gives_all_pictures_below_it_in_order(folder: Path) -> None:
    wanted = ["a.JPG", "b.png", "in/c.webp", "in/deep/d.png"]
    assert names(folder) == [str(folder / name) for name in wanted]
    assert count_pictures([str(folder)]) == 4


def test_patterns_are_matched_where_the_shell_did_not(folder: Path) -> None:
    assert names(folder / "*.png") == [str(folder / "b.png")]
    deep = ["b.png", "in/deep/d.png"]
    assert names(folder / "**" / "*.png") == [str(folder / name) for name in deep]
    assert errors(folder / "*.tif") == [f"pattern '{folder}/*.tif' matches no file; check it"]


def test_a_file_called_like_a_pattern_is_itself(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a[1].png")
    write_picture(tmp_path / "a1.png")
    assert names(picture) == [str(picture)]


@pytest.mark.parametrize("sign", ["", "@"])
def test_a_list_names_pictures_folders_and_further_lists(folder: Path, sign: str) -> None:
    write_text(folder / "more.lst", f"{folder / 'b.png'}\n")
    lines = "\ufeff\nin\n  b.png  \nmore.lst\nmissing.png\n"
    path = write_text(folder / "list.txt", lines)
    wanted = [str(folder / name) for name in ("in/c.webp", "in/deep/d.png", "b.png", "b.png")]
    assert names(f"{sign}{path}") == [*wanted, "missing.png"]


def test_a_text_that_is_no_list_is_told(folder: Path) -> None:
    (told,) = errors(folder / "z.txt")
    assert "its first line 'a cat' names none that is there" in told


def test_a_text_beside_a_picture_that_is_given_too_is_no_list(tmp_path: Path) -> None:
    """As `photos/*` gives both once `--save-txt` has written."""
    picture = write_picture(tmp_path / "a.png")
    text = write_text(tmp_path / "a.txt", "a cat")
    assert names(picture, text) == names(tmp_path / "a*") == [str(picture)]
    assert errors(text) != []


def test_lists_that_name_each_other_end(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    for name, other in (("a", "b"), ("b", "a")):
        write_text(tmp_path / f"{name}.txt", f"{picture}\n{tmp_path / other}.txt\n")
    *found, circle = open_pictures([str(tmp_path / "a.txt")])
    assert [each.name for each in found] == [str(picture)] * 2  # once for each of the lists
    assert "names itself" in str(circle.error)


def test_lists_many_deep_end(tmp_path: Path) -> None:
    for number in range(9):
        write_text(tmp_path / f"{number}.txt", str(tmp_path / f"{number + 1}.txt"))
    write_text(tmp_path / "9.txt", "")
    (told,) = errors(tmp_path / "0.txt")
    assert "4 lists deep" in told


@pytest.mark.parametrize("text", ["What is this?\nA cat.\n", "a * b\n", "\0[\n", "[citation]\n"])
def test_prose_is_no_list_for_signs_of_patterns_in_it(tmp_path: Path, text: str) -> None:
    assert "is no list of pictures" in errors(write_text(tmp_path / "a.txt", text))[0]


def test_lines_of_a_list_may_be_patterns_and_folders_beside_it(tmp_path: Path) -> None:
    inside = write_picture(tmp_path / "dir.png" / "a.png")
    listed = write_text(tmp_path / "list.txt", "dir.p*/*.png\ndir.png\n@\0\n")
    found = list(open_pictures([str(listed)]))
    assert [each.name for each in found] == [str(inside), str(inside), "@\0"]
    assert "null byte" in str(found[-1].error)


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "in" / "loop").symlink_to(folder)
    assert len(names(folder)) == 4
    assert sorted(names(f"{folder}/**/*.png")) == sorted(
        each for each in names(folder) if each.endswith(".png")
    )


def test_a_link_to_itself_loses_no_other_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert names(tmp_path) == [str(tmp_path / "a.png"), str(tmp_path / "loop.png")]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.png", ["a.png", "b/a.png", "b/c/a.png"]),
        ("b/**", ["b/a.png", "b/c/a.png"]),
        ("**/c/*", ["b/c/a.png"]),
        ("*/**/a.*", ["b/a.png", "b/c/a.png"]),
        ("**/**/a.png", ["a.png", "b/a.png", "b/c/a.png"]),
        ("nope/**/*", ["nope/**/*"]),
    ],
)
def test_patterns_of_folders_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: list[str]
) -> None:
    for name in ("a.png", "b/a.png", "b/c/a.png", "b/.hidden/a.png"):
        write_picture(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert names(pattern) == found


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("tar", "a.tar", id="tar"),
        pytest.param("tar", "a.tar.gz", id="tar, compressed"),
        pytest.param("zip", "a.zip", id="zip"),
    ],
)
def test_archives_give_their_pictures(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    files = {"x/1.png": png(), "read.me": b"text", "2.png": png("red"), "__MACOSX/._2.png": b"x"}
    if kind == "tar":
        files.pop("__MACOSX/._2.png")
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, data in files.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data)
    found = list(open_pictures([str(path)]))
    assert [each.name for each in found] == [f"{path}/x/1.png", f"{path}/2.png"]
    assert open_image(found[1].image).getpixel((0, 0)) == (255, 0, 0)
    assert count_pictures([str(path)]) is None


def test_a_member_that_is_encrypted_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", png())
        archive.writestr("b.png", png())
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1  # the flag of the first in the directory
    (tmp_path / "a.zip").write_bytes(data)
    first, second = open_pictures([str(tmp_path / "a.zip")])
    assert "is encrypted" in str(first.error) and second.error is None


def test_an_archive_that_is_cut_off_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(png())
            archive.addfile(entry, io.BytesIO(png()))
    path.write_bytes(path.read_bytes()[:1300])  # in the middle of the second member
    after = write_picture(tmp_path / "z.png")
    found = list(open_pictures([str(path), str(after)]))
    assert [each.error is None for each in found] == [True, False, True]
    assert "damaged or cut off" in str(found[1].error)
    assert "does not exist" in errors(tmp_path / "none.zip")[0]


def test_parquet_files_give_bytes_paths_and_empty_cells(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    beside = write_picture(tmp_path / "b.png")
    rows = [{"bytes": png("red"), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None]
    file = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"id": [1, 2, 3], "image": rows}), file)
    found = list(open_pictures([str(file)]))
    assert [each.name for each in found] == [f"{file}#0", f"{file}#1", f"{file}#2"]
    assert open_image(found[0].image).getpixel((0, 0)) == (255, 0, 0)
    assert found[1].image == str(beside)
    assert str(found[2].error) == f"image '{file}#2' is empty"
    parquet.write_table(arrow.table({"id": [1]}), file)
    assert "has no column of pictures; its columns are id" in errors(file)[0]


# ---- pages


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    path = tmp_path / "scan.tif"
    first, *others = [Image.new("RGB", (40, 20), each) for each in ("red", "lime", "blue")]
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [("all", [1, 2, 3]), ("2", [2]), ("2-", [2, 3]), ("1,3", [1, 3]), ("2-9", [2, 3])],
)
def test_pages_are_asked_one_by_one(pages: Path, asked: str, numbers: list[int]) -> None:
    found = list(open_pictures([str(pages)], pages=Pages.parse(asked)))
    assert [each.name for each in found] == [f"{pages}#{number}" for number in numbers]
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    seen = [open_image(each.image).getpixel((0, 0)) for each in found]
    assert seen == [colours[number - 1] for number in numbers]


def test_pages_that_are_not_asked_for_or_not_there_are_told(pages: Path) -> None:
    (found,) = open_pictures([str(pages)])
    with pytest.raises(ImageError, match="--pages all"):
        open_image(found.image)
    assert "has 3 pages, and none of those asked for" in errors(pages, pages=Pages.parse("7"))[0]
    for name in ("a.jpg", "a.png"):
        single = write_picture(pages.with_name(name))
        assert "has one page" in errors(single, pages=Pages.parse("2"))[0]
        assert not errors(single, pages=Pages.parse("1"))


def test_a_picture_of_one_page_keeps_its_name(tmp_path: Path) -> None:
    assert names(write_picture(tmp_path / "a.png"), pages=Pages.parse("all")) == [
        str(tmp_path / "a.png")
    ]


def test_each_page_is_turned_by_its_own_orientation(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    turned = Image.Exif()
    turned[274] = 6
    first, second = (Image.new("RGB", (40, 20), each) for each in ("red", "lime"))
    first.save(path, save_all=True, append_images=[second], exif=turned)
    found = list(open_pictures([str(path)], pages=Pages.parse("all")))
    assert open_image(found[0].image).size == (20, 40)


@pytest.mark.parametrize("text", ["", "0", "3-1", "a", "1;2", "-"])
def test_pages_that_are_no_pages_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="numbers from 1 and ranges"):
        Pages.parse(text)


# ---- standard input, phones


def test_standard_input_that_is_closed_or_a_terminal_is_told(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in errors("-")[0]

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Terminal()))
    assert "standard input is a terminal" in errors("-")[0]


def test_standard_input_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(png("red"))

    monkeypatch.setattr("sys.stdin", Input)
    (found,) = open_pictures(["-"])
    assert (found.name, open_image(found.image).size) == ("-", (40, 20))
    assert errors("-") == [
        "standard input is empty; write a picture into it, as in: cat a.png | ..."
    ]


def test_pictures_of_phones_are_read_with_the_extra(tmp_path: Path, monkeypatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    path = tmp_path / "a.heic"
    Image.new("RGB", (64, 32), "red").save(path)
    assert names(tmp_path) == [str(path)]
    assert open_image(path).size == (64, 32)
    monkeypatch.setattr("florence2.processing.images.readable_formats", lambda: ("JPEG", "PNG"))
    for source in (path, path.read_bytes()):
        with pytest.raises(ImageError, match=r"pip install 'florence2\[heif\]'"):
            open_image(source)


# ---- many


def test_a_long_list_is_never_held_whole(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "names.txt"
    with path.open("w") as lines:
        lines.writelines(f"picture-{number:07}.png\n" for number in range(20_000))
    found = open_pictures([f"@{path}"])
    next(found)
    tracemalloc.start()
    assert sum(1 for _ in found) == 19_999
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
    assert count_pictures([f"@{path}"]) == 20_000
    monkeypatch.setattr(sources, "SORTED_NAMES", 19_999)
    assert count_pictures([f"@{path}"]) is None


def test_a_folder_beyond_what_is_sorted_is_read_whole(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SORTED_NAMES", 1)
    assert len(names(folder)) == 4
    assert names(folder / "*.png") == [str(folder / "b.png")]


def test_an_empty_or_closed_folder_is_told(tmp_path: Path) -> None:
    assert errors(tmp_path) == [f"folder {str(tmp_path)!r} holds no picture; check the path"]
    if os.geteuid():
        closed = tmp_path / "closed"
        closed.mkdir(mode=0)
        assert "cannot be read" in errors(closed)[0]


# ---- downloads


class Answer:
    def __init__(self, status: int, body: bytes = b"", length: int | None = None, **headers: str):
        self.status, self.reason, self.headers = status, "So", headers
        self.body = io.BytesIO(body)
        self.length = length

    def getheader(self, name: str) -> str | None:
        return self.headers.get(name)

    def read1(self, size: int) -> bytes:
        return self.body.read(size)


class Web:
    """Servers by host, each with answers by path; tells whom it was asked about."""

    def __init__(self, **hosts: dict[str, Answer]):
        self.hosts = hosts
        self.asked: list[str] = []
        self.sock = None

    def addresses(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host == "inside":
            raise ImageError("host 'inside' has the address 10.0.0.1, which is not public")
        return ["93.184.215.14"]

    def connect(self, host: str, port: int, address: str, timeout: float) -> "Web":
        self.host = host
        return self

    def request(self, method: str, target: str, headers: dict[str, str]) -> None:
        self.target = target

    def getresponse(self) -> Answer:
        return self.hosts[self.host][self.target]

    def close(self) -> None:
        pass

    def downloads(self, **limits: float) -> Downloads:
        return Downloads(addresses=self.addresses, connect=self.connect, **limits)  # type: ignore[arg-type]


def test_an_address_is_fetched_where_it_is_allowed() -> None:
    web = Web(
        a={"/1.png?size=2": Answer(302, Location="//b/x.png")}, b={"/x.png": Answer(200, png())}
    )
    url = "https://a/1.png?size=2"
    (found,) = open_pictures([url], downloads=web.downloads())
    assert (found.name, open_image(found.image).size) == (url, (40, 20))
    assert web.asked == ["a", "b"]
    assert errors(url) == [
        f"image {url!r} is a web address, and nothing is downloaded unless you say so; add"
        " --allow-download"
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("http://a/1.png", "is no https address", id="not https"),
        pytest.param("https://me:word@a/1.png", "name or password", id="password"),
        pytest.param("https://inside/1.png", "10.0.0.1, which is not public", id="private"),
        pytest.param("https://a/in", "10.0.0.1, which is not public", id="private, redirected"),
        pytest.param("https://a/plain", "is no https address", id="redirected to http"),
        pytest.param("https://a/round", "leads on more than 5 times", id="round and round"),
        pytest.param("https://a/none", "the server answers 404 So", id="missing"),
        pytest.param("https://a/large", "has more than 1,000 bytes", id="large"),
        pytest.param("https://a/said", "has more than 1,000 bytes", id="said to be large"),
        pytest.param("https://a:x/1.png", "cannot be downloaded", id="no port"),
    ],
)
def test_what_is_not_to_be_fetched_is_told(url: str, told: str) -> None:
    web = Web(
        a={
            "/in": Answer(302, Location="https://inside/x"),
            "/plain": Answer(301, Location="http://a/x"),
            "/round": Answer(307, Location="/round"),
            "/none": Answer(404),
            "/large": Answer(200, b"x" * 1001),
            "/said": Answer(200, b"", length=1001),
        }
    )
    (found,) = errors(url, downloads=web.downloads(max_bytes=1000))
    assert told in found and url in found and "\n" not in found


def test_a_slow_server_is_left() -> None:
    web = Web(a={"/1.png": Answer(200, png())})
    (found,) = errors("https://a/1.png", downloads=web.downloads(max_seconds=0.0))
    assert "did not come within 0 seconds" in found


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_public_addresses_are_reached(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_this_machine_is_not_reached() -> None:
    (told,) = errors("https://localhost/1.png", downloads=Downloads())
    assert "which is not public" in told
