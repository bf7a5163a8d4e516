"""The builder turns packages into a kit; here the packages are tiny ones that lie in its cache."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from florence2.cli.main import main
from florence2.errors import DataError
from florence2_lab.worlds.building import fonts, packages, pictures, ui_icons
from florence2_lab.worlds.building.categories import CHOSEN, read_categories
from florence2_lab.worlds.building.drawing import turn_hue
from florence2_lab.worlds.building.emoji import EMOJI_SOURCES
from florence2_lab.worlds.building.kit import TEXTURES, build_kit
from florence2_lab.worlds.building.manners import is_fit_to_print
from florence2_lab.worlds.building.pictures import ICON_SOURCES, PICTURE_SOURCES
from florence2_lab.worlds.building.sprites import (
    DRAWINGS,
    EMOJI_STYLES,
    HELD_OUT_STYLES,
    SHIPPED_STYLES,
    TEST_STYLES,
    held_out_styles,
)
from florence2_lab.worlds.building.ui_icons import UI_SOURCES
from florence2_lab.worlds.kit import ATTRIBUTION_FILE, Kit
from florence2_lab.worlds.lines import line
from florence2_lab.worlds.scenes import scene

REAL_PICTURES, REAL_ICONS = pictures.TABLE, ui_icons.TABLE
CAT, CAR = "1f408", "1f697"
ICONS = {
    "cat": {"body": '<circle cx="8" cy="8" r="6" fill="#d02020"/>'},
    "automobile": {"body": '<rect x="2" y="5" width="12" height="6" fill="#2020d0"/>'},
    "lamp": {"body": '<path d="M0 0"/>'},  # draws nothing, so it must not come in
}


CLIP_ART = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="dc" xmlns:cc="cc" width="100mm"'
    ' height="50mm"><metadata><dc:creator>'
    "<cc:Agent><dc:title>Ann Artist (ann@nowhere.test)</dc:title></cc:Agent>"
    "</dc:creator></metadata>"
    '<circle cx="150" cy="94" r="90" fill="#20a020"/></svg>'
)
PICTURES = """source\tcategory\tname
icon-park\tcar\tautomobile
openclipart\tcat\tanimals/round_cat_01.svg
furniture\tcar\tBlendSwap-CC-0/redCar.png
"""


def npm(cache: Path, name: str, version: str, licence: str, files: dict[str, str]) -> Path:
    folder = cache / "npm" / f"{name.replace('/', '__')}-{version}"
    facts = {"name": name, "version": version, "license": licence}
    for path, text in {"package.json": json.dumps(facts), **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def debian(cache: Path, name: str, files: dict[str, str]) -> None:
    folder = cache / "debian" / name
    files = {"VERSION": "1.0-1", f"usr/share/doc/{name}/copyright": "free", **files}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def emoji_rows() -> str:
    rows = [
        {"hexcode": f"{ord(char):X}-FE0F", "label": name, "group": 7}
        for name, chars in CHOSEN.items()
        for char in chars
    ]
    rows += [
        {"hexcode": "1F600", "label": "grinning face", "group": 0},
        {"hexcode": "1F6CB", "label": "couch and lamp", "group": 7},
        {"hexcode": "1F697", "label": "automobile", "group": 5},
        {"hexcode": "1F408", "label": "cat", "group": 3},
    ]
    return json.dumps(rows)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache that holds every package the builder asks for."""
    pytest.importorskip("resvg_py")
    pytest.importorskip("fontTools")
    cache = tmp_path / "cache"
    npm(cache, "emojibase-data", "17.0.0", "MIT", {"en/data.json": emoji_rows()})
    icons = json.dumps({"prefix": "noto", "icons": ICONS, "aliases": {}})
    for style in ("noto", "twemoji", "openmoji"):
        source = EMOJI_SOURCES[style]
        files = {"icons.json": icons, "chars.json": json.dumps({CAR: "automobile"})}
        npm(cache, source.package, source.version, source.licence, files)
    for source in (*UI_SOURCES.values(), ICON_SOURCES["icon-park"]):
        npm(cache, source.package, source.version, source.licence, {"icons.json": icons})
    (tmp_path / "pictures.tsv").write_text(PICTURES, encoding="utf-8")
    monkeypatch.setattr(pictures, "TABLE", tmp_path / "pictures.tsv")
    row = "pet" + "\tcat" * len(UI_SOURCES)
    (tmp_path / "icons.tsv").write_text("\t".join(["name", *UI_SOURCES]) + f"\n{row}\n")
    monkeypatch.setattr(ui_icons, "TABLE", tmp_path / "icons.tsv")
    debian(
        cache,
        "openclipart-svg",
        {"usr/share/openclipart/svg/animals/round_cat_01.svg": CLIP_ART},
    )
    debian(cache, "sweethome3d-furniture", {})
    library = cache / "debian/sweethome3d-furniture/usr/share/sweethome3d/furniture"
    library.mkdir(parents=True)
    file = io.BytesIO()
    Image.new("RGBA", (64, 32), (220, 20, 20, 255)).save(file, "PNG")
    with zipfile.ZipFile(library / "BlendSwap-CC-0.sh3f", "w") as archive:
        facts = "icon#7=/blendswap-cc-0/redCar.png\ncreator#7=Bob\n"
        archive.writestr("PluginFurnitureCatalog.properties", facts)
        archive.writestr("blendswap-cc-0/redCar.png", file.getvalue())
    source = EMOJI_SOURCES["fluent-3d"]
    assets = npm(cache, source.package, source.version, source.licence, {}) / "assets"
    assets.mkdir()
    picture = Image.new("RGBA", (256, 256))
    ImageDraw.Draw(picture).rectangle((20, 40, 219, 139), fill=(200, 30, 30, 255))
    picture.save(assets / f"{CAT}-fe0f.webp")
    for name, version in (("plain", "1.0.0"), ("permanent-marker", "0.4.0")):
        package = f"@expo-google-fonts/{name}"
        folder = npm(cache, package, version, "MIT AND OFL-1.1", {"LICENSE_FONT": "OFL"})
        (folder / "400Regular").mkdir()
        ttf = ImageFont.load_default(20).font_bytes
        (folder / "400Regular" / "Plain_400Regular.ttf").write_bytes(ttf)
    monkeypatch.setattr(fonts, "FAMILIES", {"plain": "1.0.0"})
    data = cache / "pypi" / "scikit-image-0.26.0" / "skimage" / "data"
    data.mkdir(parents=True)
    for name in TEXTURES:
        Image.new("L", (40, 40), 90).save(data / f"{name}.png")
    debian(cache, "wamerican", {"usr/share/dict/american-english": "cat\nhat\nnaïve\nzebra\n"})
    gloss = '  1 licence\n00001 n | a cat with a hat; "the cat sat on it"\n'
    wordnet = {f"usr/share/wordnet/data.{part}": gloss for part in ("noun", "verb", "adj", "adv")}
    debian(cache, "wordnet-base", wordnet)
    debian(cache, "python3.11-doc", {"usr/share/doc/a.rst.txt": "Cat, not a zebras' hat."})
    return cache


