"""Examples say what their pictures show: labels decode back to the records."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from florence2.answers import parse_answer
from florence2.geometry import box_to_quad
from florence2.model.config import nano
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Mixed, Polygons, Result
from florence2.tasks import Task
from florence2.training.batches import Example, collate
from florence2.training.preflight import check_batches
from florence2_lab.pretraining.dense_heads import CELLS
from florence2_lab.pretraining.examples import LETTERS, PLACED, WorldExamples, WorldMixture
from florence2_lab.worlds.describe import line_records, scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.lines import LineOptions, line
from florence2_lab.worlds.scan_lines import scan_line
from florence2_lab.worlds.scenes import SceneOptions, scene
from florence2_lab.worlds.webpages import BakedPages

SIDE, MAP_SIDE, SEED = 128, 8, 4
SCENES = SceneOptions(min_objects=1, max_objects=3)
LINES = LineOptions(max_chars=8)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([task.template for task in Task], vocab_size=300)


def make_examples(
    kit: Kit, tokenizer: Tokenizer, line_share: float, task: Task = Task.OD
) -> WorldExamples:
    config = replace(nano(tokenizer.vocab_size), image_side=SIDE)
    mixture = WorldMixture(line_share, {task: 1.0}, SCENES, LINES)
    processor = Processor(tokenizer, config)
    return WorldExamples(kit, processor, mixture, map_side=MAP_SIDE, seed=SEED)


def decoded(example: Example, tokenizer: Tokenizer) -> str:
    return tokenizer.decode(example.label_ids)


@pytest.mark.parametrize(
    "task", [Task.OD, Task.CAPTION_TO_PHRASE_GROUNDING, Task.OPEN_VOCABULARY_DETECTION]
)
def test_labels_of_scenes_decode_to_their_records(
    kit: Kit, tokenizer: Tokenizer, task: Task
) -> None:
    examples = make_examples(kit, tokenizer, 0.0, task)
    for index in range(5):
        example = examples[index]
        made = scene(kit, SEED, index, side=SIDE, options=SCENES)
        (record,) = scene_records(made, (task,))
        answer = decoded(example, tokenizer)
        found = parse_answer(answer, task, (SIDE, SIDE))
        assert found.malformed == 0
        quantised = found.to_dict() | {"answer": "", "token_ids": []}
        assert quantised["type"] == record.result.kind
        if task is Task.OD:
            assert found.labels == record.result.labels
            assert np.abs(found.xyxy - record.result.xyxy).max() <= 0.5 * SIDE / 1000 + 1e-9
        assert tokenizer.decode(example.prompt_ids).count("<s>") == 1


def test_texts_are_spelled_letter_by_letter(kit: Kit, tokenizer: Tokenizer) -> None:
    examples = make_examples(kit, tokenizer, 1.0)
    for index in range(5):
        example = examples[index]
        (record,) = line_records(line(kit, SEED, index, options=LINES), (Task.OCR,))
        assert decoded(example, tokenizer) == f"<s>{record.result.text}</s>"
        assert len(example.label_ids) == len(record.result.text.encode()) + 2


def test_dense_targets_name_what_lies_under_them(kit: Kit, tokenizer: Tokenizer) -> None:
    example = make_examples(kit, tokenizer, 0.0)[0]
    made = scene(kit, SEED, 0, side=SIDE, options=SCENES)
    cell = SIDE // (CELLS * MAP_SIDE)
    cells, boxes = example.extras["cells"], example.extras["boxes"]
    assert np.array_equal(cells, made.class_map[cell // 2 :: cell, cell // 2 :: cell])
    centres = SIDE // MAP_SIDE // 2
    owner = made.instance_map[centres :: 2 * centres, centres :: 2 * centres]
    assert np.array_equal(np.isnan(boxes[0]), owner == 0)
    row, column = np.argwhere(owner > 0)[0]
    box = np.array(made.objects[owner[row, column] - 1].box_xyxy) / SIDE
    x, y = (column + 0.5) / MAP_SIDE, (row + 0.5) / MAP_SIDE
    expected = [x - box[0], y - box[1], box[2] - x, box[3] - y]
    assert np.allclose(boxes[:, row, column], expected, atol=1e-6)


@pytest.mark.parametrize("task", sorted(PLACED, key=lambda task: task.name))
def test_referents_lie_in_the_answer_and_nowhere_else(
    kit: Kit, tokenizer: Tokenizer, task: Task
) -> None:
    examples = make_examples(kit, tokenizer, 0.0, task)
    size = SIDE / (CELLS * MAP_SIDE)
    inside = 0
    for index in range(5):
        referents = examples[index].extras["referents"]
        made = scene(kit, SEED, index, side=SIDE, options=SCENES)
        (record,) = scene_records(made, (task,), vocabulary=kit.categories)
        assert referents is not None
        for row, column in np.ndindex(referents.shape):
            depth = depth_inside(record.result, ((column + 0.5) * size, (row + 0.5) * size))
            if abs(depth) > size / 2:  # on the edge either is right
                assert referents[row, column] == (depth > 0)
                inside += depth > 0
    assert inside > 50


def depth_inside(result: Result, point: tuple[float, float]) -> float:
    """How deep a point lies in the boxes or outlines of an answer; negative outside of all."""
    if isinstance(result, Polygons):
        shapes = [part for parts in result.polygons for part in parts]
    else:
        boxes = result.boxes if isinstance(result, Mixed) else result
        shapes = [box_to_quad(box) for box in boxes.xyxy]
    depths = [cv2.pointPolygonTest(np.float32(shape), point, True) for shape in shapes]
    return max(depths, default=-np.inf)


def test_questions_about_the_whole_picture_have_no_referents(
    kit: Kit, tokenizer: Tokenizer
) -> None:
    example = make_examples(kit, tokenizer, 0.0, Task.OD)[0]
    batch = collate([example], tokenizer.pad_id)
    assert torch.isnan(batch.extras["referents"]).all()


def test_columns_name_the_letters_above_them(kit: Kit, tokenizer: Tokenizer) -> None:
    examples = make_examples(kit, tokenizer, 1.0)
    for index in range(5):
        made = line(kit, SEED, index, options=LINES)
        columns = examples[index].extras["columns"]
        assert columns is not None
        names = [LETTERS[value - 1] if 0 < value <= len(LETTERS) else "" for value in columns]
        assert set(names) - {""} <= set(made.text)
        assert names != [""] * len(names)


def test_an_example_depends_on_its_index_alone(kit: Kit, tokenizer: Tokenizer) -> None:
    one, other = (make_examples(kit, tokenizer, 0.5) for _ in range(2))
    forwards = [one[index] for index in range(6)]
    backwards = [other[index] for index in reversed(range(6))][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert np.array_equal(first.pixels, second.pixels)
        assert first.label_ids == second.label_ids


def test_a_batch_decodes_to_its_labels(kit: Kit, tokenizer: Tokenizer) -> None:
    examples = make_examples(kit, tokenizer, 0.5)
    rows = [examples[index] for index in range(6)]
    batch = collate(rows, tokenizer.pad_id)
    for example, labels, prompt, mask in zip(
        rows, batch.labels, batch.prompt_ids, batch.prompt_mask, strict=True
    ):
        assert labels[labels >= 0].tolist() == example.label_ids
        assert prompt[mask.bool()].tolist() == example.prompt_ids


def test_pieces_stand_in_rows_and_are_answered_line_by_line(kit: Kit, tokenizer: Tokenizer) -> None:
    config = replace(nano(tokenizer.vocab_size), image_side=SIDE)
    mixture = WorldMixture(0.0, {}, SCENES, LINES, scan_share=1.0)
    examples = WorldExamples(
        kit, Processor(tokenizer, config), mixture, map_side=MAP_SIDE, seed=SEED
    )
    answers = [decoded(examples[index], tokenizer) for index in range(40)]
    rows = [answer.removeprefix("<s>").removesuffix("</s>").split("\n") for answer in answers]
    assert {*map(len, rows)} == {1, 2, 3}
    for index, told in enumerate(rows):
        made = [scan_line(kit, SEED, 4 * index + row).text for row in range(len(told))]
        assert told == made


def test_icons_and_parts_of_screens_are_asked_about(kit: Kit, tokenizer: Tokenizer) -> None:
    config = replace(nano(tokenizer.vocab_size), image_side=SIDE)
    asked = {Task.OD: 0.5, Task.REGION_TO_CATEGORY: 0.5}
    mixture = WorldMixture(
        0.0, {}, SCENES, LINES, screen_share=0.5, icon_share=0.5, screen_tasks=asked
    )
    examples = WorldExamples(
        kit, Processor(tokenizer, config), mixture, map_side=MAP_SIDE, seed=SEED
    )
    answers = [decoded(examples[index], tokenizer) for index in range(40)]
    assert any("<loc_" in answer for answer in answers)
    assert sum(answer.endswith(" icon</s>") for answer in answers) > 10


@pytest.mark.process
def test_half_of_the_pages_are_web_pages_where_there_are_some(
    kit: Kit, baked: BakedPages, tokenizer: Tokenizer
) -> None:
    config = replace(nano(tokenizer.vocab_size), image_side=SIDE)
    mixture = WorldMixture(0.0, {}, SCENES, LINES, page_share=1.0, page_tasks={Task.OCR: 1.0})
    drawn, mixed = (
        WorldExamples(
            kit, Processor(tokenizer, config), mixture, map_side=MAP_SIDE, seed=SEED, web=web
        )
        for web in (None, baked)
    )
    same = sum(np.array_equal(drawn[index].pixels, mixed[index].pixels) for index in range(24))
    assert 4 < same < 20
    assert all((mixed[index].extras["glyphs"] > 0).any() for index in range(24))


def test_what_the_worlds_make_passes_the_checks_before_training(
    kit: Kit, tokenizer: Tokenizer
) -> None:
    examples = make_examples(kit, tokenizer, 0.5)
    batch = collate([examples[index] for index in range(12)], tokenizer.pad_id)
    assert check_batches([batch], tokenizer, nano(tokenizer.vocab_size)).rows == 12
