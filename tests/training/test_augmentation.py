"""Changed pictures and changed answers agree pixel by pixel; what a change would spoil is kept."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.evaluation.masks import mask_of
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import Task
from florence2.training.augmentation import Augmentation, augmented, can_cut, can_flip, cut, flipped

SIZE = (48, 32)
PLAIN = (120, 120, 120)
# One colour for each label, so that pixels tell where an object is.
COLOURS = {"apple": (250, 40, 40), "bus": (40, 250, 40), "cup": (40, 40, 250)}
BOXES = {"apple": (2, 3, 12, 9), "bus": (20, 1, 44, 12), "cup": (30, 20, 36, 30)}


def painted(boxes: dict[str, tuple[int, int, int, int]] = BOXES) -> Image.Image:
    picture = Image.new("RGB", SIZE, PLAIN)
    for label, box in boxes.items():
        picture.paste(COLOURS[label], box)
    return picture


def detection(task: Task = Task.OD) -> Record:
    labels = tuple(BOXES) if task is not Task.REGION_PROPOSAL else ("",) * len(BOXES)
    result = Boxes(np.array(list(BOXES.values()), float), labels, image_size=SIZE)
    return Record(np.asarray(painted()), task, "", None, canonical(result, task), "test")


def pixels_of(picture: Image.Image, label: str) -> list[int] | None:
    """The box around the pixels of an object, by the strongest channel."""
    values = np.asarray(picture).astype(int)
    channel = int(np.argmax(COLOURS[label]))
    others = np.delete(values, channel, axis=2).max(axis=2)
    y, x = np.nonzero(values[:, :, channel] > others + 40)
    return None if not len(x) else [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_boxes_cover_the_same_pixels_after_any_change() -> None:
    record, picture = detection(), painted()
    sizes, places = set(), set()
    for seed in range(60):
        changed, seen = augmented(record, picture, np.random.default_rng(seed))
        assert isinstance(changed.result, Boxes)
        assert seen.size == changed.result.image_size
        told = dict(zip(changed.result.labels, changed.result.xyxy.tolist(), strict=True))
        assert {label: pixels_of(seen, label) for label in COLOURS} == {
            label: told.get(label) for label in COLOURS
        }
        assert changed.result == canonical(changed.result, Task.OD)
        sizes.add(seen.size)
        places.add(tuple(told.get("apple", ())))
    assert len(sizes) > 10 and len(places) > 10  # it did change something


def test_a_change_is_a_function_of_its_draws() -> None:
    one, other = (augmented(detection(), painted(), np.random.default_rng(3)) for _ in range(2))
    assert one[0].result == other[0].result
    assert one[1].tobytes() == other[1].tobytes()


def test_a_window_leaves_no_object_in_pieces() -> None:
    record = detection()
    assert cut(record, (0, 0, 7, 32)) is None  # half of the apple
    assert cut(record, (0, 12, 20, 32)) is None  # nothing there to ask about
    kept = cut(record, (0, 0, 19, 20))
    assert kept is not None and isinstance(kept.result, Boxes)
    assert (kept.result.labels, kept.result.image_size) == (("apple",), (19, 20))
    edge = cut(record, (4, 0, 48, 32))  # four fifths of the apple
    assert edge is not None and isinstance(edge.result, Boxes)
    assert edge.result.xyxy[0].tolist() == [0, 3, 8, 9]


def test_a_region_is_cut_with_its_picture() -> None:
    text = Text("bus", image_size=SIZE)
    record = Record(np.asarray(painted()), Task.REGION_TO_CATEGORY, "", BOXES["bus"], text, "test")
    kept = cut(record, (18, 0, 48, 20))
    assert kept is not None
    assert (kept.region, kept.result.image_size) == ((2, 1, 26, 12), (30, 20))
    assert flipped(record).region == (4, 1, 28, 12)


def test_outlines_cover_the_same_pixels_in_the_mirror() -> None:
    outline = np.array([[20.0, 1.0], [44.0, 1.0], [44.0, 6.0], [28.0, 12.0]])
    polygons = Polygons(((outline,),), ("",), image_size=SIZE)
    task = Task.REFERRING_EXPRESSION_SEGMENTATION
    record = Record(np.asarray(painted()), task, "the bus", None, canonical(polygons, task), "test")
    mirrored = flipped(record)
    assert isinstance(mirrored.result, Polygons)
    assert mirrored.result == canonical(mirrored.result, task)
    assert np.array_equal(mask_of(mirrored.result), mask_of(polygons)[:, ::-1])


def test_mirroring_twice_changes_nothing() -> None:
    nothing = Polygons((), (), image_size=SIZE)
    mixed = Mixed(replace(detection().result, labels=("cup",) * 3), nothing, image_size=SIZE)
    found = Record(np.asarray(painted()), Task.OPEN_VOCABULARY_DETECTION, "cup", None, mixed, "t")
    for record in (detection(), detection(Task.REGION_PROPOSAL), found):
        assert flipped(flipped(record)).result == record.result
    assert ImageOps.mirror(painted()).tobytes() != painted().tobytes()


def test_an_order_of_its_own_is_kept() -> None:
    boxes = detection().result
    assert isinstance(boxes, Boxes)
    rows = [2, 0, 1]
    own = replace(boxes, xyxy=boxes.xyxy[rows], labels=tuple(boxes.labels[row] for row in rows))
    mirrored = flipped(replace(detection(), result=own)).result
    assert isinstance(mirrored, Boxes)
    assert mirrored.labels == own.labels


def asked(task: Task, result: Result, text_input: str = "") -> Record:
    region = (1.0, 1.0, 9.0, 9.0) if task.needs_region else None
    return Record(np.asarray(painted()), task, text_input, region, result, "test")


def labelled(*labels: str) -> Boxes:
    return Boxes(np.array([[1.0, 1, 9, 9]] * len(labels)), labels, image_size=SIZE)


def said(words: str) -> Text:
    return Text(words, image_size=SIZE)


QUADS = Quads(np.array([[[1, 1], [9, 1], [9, 5], [1, 5]]]), ("ab",), image_size=SIZE)


@pytest.mark.parametrize(
    ("record", "allowed"),
    [
        pytest.param(asked(Task.OD, labelled("car", "dog")), True, id="things"),
        pytest.param(asked(Task.CAPTION, said("A bright red car.")), True, id="caption"),
        pytest.param(asked(Task.CAPTION, said("A car on the right.")), False, id="right"),
        pytest.param(asked(Task.CAPTION, said("the leftmost car")), False, id="leftmost"),
        pytest.param(asked(Task.CAPTION, said('A sign that says "STOP".')), False, id="quoted"),
        pytest.param(asked(Task.CAPTION, said("ein Auto links")), False, id="German"),
        pytest.param(asked(Task.OD, labelled("car", "left arrow")), False, id="label"),
        pytest.param(asked(Task.OD, labelled("b", "d")), False, id="letters"),
        pytest.param(asked(Task.OD, labelled("12")), False, id="digits"),
        pytest.param(
            asked(Task.CAPTION_TO_PHRASE_GROUNDING, labelled("a car"), "a car on the left"),
            False,
            id="text input",
        ),
        pytest.param(asked(Task.OCR, said("exit")), False, id="reading"),
        pytest.param(asked(Task.OCR_WITH_REGION, QUADS), False, id="placed reading"),
        pytest.param(asked(Task.REGION_TO_CATEGORY, said("car")), True, id="region"),
        pytest.param(
            replace(asked(Task.CAPTION, said("seven")), prompt="<COUNT>cars"),
            False,
            id="own prompt",
        ),
    ],
)
def test_only_answers_that_stay_true_are_mirrored(record: Record, allowed: bool) -> None:
    assert can_flip(record) is allowed


def test_only_questions_about_the_objects_in_sight_are_cut() -> None:
    kept: Sequence[Task] = [
        record.task
        for record in (
            detection(),
            detection(Task.REGION_PROPOSAL),
            asked(Task.REGION_TO_CATEGORY, said("car")),
            asked(Task.CAPTION, said("A car and a dog.")),
            asked(Task.OCR, said("exit")),
            asked(Task.OCR_WITH_REGION, QUADS),
        )
        if can_cut(record)
    ]
    assert kept == [Task.OD, Task.REGION_PROPOSAL, Task.REGION_TO_CATEGORY]


SIDES = (
    *("left", "right", "northeast", "links", "rechts", "gauche", "droite", "izquierda", "derecha"),
    *("sinistra", "destra", "esquerda", "direita", "vänster", "høyre", "vasen", "lewo", "prawo"),
    *("vlevo", "balra", "sağ", "kiri", "налево", "правый", "лівий", "左", "右折", "왼쪽", "ซ้าย"),
)
AS_WRITTEN = (
    *(
        "{}",
        "turn {}",
        "turn_{}",
        "{}_turn",
        "arrow-{}",
        "arrow.{}",
        "TURN_{}",
        "hand{}2",
        "pfeil {}",
    ),
)


@pytest.mark.parametrize("side", SIDES)
def test_names_of_sides_are_known_as_people_write_them(side: str) -> None:
    """There is no word boundary between "_" and a letter, nor inside TurnLeft."""
    names = [form.format(side) for form in AS_WRITTEN]
    if side.isascii():
        names += [f"turn{side.title()}", f"{side}Arrow", f"Keep{side.title()}Now", side.upper()]
    for name in names:
        for form in ("NFC", "NFD"):
            record = asked(Task.OD, labelled("car", unicodedata.normalize(form, name)))
            assert not can_flip(record), name


@pytest.mark.parametrize(
    "name",
    [
        *("speed limit 60", "number_7", "plate_text", "LicensePlate", "mp3player", "stop sign"),
        *("Kennzeichen", "b", "12", "车牌", "exit says", "A person beside a STOP board."),
    ],
)
def test_names_with_digits_and_writing_are_known(name: str) -> None:
    assert not can_flip(asked(Task.OD, labelled("car", name)))


def test_other_names_are_mirrored() -> None:
    names = (
        *(
            "car",
            "train",
            "portrait",
            "soldier",
            "Bright Lamp",
            "CAR",
            "TrafficLight",
            "destination",
        ),
        *("sofa", "Auto", "voiture", "машина", "汽车", "trailer", "upright piano"),
    )
    for name in names:
        assert can_flip(asked(Task.OD, labelled(name))), name


def test_a_user_can_say_what_is_mirrored() -> None:
    record = asked(Task.OD, labelled("car", "Guitar"))
    assert can_flip(record)
    assert not can_flip(record, Augmentation(fixed_names=("guitar",)))
    assert not can_flip(record, Augmentation(mirror=False))
    for seed in range(20):
        _, seen = augmented(
            record, painted(), np.random.default_rng(seed), Augmentation(mirror=False)
        )
        assert seen.size[0] <= SIZE[0]


@pytest.mark.parametrize(
    "name",
    [
        *("arrowleft", "turnright", "hand_l", "hand.r", "L_hand", "Arrow-L", "stânga", "dreapta"),
        *("наліво", "αριστερά", "izq", "jobb", "newspaper", "book_title", "price_tag"),
    ],
)
def test_sides_at_the_end_of_words_and_letters_for_sides_are_known(name: str) -> None:
    assert not can_flip(asked(Task.OD, labelled("car", name)))
    assert can_flip(asked(Task.OD, labelled("upright piano", "bright lamp", "over")))