@pytest.fixture
def built(cache: Path, tmp_path: Path) -> Kit:
    path = tmp_path / "kit.zip"
    build_kit(path, ("noto", "twemoji", "fluent-3d"), cache)
    return Kit(path)


def test_a_built_kit_makes_scenes_and_lines(built: Kit) -> None:
    assert built.categories == ("car", "cat")
    assert scene(built, 0, 0).objects
    split = built.fonts[0].split
    assert line(built, 0, 0, split=split).text


def test_sprites_are_named_by_code_point_or_label_cropped_and_coloured(built: Kit) -> None:
    found = {(sprite.category, sprite.style): sprite for sprite in built.sprites}
    assert set(found) == {
        ("car", "noto"),
        ("car", "twemoji"),
        ("cat", "noto"),
        ("cat", "twemoji"),
        ("cat", "fluent-3d"),
    }
    assert built.pixels(found["car", "noto"]).shape == (48, 96, 4)
    assert built.pixels(found["cat", "fluent-3d"]).shape[1] == pytest.approx(100, abs=2)
    assert found["car", "noto"].colour == "blue"
    assert found["cat", "noto"].colour == "red"


def test_every_file_of_a_built_kit_is_attributed_and_every_package_listed(built: Kit) -> None:
    rows = [line.split("\t") for line in built.read(ATTRIBUTION_FILE).decode().splitlines()[1:]]
    assert sorted(row[0] for row in rows) == sorted(built.names)
    assert all(row[3] for row in rows)
    listed = {package["name"]: package["version"] for package in built.packages}
    assert listed["@iconify-json/noto"] == EMOJI_SOURCES["noto"].version
    assert {"emojibase-data", "scikit-image", "wordnet-base", "wamerican"} <= listed.keys()


def test_words_are_known_ones_with_their_counts(built: Kit) -> None:
    assert built.read("text/words.tsv").decode() == "cat\t9\nhat\t5\n"
    assert built.phrases == ("a cat with a hat", "the cat sat on it")


