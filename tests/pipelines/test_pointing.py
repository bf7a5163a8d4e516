"""The point to click: on screens drawn here, with eyes that read without fault."""

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from florence2 import Boxes, ConfigError, Florence2, TaskError
from florence2.answers.defaults import ReadingDefaults
from florence2.geometry import Array, Box, box_to_quad
from florence2.pipelines.pointing import locate as pointing
from florence2.pipelines.pointing.icon_names import ICON_NAMES, icon_names_for
from florence2.pipelines.pointing.icons import SeenIcons
from florence2.pipelines.pointing.locate import Screen, click_point, icon_score
from florence2.pipelines.pointing.shapes import frame_boxes, icon_boxes
from florence2.pipelines.pointing.wording import best_span, parse_wanted, similarity
from florence2.pipelines.reading.lines import Line, ReadLines, Word
from florence2_lab.worlds.building.ui_icons import TABLE

SIZE = 640, 400
TEXTS = {  # where texts begin
    "Save": (60, 43), "Save your work before you leave": (40, 100), "E-mail address": (40, 140),
    "Street": (40, 211), "City": (340, 143), "Sign in": (240, 43), "Trash": (500, 43),
    "Cookies": (40, 330),
}  # fmt: skip
FRAMES = {
    "save": (40, 34, 120, 66), "sign in": (220, 34, 320, 66), "e-mail": (40, 160, 300, 196),
    "street": (40, 230, 300, 266), "city": (400, 134, 560, 166),
}  # fmt: skip
ICONS = {"search": (400, 300, 420, 320), "menu": (460, 300, 482, 318), "plus": (540, 300, 556, 316)}


def screen_picture() -> Image.Image:
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    for box in FRAMES.values():
        draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline=(150, 150, 160))
    font = ImageFont.load_default(14)
    for text, place in TEXTS.items():
        draw.text(place, text, fill=(30, 30, 30), font=font)
    x, y, right, bottom = ICONS["search"]
    draw.ellipse((x, y, right - 6, bottom - 6), outline="black", width=2)
    draw.line((right - 8, bottom - 8, right - 1, bottom - 1), fill="black", width=2)
    x, y, right, bottom = ICONS["menu"]
    for row in (y, y + 8, bottom - 2):
        draw.rectangle((x, row, right - 1, row + 1), fill="black")
    x, y, right, bottom = ICONS["plus"]
    draw.rectangle((x, y + 7, right - 1, y + 8), fill="black")
    draw.rectangle((x + 7, y, x + 8, bottom - 1), fill="black")
    return picture


