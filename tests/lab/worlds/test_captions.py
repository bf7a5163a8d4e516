"""Captions say what is there, where it is, and what is written; and nothing else."""

import re
from dataclasses import replace

import numpy as np

from florence2_lab.worlds import sentences
from florence2_lab.worlds.captions import brief_caption, detailed_caption, paragraph_caption
from florence2_lab.worlds.clutter import StrayText
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import Scene, SceneObject, SceneOptions, scene

CROWDED = SceneOptions(min_objects=2, max_objects=6, max_size=0.8)
CLUTTERED = SceneOptions(min_objects=1, max_objects=3, clutter=1.0, wear=0.0)


def tables() -> list[tuple[str, ...]]:
    return [value for name, value in vars(sentences).items() if name.isupper()]


def one_object(**changes: object) -> Scene:
    numbers = np.zeros((100, 100), np.uint8)
    numbers[40:60, 5:25] = 1
    item = SceneObject("apple", 1, (5.0, 40.0, 25.0, 60.0), 1.0, "drawn", "red")
    image = np.zeros((100, 100, 3), np.uint8)
    made = Scene(image, (item,), numbers, numbers.astype(np.int16), "a grey ground", "scene/t/0/1")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_there_are_many_patterns_and_none_twice() -> None:
    patterns = [pattern for table in tables() for pattern in table]
    assert len(patterns) >= 30
    assert len(set(patterns)) == len(patterns)


def test_every_pattern_is_told_in_the_end(kit: Kit) -> None:
    """A pattern that no caption uses would be a rule that nobody reads."""
    told: set[str] = set()
    text = StrayText("EXIT 7", (60, 5, 90, 20))
    for index in range(250):
        made = scene(kit, 0, index, side=64, options=CROWDED)
        made = replace(made, texts=(text,), source=f"{index}")
        empty = one_object(objects=(), instance_map=made.instance_map * 0, source=f"{index}")
        told.update(re.split(r"(?<=\.) ", paragraph_caption(made) + " " + detailed_caption(made)))
        told.update([detailed_caption(empty)])
    for pattern in (pattern for table in tables() for pattern in table):
        parts = re.split(r"\{\w+\}", pattern)
        form = re.compile(".+".join(map(re.escape, parts)) + r"\.", re.IGNORECASE)
        assert any(form.fullmatch(each) for each in told), pattern


def test_captions_grow_with_the_detail(kit: Kit) -> None:
    tellers = (brief_caption, detailed_caption, paragraph_caption)
    made = [scene(kit, 1, index, options=CROWDED) for index in range(60)]
    lengths = np.array([[len(tell(each).split()) for tell in tellers] for each in made])
    brief, detailed, paragraph = lengths.mean(axis=0)
    assert brief < detailed < paragraph


def test_captions_are_sentences_without_holes(kit: Kit) -> None:
    for index in range(60):
        made = scene(kit, 2, index, options=CROWDED)
        for tell in (detailed_caption, paragraph_caption):
            caption = tell(made)
            assert caption == tell(made)
            assert not re.search(r"[{}]|  |None|\ba [aeio]", caption)
            assert re.fullmatch(r"([A-Z][^.]+\.( |$))+", caption), caption
            assert made.ground in caption


def test_a_caption_tells_the_place_and_the_attributes() -> None:
    caption = paragraph_caption(one_object())
    assert "red apple" in caption
    assert "small red apple" in caption
    assert re.search("on the left", caption, re.IGNORECASE)


def test_nothing_is_told_of_nothing() -> None:
    empty = one_object(objects=(), instance_map=np.zeros((100, 100), np.uint8))
    for tell in (detailed_caption, paragraph_caption):
        caption = tell(empty)
        assert "a grey ground" in caption
        assert "apple" not in caption
        assert caption.count(".") == 1


def test_stray_text_is_read_aloud_with_its_place() -> None:
    made = one_object(texts=(StrayText("EXIT 7", (60, 5, 90, 20)),))
    for tell in (detailed_caption, paragraph_caption):
        assert re.search(r'"EXIT 7".*in the top right corner|corner.*"EXIT 7"', tell(made))


def test_stray_text_of_scenes_is_seen_and_not_covered(kit: Kit) -> None:
    seen = 0
    for split in ("train", "val"):
        for index in range(60):
            made = scene(kit, 5, index, side=128, split=split, options=CLUTTERED)
            for text in made.texts:
                x_min, y_min, x_max, y_max = text.box_xyxy
                assert not made.instance_map[y_min:y_max, x_min:x_max].any()
                assert made.image[y_min:y_max, x_min:x_max].std() > 5
                assert split == "train" or text.text == text.text.upper()
                seen += 1
    assert seen > 10
