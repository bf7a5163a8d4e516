"""Screens hold what their records say."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from florence2.answers import format_answer, parse_answer
from florence2.errors import DataError
from florence2.tasks import Task
from florence2_lab.worlds.kinds import records_of
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.screen_records import SCREEN_TASKS
from florence2_lab.worlds.screens import MIN_SIDE, Screen, screen
from florence2_lab.worlds.windows import MIN_SEEN, Window

SCREENS = 12


@pytest.fixture(scope="module")
def screens(kit: Kit) -> list[Screen]:
    return [screen(kit, 0, index, side=256) for index in range(SCREENS)]


def test_everything_lies_inside_and_nothing_overlaps(screens: list[Screen]) -> None:
    for made in screens:
        for item in made.elements:
            x_min, y_min, x_max, y_max = item.box_xyxy
            assert 0 <= x_min < x_max <= 256
            assert 0 <= y_min < y_max <= 256
        taken = np.zeros((256, 256), int)
        if any(item.label in OPENED for item in made.elements):
            continue
        for item in made.elements:
            x_min, y_min, x_max, y_max = map(int, item.box_xyxy)
            taken[y_min:y_max, x_min:x_max] += 1
        assert taken.max() <= 1


def test_a_line_covers_ink_and_leaves_none_beside_it(kit: Kit) -> None:
    """Around the box of a text, its row is as quiet as the ground that it stands on."""
    for index in range(SCREENS):
        made = screen(kit, 4, index, side=256)
        edges = cv2.Canny(cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY), 40, 90)
        for line in made.lines:
            x_min, y_min, x_max, y_max = map(int, line.box)
            assert edges[y_min - 1 : y_max + 1, x_min - 1 : x_max + 1].any(), line


def test_elements_are_found_by_their_pixels(kit: Kit) -> None:
    """A button's box is where its own colour ends."""
    seen = 0
    for index in range(40):
        made = screen(kit, 7, index, side=256)
        for item in made.elements:
            if item.label == "text field":
                x_min, y_min, x_max, y_max = map(int, item.box_xyxy)
                inside = made.image[y_min + 2, x_min + 2].astype(int)
                beside = made.image[y_min - 2, x_min + 2].astype(int)
                corner = made.image[y_max - 3, x_max - 3].astype(int)
                seen += 1
                assert np.abs(inside - corner).max() < 25
                assert made.image[y_min, x_min + 3].astype(int).mean() < inside.mean() or (
                    beside.mean() < 128
                )
    assert seen > 10


def test_every_record_is_written_and_read_back(kit: Kit) -> None:
    tasks = set()
    for index in range(SCREENS):
        for record in records_of(kit, "screens", 0, index, side=256, split="train", tasks=()):
            text = format_answer(record.result, record.task)
            parsed = parse_answer(text, record.task, record.result.image_size)
            assert parsed.malformed == 0
            assert format_answer(parsed, record.task) == text
            tasks.add(record.task)
    assert tasks == set(SCREEN_TASKS)


def test_an_icon_is_told_by_what_it_shows(kit: Kit) -> None:
    shown = {item.shows for i in range(20) for item in screen(kit, 1, i).elements}
    assert {"", "dot", "bar"} <= shown
    for index in range(20):
        for record in records_of(
            kit, "screens", 1, index, side=256, split="train", tasks=(Task.DENSE_REGION_CAPTION,)
        ):
            assert all(" icon" in label or "icon" not in label for label in record.result.labels)


def test_a_screen_too_small_for_anything_is_refused(kit: Kit) -> None:
    with pytest.raises(DataError, match=str(MIN_SIDE)):
        screen(kit, 0, 0, side=MIN_SIDE - 1)


# ---- lists that open over other things

OPENED = ("menu item", "option")


def opened(kit: Kit) -> list[tuple[Screen, np.ndarray]]:
    """Screens with an open list, and around what its entries lie."""
    found = []
    for index in range(60):
        made = screen(kit, 5, index, side=256)
        entries = [item.box_xyxy for item in made.elements if item.label in OPENED]
        if entries:
            boxes = np.array(entries)
            found.append(
                (made, np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]))
            )
    assert len(found) > 5
    return found


def common(box: tuple[float, ...], other: np.ndarray) -> float:
    """Share of a box that another one covers."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    return float(np.prod(np.clip(high - low, 0, None)) / np.prod(np.subtract(box[2:], box[:2])))


def test_an_open_list_hides_what_lies_under_it(kit: Kit) -> None:
    for made, panel in opened(kit):
        entries = [item for item in made.elements if item.label in OPENED]
        others = [item for item in made.elements if item.label not in OPENED]
        assert all(common(item.box_xyxy, panel) <= 1 - MIN_SEEN for item in others)
        texts = [item.text for item in entries]
        assert [line.text for line in made.lines[-len(texts) :]] == texts
        assert all(common(line.box, panel) == 1 for line in made.lines[-len(texts) :])
        assert all(common(line.box, panel) == 0 for line in made.lines[: -len(texts)])
        for item, below in pairwise(entries):
            assert item.box_xyxy[3] <= below.box_xyxy[1]


def test_an_open_list_begins_under_what_opens_it(kit: Kit) -> None:
    for made, panel in opened(kit):
        if any(item.label == "option" for item in made.elements):
            closed = [item.box_xyxy for item in made.elements if item.label == "drop-down"]
            assert any(0 <= panel[1] - box[3] <= 2 and box[0] <= panel[0] + 1 for box in closed)


def test_a_panel_takes_words_whole_and_trims_what_it_covers_in_part(kit: Kit) -> None:
    window = Window(np.random.default_rng(0), kit, 400, "train")
    assert window.write("one two three", 20, 100, 400)
    line = window.press.lines[0]
    two = line.word_boxes[1]
    left = round((two[0] + two[2]) / 2)
    window.add("button", (10, 80, 2 * left - 10, 120), "one two three")
    window.add("icon", (10, 130, 2 * left - 10, 170))
    window.add("slider", (left + 5, 200, left + 15, 210))
    window.cover((left, 60, 400, 250), (0, 0, 0), (0, 0, 0))
    button, icon = window.elements  # the slider is gone
    assert (button.text, window.press.lines[0].text) == ("one", "one")
    assert button.box_xyxy == (10, 80, left, 120)
    assert icon.box_xyxy == (10, 130, left, 170)
    ink = np.flatnonzero(window.press.ink.any(axis=0))
    assert line.word_boxes[0][0] <= ink[0] and ink[-1] < line.word_boxes[0][2]