def test_the_same_packages_give_the_same_bytes(built: Kit, cache: Path, tmp_path: Path) -> None:
    build_kit(tmp_path / "again.zip", ("noto", "twemoji", "fluent-3d"), cache)
    assert (tmp_path / "again.zip").read_bytes() == built.path.read_bytes()


def test_fonts_lose_their_layout_and_say_what_they_lack(built: Kit) -> None:
    (font,) = built.fonts
    assert font.family == "plain"
    assert not font.capitals_only
    assert "€" in font.missing
    assert "a" not in font.missing


def test_a_family_of_small_capitals_draws_capitals() -> None:
    """Amatic SC was not known as one: its small letters are capitals drawn anew, by hand."""
    data = ImageFont.load_default(20).font_bytes
    assert not fonts.draws_capitals("plain", data)
    assert fonts.draws_capitals("plain-sc", data)


def test_a_kit_of_test_styles_trains_nothing(cache: Path, tmp_path: Path) -> None:
    build_kit(tmp_path / "test.zip", ("openmoji",), cache)
    kit = Kit(tmp_path / "test.zip")
    assert kit.categories_of("train") == ()
    assert kit.categories_of("val") == ("car", "cat")


def test_the_number_of_categories_is_a_parameter(cache: Path) -> None:
    emojibase = cache / "npm" / "emojibase-data-17.0.0"
    assert len(read_categories(emojibase, 5)) == 5
    everything = read_categories(emojibase, 800)
    assert everything.keys() == {*CHOSEN, "couch and lamp"}
    assert list(everything) == sorted(everything)


def test_icons_clip_art_and_furniture_are_named_and_attributed_one_by_one(
    cache: Path, tmp_path: Path
) -> None:
    build_kit(tmp_path / "kit.zip", ("noto", "icon-park", "openclipart", "furniture"), cache)
    kit = Kit(tmp_path / "kit.zip")
    found = {sprite.style: sprite for sprite in kit.sprites if sprite.style != "noto"}
    assert {style: sprite.category for style, sprite in found.items()} == {
        "icon-park": "car",
        "openclipart-ann-artist": "cat",
        "furniture": "car",
    }
    assert {sprite.split for sprite in found.values()} == {"train"}
    assert found["openclipart-ann-artist"].colour == "green"
    shape = kit.pixels(found["openclipart-ann-artist"]).shape
    assert shape[:2] == pytest.approx((128, 128), abs=1)
    assert found["furniture"].colour == "red"
    rows = [line.split("\t") for line in kit.read(ATTRIBUTION_FILE).decode().splitlines()]
    origin = {row[0]: (row[3], row[4]) for row in rows}
    assert origin[found["openclipart-ann-artist"].path] == ("public domain", "Ann Artist")
    assert origin[found["furniture"].path][0] == "CC0-1.0"
    assert origin[found["furniture"].path][1].startswith("Bob")
    assert origin[found["icon-park"].path][0] == "Apache-2.0"


def test_icons_of_one_hue_get_others_and_keep_their_greys() -> None:
    blue = Image.new("RGBA", (2, 1), (40, 90, 200, 255))
    blue.putpixel((1, 0), (0, 0, 0, 128))
    turned = {turn_hue(blue, name).getpixel((0, 0)) for name in ("bus", "cat", "dog", "key")}
    assert len(turned) == 4
    assert turn_hue(blue, "bus").getpixel((1, 0)) == (0, 0, 0, 128)
    assert turn_hue(blue, "bus") == turn_hue(blue, "bus")


def test_icons_of_interfaces_are_coverage_and_one_set_is_held_out(built: Kit) -> None:
    assert [icon.name for icon in built.icons] == ["pet"] * 4
    assert len(built.icons_of("val")) == 1
    icon = built.icons_of("train")[0]
    assert built.coverage(icon).max() == 255
    assert built.coverage(icon).ndim == 2


def test_the_tables_of_chosen_pictures_name_known_categories_and_sources() -> None:
    rows = [line.split("\t") for line in REAL_PICTURES.read_text().splitlines()[1:]]
    assert {row[0] for row in rows} == set(PICTURE_SOURCES)
    assert {row[1] for row in rows} <= set(CHOSEN)
    assert len({tuple(row) for row in rows}) == len(rows)
    names = [line.split("\t") for line in REAL_ICONS.read_text().splitlines()]
    assert names[0] == ["name", *UI_SOURCES]
    assert all(len(row) == len(names[0]) and all(row) for row in names)
    assert len({row[0] for row in names}) == len(names)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("offensive term for someone", id="slurs are glossed as such"),
        pytest.param("He was killed in the war", id="violence"),
        pytest.param("SEXUAL relations", id="capitals"),
        pytest.param("a picture of a naked man", id="nakedness"),
    ],
)
def test_indelicate_texts_are_not_printed(text: str) -> None:
    assert not is_fit_to_print(text)