def lines() -> tuple[Line, ...]:
    font = ImageFont.load_default(14)
    found = []
    for text, (x, y) in TEXTS.items():
        words = []
        for number, word in enumerate(text.split()):
            start = x + font.getlength(" ".join(text.split()[:number]) + " " * bool(number))
            words.append(
                Word(word, box_to_quad((start, y, start + font.getlength(word), y + 16)), 1.0)
            )
        quad = box_to_quad((x, y, x + font.getlength(text), y + 16))
        found.append(Line(text, quad, tuple(words), 0.99, letter_height=11.0))
    return tuple(found)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen of an engine that must not be asked, but for icons, which are known by place."""
    read = ReadLines(lines(), (), SIZE)
    monkeypatch.setattr(pointing, "read_lines", lambda *_, **__: read)

    def scores(icons: SeenIcons, words: str) -> Array:
        place = ICONS.get(words)
        return np.array([0.9 if place and near(box, place) else 1e-6 for box in icons.boxes])

    monkeypatch.setattr(SeenIcons, "scores", scores)
    monkeypatch.setattr(SeenIcons, "shares", lambda icons, words, rows: scores(icons, words)[rows])
    return Screen(stub_engine(rows=1), screen_picture())


def stub_engine(rows: int) -> Any:
    return SimpleNamespace(defaults=SimpleNamespace(reading=ReadingDefaults(rows=rows)))


def near(box: Array, place: Box) -> bool:
    return bool(np.abs(np.array(place) - box).max() <= 2)


def inside(point: tuple[float, float] | None, box: Box) -> bool:
    return point is not None and box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def place_of(text: str) -> Box:
    return next(line.box for line in lines() if line.text == text)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("Sign in", FRAMES["sign in"]),
        ("SIGN-IN button", FRAMES["sign in"]),
        ("click on 'Sign in'", FRAMES["sign in"]),
        ("5ign ln", FRAMES["sign in"]),
        ("the Save button", FRAMES["save"]),
        ("click Save", FRAMES["save"]),
        ("Save", FRAMES["save"]),
        ("before you leave", place_of("Save your work before you leave")),
        ("Cookies link", place_of("Cookies")),
        ("e-mail address field", FRAMES["e-mail"]),
        ("Street input", FRAMES["street"]),
        ("City text box", FRAMES["city"]),
        ("search icon", ICONS["search"]),
        ("menu", ICONS["menu"]),
        ("plus", ICONS["plus"]),
        ("Trash", place_of("Trash")),
    ],
)
def test_the_point_is_in_the_part_that_is_named(screen: Screen, words: str, wanted: Box) -> None:
    found = screen.locate(words)
    assert inside(click_point(found), wanted), (found.labels[:3], found.xyxy[:3])
    assert found.scores == tuple(sorted(found.scores or (), key=lambda each: -(each or 0.0)))
    assert all(0.0 <= (score or 0.0) <= 1.0 for score in found.scores)


@pytest.mark.parametrize(
    "words", ["Kerosene", "anchor icon", "umbrella", "Billing address field", "worn"]
)
def test_what_is_not_there_is_not_pointed_at(screen: Screen, words: str) -> None:
    found = screen.locate(words)
    assert click_point(found) is None and found.image_size == SIZE


@pytest.mark.parametrize(
    ("words", "min_score", "error", "told"),
    [
        ("", 0.5, TaskError, "asked for by words"),
        (" ?! ", 0.5, TaskError, "asked for by words"),
        (None, 0.5, TaskError, "asked for by words"),
        ("Save", 1.5, ConfigError, "from 0 to 1"),
    ],
)
def test_mistakes_are_told(
    screen: Screen, words: Any, min_score: float, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        screen.locate(words, min_score=min_score)


def test_icons_and_frames_are_found_on_light_and_on_dark() -> None:
    gray = np.asarray(screen_picture().convert("L"))
    for shown in (gray, 255 - gray):
        icons, frames = icon_boxes(shown), frame_boxes(shown)
        for place in ICONS.values():
            assert any(near(box, place) for box in icons), place
        for place in FRAMES.values():
            assert any(near(box, place) for box in frames), place
        # What lies between two fields, one below the other, is none.
        assert not any(near(box, (40, 196, 300, 230)) for box in frames)


def test_letters_of_lines_that_were_surely_read_are_not_taken_for_icons(screen: Screen) -> None:
    long = place_of("Save your work before you leave")
    assert not any(
        long[1] <= y <= long[3] for y in screen.icons.boxes.reshape(-1, 2, 2).mean(axis=1)[:, 1]
    )


@pytest.mark.parametrize("size", [(1, 1), (300, 1), (1, 300), (2, 2), (40, 40)])
def test_tiny_pictures_have_no_parts(size: tuple[int, int]) -> None:
    gray = np.full(size[::-1], 200, np.uint8)
    assert icon_boxes(gray).shape == frame_boxes(gray).shape == (0, 4)


def test_noise_and_stripes_are_looked_at_in_bounded_memory() -> None:
    stripes = np.zeros((1200, 900), np.uint8)
    stripes[::2, 100:800] = 255
    for gray in (np.random.default_rng(1).integers(0, 256, (600, 800), np.uint8), stripes):
        tracemalloc.start()
        assert len(icon_boxes(gray)) <= 400 and len(frame_boxes(gray)) <= 1500
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 300e6


@pytest.mark.parametrize(
    ("asked", "core", "kind"),
    [
        ("Sign in", "sign in", ""),
        ("press the OK button", "ok", "button"),
        ("menu", "", "menu"),
        ("File menu item", "file", "menu"),
        ("search icon", "search", "icon"),
        ("link icon", "link", "icon"),
        ("menu icon button", "menu", "icon"),
        ("Select all", "all", ""),
        ("File menu menu item", "file menu", "menu"),
        ("Straße field", "strasse", "field"),
        ("Open", "open", ""),
    ],
)
def test_words_for_the_kind_of_part_are_told_from_its_name(
    asked: str, core: str, kind: str
) -> None:
    wanted = parse_wanted(asked)
    assert (wanted.core, wanted.kind) == (core, kind)


def test_likeness_of_read_words() -> None:
    assert similarity("d0cumentation", "documentation") > similarity("dacumentation", "documantion")
    assert similarity("ok", "cancel") == similarity("", "ok") == similarity("", "") == 0.0
    assert best_span(("the", "sign", "", "in", "page"), "sign in") == (1.0, 1, 4)
    assert [icon_score(each) for each in (0.0, 1.0)] == [0.0, 1.0]


def test_nanos_icons_are_those_that_it_was_taught_with_what_people_call_them() -> None:
    rows = TABLE.read_text("utf-8").splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == list(ICON_NAMES)
    for words, name in (("Bin", "trash"), ("magnifier", "search"), ("hamburger menu", "menu")):
        assert icon_names_for(words) == (name,)
    assert icon_names_for("rocket") == ("rocket",)


def test_crops_are_scored_by_the_model_itself(tiny_folder: Path) -> None:
    boxes = np.array([*ICONS.values(), (0, 0, 12, 12), (630, 390, 640, 400)], np.float64)
    with Florence2.load(str(tiny_folder), device="cpu") as model:
        icons = SeenIcons(model.engine, screen_picture(), boxes)
        first, again = icons.scores("search"), icons.scores("search")
        shares = icons.shares("search", [1, 0])
        every = [icons.shares(name, [1])[0] for name in ICON_NAMES]
        assert SeenIcons(model.engine, screen_picture(), boxes[:0]).scores("search").shape == (0,)
    assert shares.shape == (2,) and shares[0] == every[0] and abs(sum(every) - 1.0) < 1e-6
    assert first.shape == (5,) and ((first >= 0) & (first <= 1)).all() and first.std() > 0
    assert np.allclose(first, again, rtol=1e-4)


def test_other_checkpoints_are_asked_for_icons_in_the_whole_picture(tiny_folder: Path) -> None:
    with Florence2.load(str(tiny_folder), device="cpu") as model:
        found = model.locate(screen_picture(), "search icon", min_score=0.0)
    assert isinstance(found, Boxes) and found.image_size == SIZE
