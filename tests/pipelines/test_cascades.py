"""Chains of questions, on a tiny model of random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2 import (
    Boxes,
    ConfigError,
    Florence2,
    GenerationOptions,
    Quads,
    Request,
    Task,
    TaskError,
    Tiles,
)
from florence2.pipelines.cascades import (
    CascadeResult,
    batch_classes,
    class_agnostic_nms,
    describe_objects,
    detect_classes,
    ground_caption,
    ocr_layout,
)
from watched_engine import WatchedEngine

SHORT = GenerationOptions(num_beams=1, max_new_tokens=12, grammar=True)
SIZE = (90, 50)
CLASSES = ["car", "dog", "a red bus", "bee", "cat"]


@pytest.fixture
def engine(tiny_folder: Path) -> WatchedEngine:
    watched = WatchedEngine(Florence2.load(str(tiny_folder), device="cpu"), SHORT)
    watched.caption_text = ""
    return watched


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(pixels)


CASCADES = {
    "ground": ground_caption,
    "describe": describe_objects,
    "classes": lambda engine, image, **how: detect_classes(engine, image, CLASSES, **how),
    "layout": ocr_layout,
}


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
@pytest.mark.parametrize("tiles", [None, Tiles(grid=(2, 1))], ids=["at once", "tiles"])
def test_every_cascade_tells_objects_of_the_whole_picture_with_scores(
    engine: WatchedEngine, noise: Image.Image, cascade, tiles: Tiles | None
) -> None:
    engine.caption_text = "a car"
    found = cascade(engine, noise, tiles=tiles)
    assert isinstance(found, CascadeResult)
    assert found.objects.image_size == SIZE
    assert found.objects.malformed == 0
    assert found.objects.labels == () or None not in (found.objects.scores or [None])
    assert json.loads(json.dumps(found.to_dict()))["objects"] == found.objects.to_dict()


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
def test_a_picture_is_encoded_once(engine: WatchedEngine, noise: Image.Image, cascade) -> None:
    engine.caption_text = "a car"
    cascade(engine, noise)
    assert engine.num_encoded == 1


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
def test_weak_objects_are_left_out(engine: WatchedEngine, noise: Image.Image, cascade) -> None:
    assert cascade(engine, noise, min_score=1.0).objects.labels == ()


def test_the_caption_is_what_is_grounded(engine: WatchedEngine, noise: Image.Image) -> None:
    engine.caption_text = "a car and a dog"
    found = ground_caption(engine, noise)
    assert found.text is not None and found.text.text == engine.caption_text
    request = Request(noise, Task.CAPTION_TO_PHRASE_GROUNDING, engine.caption_text)
    assert found.objects == engine.answer([request])[0].result
    assert len(found.objects.labels) > 0


def test_an_empty_caption_has_no_phrases(engine: WatchedEngine, noise: Image.Image) -> None:
    assert ground_caption(engine, noise).objects.labels == ()
    assert len(engine.batches) == 1


def test_only_captions_are_grounded(engine: WatchedEngine, noise: Image.Image) -> None:
    with pytest.raises(TaskError, match="writes no caption; choose one of caption, "):
        ground_caption(engine, noise, "od")


def test_each_object_has_the_description_of_its_region(
    engine: WatchedEngine, noise: Image.Image
) -> None:
    found = describe_objects(engine, noise)
    assert isinstance(found.objects, Boxes) and len(found.objects.labels) > 0
    assert len(found.descriptions) == len(found.objects.labels)
    region = found.objects.xyxy[0].tolist()
    request = Request(noise, Task.REGION_TO_DESCRIPTION, region=region)
    assert found.descriptions[0] == engine.answer([request])[0].result


def test_classes_are_asked_side_by_side_and_nothing_else_is_named(
    engine: WatchedEngine, noise: Image.Image
) -> None:
    found = detect_classes(engine, noise, CLASSES, per_question=2)
    (batch,) = engine.batches
    assert [each.text_input for each in batch] == ["car<and>dog", "a red bus<and>bee", "cat"]
    assert set(found.objects.labels) <= set(CLASSES)


def test_questions_hold_what_fits_and_no_class_twice() -> None:
    names = ["a", "bb", "cc", "dddddd", "e"]
    asked = list(batch_classes(names, 3, fits=lambda words: len(words) <= 14))
    assert asked == ["a<and>bb", "cc<and>dddddd", "e"]


@pytest.mark.parametrize("classes", [[], "car", ["car", " "]])
def test_a_list_of_classes_is_needed(
    engine: WatchedEngine, noise: Image.Image, classes: object
) -> None:
    with pytest.raises(TaskError, match="give one name or more"):
        detect_classes(engine, noise, classes)  # type: ignore[arg-type]


def test_a_question_asks_for_at_least_one_class(engine: WatchedEngine, noise: Image.Image) -> None:
    with pytest.raises(ConfigError, match="per_question must be 1 or more"):
        detect_classes(engine, noise, CLASSES, per_question=0)


def test_one_box_has_the_surest_of_its_names() -> None:
    def answer(label: str, *rows: tuple[list[float], float]) -> Boxes:
        boxes, scores = [box for box, _ in rows], [score for _, score in rows]
        return Boxes(boxes, [label] * len(rows), scores, image_size=(100, 100))

    dogs = answer("dog", ([0, 0, 50, 50], 0.6), ([0, 0, 49, 50], 0.5), ([60, 0, 90, 30], 0.2))
    cats = answer("cat", ([0, 0, 50, 48], 0.55), ([60, 1, 90, 30], 0.3), ([0, 60, 9, 99], 0.1))
    found = class_agnostic_nms([dogs, cats])
    pairs = list(zip(found.labels, found.scores or (), strict=True))
    assert pairs == [("dog", 0.6), ("dog", 0.5), ("cat", 0.3), ("cat", 0.1)]


def test_a_layout_tells_lines_blocks_and_the_text_of_the_page(
    engine: WatchedEngine, noise: Image.Image
) -> None:
    found = ocr_layout(engine, noise, tiles=Tiles(grid=(3, 2)))
    assert isinstance(found.objects, Quads) and found.text is not None
    assert len(found.blocks) == len(found.objects.labels) > 1
    assert found.text.text.replace("\n\n", "\n") == "\n".join(found.objects.labels)
    assert found.text.text.count("\n\n") == found.blocks[-1]
