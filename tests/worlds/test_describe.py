"""Records order, group and phrase what a maker knows as Florence-2 would write it."""

import numpy as np
import pytest

from florence2.answers import format_answer, parse_answer
from florence2.errors import DataError
from florence2.results import Boxes, Mixed, Quads, Text
from florence2.tasks import Task
from florence2.worlds.describe import (
    LINE_TASKS,
    SCENE_TASKS,
    brief_caption,
    line_records,
    scene_records,
)
from florence2.worlds.kit import Kit
from florence2.worlds.lines import line
from florence2.worlds.scenes import Scene, SceneObject, SceneOptions, scene

CROWDED = SceneOptions(min_objects=3, max_objects=6)


def item(label: str, *box_xyxy: float, colour: str | None = None) -> SceneObject:
    return SceneObject(label, 1, box_xyxy, 1.0, "drawn", colour)  # type: ignore[arg-type]


def drawn(*objects: SceneObject) -> Scene:
    image = np.zeros((100, 200, 3), np.uint8)
    numbers = np.zeros((100, 200), np.uint8)
    return Scene(image, objects, numbers, numbers.astype(np.int16), "a flat ground", "scene/t/0/1")


ZOO = drawn(
    item("dog", 0, 0, 10, 10),
    item("cat", 50, 0, 60, 10),
    item("cat", 100, 0, 140, 40, colour="red"),
    item("apple", 0, 50, 5, 55, colour="green"),
)


def test_detection_is_alphabetical_and_from_large_to_small_within_a_label() -> None:
    (record,) = scene_records(ZOO, (Task.OD,))
    assert isinstance(record.result, Boxes)
    assert record.result.labels == ("apple", "cat", "cat", "dog")
    assert record.result.xyxy.tolist() == [
        [0, 50, 5, 55],
        [100, 0, 140, 40],
        [50, 0, 60, 10],
        [0, 0, 10, 10],
    ]
    assert record.result.image_size == (200, 100)


def test_a_caption_tells_the_largest_first_and_a_colour_that_all_share() -> None:
    assert brief_caption(ZOO) == "two cats, a dog and a green apple on a flat ground"
    assert brief_caption(drawn()) == "a flat ground"


def test_grounded_phrases_follow_the_caption() -> None:
    (record,) = scene_records(ZOO, (Task.CAPTION_TO_PHRASE_GROUNDING,))
    assert isinstance(record.result, Boxes)
    assert record.text_input == brief_caption(ZOO)
    assert record.result.labels == ("two cats", "two cats", "a dog", "a green apple")
    assert record.result.xyxy[0].tolist() == [100, 0, 140, 40]


def test_open_vocabulary_detection_asks_for_a_label_that_is_there() -> None:
    (record,) = scene_records(ZOO, (Task.OPEN_VOCABULARY_DETECTION,))
    assert isinstance(record.result, Mixed)
    wanted = sum(item.label == record.text_input for item in ZOO.objects)
    assert record.result.boxes.labels == (record.text_input,) * wanted
    assert record.result.polygons.polygons == ()


def test_a_region_is_the_box_of_the_object_that_it_names() -> None:
    (record,) = scene_records(ZOO, (Task.REGION_TO_CATEGORY,))
    assert isinstance(record.result, Text)
    assert (record.result.text, record.region) in {
        (item.label, item.box_xyxy) for item in ZOO.objects
    }


def test_an_empty_scene_has_records_only_of_tasks_that_can_answer_nothing() -> None:
    assert [record.task for record in scene_records(drawn())] == [Task.OD, Task.CAPTION]


def test_lines_are_read_and_placed(kit: Kit) -> None:
    made = line(kit, 0, 0)
    read, placed = line_records(made)
    assert isinstance(read.result, Text)
    assert read.result.text == made.text
    assert isinstance(placed.result, Quads)
    assert placed.result.labels == (made.text,)
    assert np.array_equal(placed.result.quads[0], made.quad)


def test_every_record_becomes_an_answer_that_reads_back_as_the_same(kit: Kit) -> None:
    for index in range(10):
        records = [
            *scene_records(scene(kit, 0, index, options=CROWDED)),
            *line_records(line(kit, 0, index)),
        ]
        assert {record.task for record in records} == {*SCENE_TASKS, *LINE_TASKS}
        for record in records:
            answer = format_answer(record.result, record.task)
            parsed = parse_answer(answer, record.task, record.result.image_size)
            assert parsed.malformed == 0
            assert format_answer(parsed, record.task) == answer


@pytest.mark.parametrize("records", [scene_records, line_records])
def test_a_task_that_a_maker_cannot_ask_is_named(kit: Kit, records: object) -> None:
    made = ZOO if records is scene_records else line(kit, 0, 0)
    with pytest.raises(DataError, match="<REGION_TO_OCR>"):
        records(made, (Task.REGION_TO_OCR,))  # type: ignore[operator]
