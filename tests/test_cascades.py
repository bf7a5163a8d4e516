"""Chains of questions, on a tiny model of random weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2 import (
    Boxes,
    ConfigError,
    Florence2,
    GenerationOptions,
    Limits,
    Quads,
    Request,
    Task,
    TaskError,
    Tiles,
)
from florence2.cascades import (
    Cascaded,
    describe_objects,
    detect_classes,
    ground_caption,
    one_name_each,
    questions_of,
    read_layout,
)

ALONE = Limits(max_running=1, max_begin=1)
SHORT = GenerationOptions(num_beams=1, max_new_tokens=12, grammar=True)
SIZE = (90, 50)
CLASSES = ["car", "dog", "a red bus", "bee", "cat"]


class Watched(Florence2):
    """Keeps the requests of every batch, and counts how often a picture is encoded.

    Its captions can be given: random weights hardly ever write words.
    """

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.batches: list[list[Request]] = []
        self.encoded = 0
        self.caption_text = ""

    def encode_image(self, image):  # type: ignore[no-untyped-def]
        self.encoded += isinstance(image, Image.Image)
        return super().encode_image(image)

    def answer_many(self, requests, generation=None, batch_size=32):  # type: ignore[no-untyped-def]
        asked = list(requests)
        self.batches.append(asked)
        answers = super().answer_many(asked, generation, batch_size)
        for request, answer in zip(asked, answers, strict=True):
            if request.task is Task.CAPTION:
                answer = replace(answer, result=replace(answer.result, text=self.caption_text))
            yield answer


@pytest.fixture
def model(tiny_folder: Path) -> Watched:
    """What runs beside a request changes its last digits, and random weights have near ties."""
    loaded = Florence2.load(str(tiny_folder), device="cpu")
    return Watched(loaded.model, loaded.processor, name=loaded.name, generation=SHORT, limits=ALONE)


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(pixels)


CASCADES = {
    "ground": ground_caption,
    "describe": describe_objects,
    "classes": lambda model, image, **how: detect_classes(model, image, CLASSES, **how),
    "layout": read_layout,
}


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
@pytest.mark.parametrize("tiles", [None, Tiles(grid=(2, 1))], ids=["at once", "tiles"])
def test_every_cascade_tells_objects_of_the_whole_picture_with_scores(
    model: Watched, noise: Image.Image, cascade, tiles: Tiles | None
) -> None:
    model.caption_text = "a car"
    found = cascade(model, noise, tiles=tiles)
    assert isinstance(found, Cascaded)
    assert found.objects.image_size == SIZE
    assert found.objects.malformed == 0
    assert found.objects.labels == () or None not in (found.objects.scores or [None])
    assert json.loads(json.dumps(found.to_dict()))["objects"] == found.objects.to_dict()


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
def test_a_picture_is_encoded_once(model: Watched, noise: Image.Image, cascade) -> None:
    model.caption_text = "a car"
    cascade(model, noise)
    assert model.encoded == 1


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
def test_weak_objects_are_left_out(model: Watched, noise: Image.Image, cascade) -> None:
    assert cascade(model, noise, min_score=1.0).objects.labels == ()


def test_the_caption_is_what_is_grounded(model: Watched, noise: Image.Image) -> None:
    model.caption_text = "a car and a dog"
    found = ground_caption(model, noise)
    assert found.text is not None and found.text.text == model.caption_text
    assert found.objects == model.ground(noise, model.caption_text)
    assert len(found.objects.labels) > 0


def test_an_empty_caption_has_no_phrases(model: Watched, noise: Image.Image) -> None:
    assert ground_caption(model, noise).objects.labels == ()
    assert len(model.batches) == 1


def test_only_captions_are_grounded(model: Watched, noise: Image.Image) -> None:
    with pytest.raises(TaskError, match="writes no caption; choose one of caption, "):
        ground_caption(model, noise, "od")


def test_each_object_has_the_description_of_its_region(model: Watched, noise: Image.Image) -> None:
    found = describe_objects(model, noise)
    assert isinstance(found.objects, Boxes) and len(found.objects.labels) > 0
    assert len(found.descriptions) == len(found.objects.labels)
    region = found.objects.xyxy[0].tolist()
    assert found.descriptions[0].text == model.describe_region(noise, region).text


def test_classes_are_asked_side_by_side_and_nothing_else_is_named(
    model: Watched, noise: Image.Image
) -> None:
    found = detect_classes(model, noise, CLASSES, per_question=2)
    (batch,) = model.batches
    assert [each.text_input for each in batch] == ["car<and>dog", "a red bus<and>bee", "cat"]
    assert set(found.objects.labels) <= set(CLASSES)


def test_questions_hold_what_fits_and_no_class_twice() -> None:
    names = ["a", "bb", "cc", "dddddd", "e"]
    asked = list(questions_of(names, 3, fits=lambda words: len(words) <= 14))
    assert asked == ["a<and>bb", "cc<and>dddddd", "e"]


@pytest.mark.parametrize("classes", [[], "car", ["car", " "]])
def test_a_list_of_classes_is_needed(model: Watched, noise: Image.Image, classes: object) -> None:
    with pytest.raises(TaskError, match="give one name or more"):
        detect_classes(model, noise, classes)  # type: ignore[arg-type]


def test_a_question_asks_for_at_least_one_class(model: Watched, noise: Image.Image) -> None:
    with pytest.raises(ConfigError, match="per_question must be 1 or more"):
        detect_classes(model, noise, CLASSES, per_question=0)


def test_one_box_has_the_surest_of_its_names() -> None:
    def answer(label: str, *rows: tuple[list[float], float]) -> Boxes:
        boxes, scores = [box for box, _ in rows], [score for _, score in rows]
        return Boxes(boxes, [label] * len(rows), scores, image_size=(100, 100))

    dogs = answer("dog", ([0, 0, 50, 50], 0.6), ([0, 0, 49, 50], 0.5), ([60, 0, 90, 30], 0.2))
    cats = answer("cat", ([0, 0, 50, 48], 0.55), ([60, 1, 90, 30], 0.3), ([0, 60, 9, 99], 0.1))
    found = one_name_each([dogs, cats])
    told = list(zip(found.labels, found.scores or (), strict=True))
    assert told == [("dog", 0.6), ("dog", 0.5), ("cat", 0.3), ("cat", 0.1)]


def test_a_layout_tells_lines_blocks_and_the_text_of_the_page(
    model: Watched, noise: Image.Image
) -> None:
    found = read_layout(model, noise, tiles=Tiles(grid=(3, 2)))
    assert isinstance(found.objects, Quads) and found.text is not None
    assert len(found.blocks) == len(found.objects.labels) > 1
    assert found.text.text.replace("\n\n", "\n") == "\n".join(found.objects.labels)
    assert found.text.text.count("\n\n") == found.blocks[-1]