@pytest.mark.parametrize(
    "text",
    [
        "a stable of horses",
        "analysis of a class",
        "a rectangular striped hat",
        "shiny and lustrous",
    ],
)
def test_ordinary_texts_are_printed(text: str) -> None:
    assert is_fit_to_print(text)


def test_the_command_builds_a_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []

    def build(path: Path, *others: object) -> None:
        path.write_bytes(b"kit")
        made.append((path, *others))

    monkeypatch.setattr("florence2_lab.worlds.building.kit.build_kit", build)
    out, cache = tmp_path / "kit.zip", tmp_path / "cache"
    arguments = ["--cache", str(cache), "--categories", "3", "--test-styles"]
    assert main(["worlds", "build", str(out), *arguments]) == 0
    assert made == [(out, TEST_STYLES, cache, 3)]
    assert json.loads(capsys.readouterr().out) == {"kit": str(out), "bytes": 3}


def test_shipped_styles_are_not_share_alike() -> None:
    sources = EMOJI_SOURCES | ICON_SOURCES
    shipped = [sources[style] for style in SHIPPED_STYLES if style in sources]
    licences = {source.licence for source in (*shipped, *UI_SOURCES.values())}
    assert licences == {"MIT", "Apache-2.0", "CC-BY-4.0", "ISC"}
    assert all("-SA" in EMOJI_SOURCES[style].licence for style in TEST_STYLES)


def test_one_emoji_drawing_is_held_out_with_all_its_styles_and_others_remain() -> None:
    chosen = set()
    for number in range(60):
        held = held_out_styles(f"category {number}", SHIPPED_STYLES) - set(HELD_OUT_STYLES)
        drawings = {DRAWINGS.get(style, style) for style in held}
        assert len(drawings) == 1
        assert held == {s for s in EMOJI_STYLES if DRAWINGS.get(s, s) in drawings}
        chosen |= drawings
    assert chosen == {DRAWINGS.get(style, style) for style in EMOJI_STYLES}


def test_new_styles_do_not_change_what_was_held_out() -> None:
    """A model trained on an older kit must not have seen what a newer one measures with."""
    for category in CHOSEN:
        before = held_out_styles(category, EMOJI_STYLES)
        assert held_out_styles(category, (*SHIPPED_STYLES, "openclipart-somebody")) == before


def test_some_styles_are_always_held_out() -> None:
    assert held_out_styles("cat", (*SHIPPED_STYLES, *TEST_STYLES)) >= set(HELD_OUT_STYLES)
    assert held_out_styles("cat", ()) == set(HELD_OUT_STYLES)
    assert set(TEST_STYLES) < set(HELD_OUT_STYLES)


@pytest.mark.process
def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="'npm' cannot be run"):
        packages.fetch_npm("nothing", "1.0.0", tmp_path)


@pytest.mark.process
def test_a_client_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "npm"
    client.write_text("#!/bin/sh\necho no such package >&2; exit 1\n", encoding="utf-8")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(DataError, match="no such package"):
        packages.fetch_npm("nothing", "1.0.0", tmp_path / "cache")


@pytest.mark.process
def test_a_package_is_fetched_once_and_a_broken_fetch_is_redone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that fails after writing must not leave a folder that counts as fetched."""
    archive = tmp_path / "archive.tgz"
    (tmp_path / "package").mkdir()
    facts = {"name": "thing", "version": "1.0.0", "license": "MIT"}
    (tmp_path / "package" / "package.json").write_text(json.dumps(facts), encoding="utf-8")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "package", "package")
    client = tmp_path / "npm"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    cache = tmp_path / "cache"

    client.write_text("#!/bin/sh\ntouch rubbish; exit 1\n", encoding="utf-8")
    client.chmod(0o755)
    with pytest.raises(DataError):
        packages.fetch_npm("thing", "1.0.0", cache)

    client.write_text(f"#!/bin/sh\ncp {archive} . && echo archive.tgz\n", encoding="utf-8")
    package = packages.fetch_npm("thing", "1.0.0", cache)
    assert (package.version, package.licence) == ("1.0.0", "MIT")
    assert [path.name for path in package.folder.iterdir()] == ["package.json"]

    client.unlink()
    assert packages.fetch_npm("thing", "1.0.0", cache) == package
