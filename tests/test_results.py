"""Result types: checked when made, equal by value, JSON and official dictionaries."""

import doctest
import json
import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2 import results
from florence2.answers import parse_answer
from florence2.answers.compat import GENERIC_PHRASES, to_transformers_dict
from florence2.errors import AnswerError, DataError, TaskError
from florence2.results import (
    RESULT_TYPES,
    Boxes,
    Mixed,
    Polygons,
    Quads,
    Text,
    as_boxes,
    from_dict,
)
from florence2.tasks import AnswerKind, Task

SIZE = (640, 480)
TRIANGLE = [[0, 0], [10, 0], [10, 5]]
KNOWN = {
    "answer": "raw",
    "token_ids": [2, 0, 5],
    "finish_reason": "length",
    "malformed": 2,
    "image_size": SIZE,
}
EVERY_TYPE = [
    pytest.param(Text("a car", [1, 2, 3, 4], 0.5, **KNOWN), id="text"),
    pytest.param(Boxes([[0, 0, 4, 4]], ["日本"], [0.25], **KNOWN), id="boxes"),
    pytest.param(Boxes([], [], image_size=SIZE), id="no boxes"),
    pytest.param(Boxes([[0, 0, 4, 4]] * 2, ["a", "b"], [None, 1], **KNOWN), id="half scored"),
    pytest.param(
        Boxes([[0, 0, 4, 4]], ["a"], [0.5], location_scores=[0.25], label_scores=[None], **KNOWN),
        id="scores in parts",
    ),
    pytest.param(
        Boxes([[0, 0, 4, 4]], ["a"], absent=[("a cat", 0.25)], image_size=SIZE), id="absent phrases"
    ),
    pytest.param(Quads([[[0, 0], [9, 0], [9, 9], [0, 9]]], ["two\nlines"], **KNOWN), id="quads"),
    pytest.param(Quads([], [], image_size=SIZE), id="no quads"),
    pytest.param(Polygons([[TRIANGLE, TRIANGLE[:2]]], [""], [0.0], **KNOWN), id="polygons"),
    pytest.param(Polygons([], [], image_size=SIZE), id="no polygons"),
    pytest.param(
        Mixed(
            Boxes([[0, 0, 4, 4]], ["a"], [0.25], image_size=SIZE),
            Polygons([[TRIANGLE]], ["b"], image_size=SIZE),
            **KNOWN,
        ),
        id="mixed",
    ),
]


def test_doctests():
    assert doctest.testmod(results).failed == 0


@pytest.mark.parametrize("result", EVERY_TYPE)
def test_a_result_survives_json(result):
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert from_dict(data) == type(result).from_dict(data) == result
    assert from_dict(data).to_dict() == data


@pytest.mark.parametrize("result", EVERY_TYPE)
def test_every_field_counts_in_a_comparison(result):
    for change in ({"answer": "x"}, {"token_ids": (9,)}, {"malformed": 9}, {"finish_reason": "x"}):
        assert replace(result, **change) != result
    assert replace(result) == result
    assert result != "something else"
    with pytest.raises(TypeError):
        hash(result)


@pytest.mark.parametrize("result", EVERY_TYPE)
def test_results_are_frozen(result):
    with pytest.raises(FrozenInstanceError):
        result.answer = "x"


def test_arrays_are_read_only_copies():
    given_boxes = np.zeros((1, 4))
    boxes = Boxes(given_boxes, ["a"], image_size=SIZE)
    given_boxes[:] = 5
    assert boxes.xyxy.tolist() == [[0, 0, 0, 0]]
    with pytest.raises(ValueError, match="read-only"):
        boxes.xyxy[0] = 1


def test_every_answer_kind_has_a_result_type():
    assert set(RESULT_TYPES) == set(AnswerKind)
    for task in Task:
        result = parse_answer("", task, SIZE)
        assert type(result) is RESULT_TYPES[task.answer_kind]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Boxes([[0, 0, 1]], ["a"], image_size=SIZE), id="three numbers"),
        pytest.param(lambda: Boxes([0, 0, 1, 1], ["a"], image_size=SIZE), id="one flat box"),
        pytest.param(lambda: Boxes([[0, 0, 1, 1]], [], image_size=SIZE), id="label missing"),
        pytest.param(lambda: Boxes([[0, 0, 1, 1]], ["a"], [], image_size=SIZE), id="no score"),
        pytest.param(lambda: Boxes([[0, 0, 1, 1]], ["a"], [1.5], image_size=SIZE), id="score 1.5"),
        pytest.param(
            lambda: Boxes([[0, 0, 1, 1]], ["a"], [math.nan], image_size=SIZE), id="score NaN"
        ),
        pytest.param(lambda: Boxes([[0, 0, 1, math.nan]], ["a"], image_size=SIZE), id="box NaN"),
        pytest.param(lambda: Boxes([], [], image_size=(0, 5)), id="image size"),
        pytest.param(lambda: Quads([[[0, 0]]], ["a"], image_size=SIZE), id="one corner"),
        pytest.param(lambda: Polygons([[]], [""], image_size=SIZE), id="no part"),
        pytest.param(lambda: Polygons([[[]]], [""], image_size=SIZE), id="no points"),
        pytest.param(lambda: Polygons([[[1, 2, 3, 4]]], [""], image_size=SIZE), id="flat part"),
        pytest.param(lambda: Text("a", [1000], image_size=SIZE), id="bin 1000"),
        pytest.param(lambda: Text("a", score=-0.1, image_size=SIZE), id="score below 0"),
        pytest.param(
            lambda: Mixed(
                Boxes([], [], image_size=SIZE), Polygons([], [], image_size=(5, 5)), image_size=SIZE
            ),
            id="two image sizes",
        ),
    ],
)
def test_what_is_no_result_is_refused(make):
    with pytest.raises(DataError):
        make()


@pytest.mark.parametrize(
    "data, match",
    [
        pytest.param({}, "result type None is unknown; choose one of text, boxes", id="empty"),
        pytest.param({"type": "video"}, "'video'", id="unknown type"),
        pytest.param({"type": "text", "text": "a"}, "do not make a text result", id="no size"),
        pytest.param({"type": "text", "text": "a", "image_size": [1, 1], "x": 1}, "x", id="extra"),
        pytest.param({"type": "mixed", "image_size": [1, 1]}, "'boxes'", id="no boxes"),
        pytest.param(
            {"type": "boxes", "xyxy": "abc", "labels": [], "image_size": [1, 1]}, "abc", id="words"
        ),
        pytest.param(
            {"type": "boxes", "xyxy": [[1]], "labels": [], "image_size": [1, 1]},
            "shape",
            id="shape",
        ),
    ],
)
def test_what_is_no_dictionary_of_a_result_is_refused(data, match):
    with pytest.raises(DataError, match=match):
        from_dict(data)


def test_a_type_reads_only_its_own_dictionaries():
    data = Text("a", image_size=SIZE).to_dict()
    with pytest.raises(DataError, match="'text' is not 'boxes'"):
        Boxes.from_dict(data)


def test_boxes_can_be_split_by_label():
    boxes = Boxes(np.arange(12).reshape(3, 4), ["the image", "car", "it"], [0.1, None, 1], **KNOWN)
    kept, dropped = boxes.split_by_label(GENERIC_PHRASES)
    assert kept == Boxes([[4, 5, 6, 7]], ["car"], [None], **KNOWN)
    assert (dropped.labels, dropped.scores) == (("the image", "it"), (0.1, 1))
    nothing = kept.split_by_label({"car"})[0]
    assert (nothing.xyxy.shape, nothing.labels, nothing.scores) == ((0, 4), (), ())
    assert replace(boxes, scores=None).split_by_label([])[0].scores is None


@pytest.mark.parametrize(
    "result, wanted",
    [
        pytest.param(Text("a car", image_size=SIZE), [], id="text"),
        pytest.param(Boxes([[1, 2, 4, 4]], ["a"], image_size=SIZE), [[1, 2, 4, 4]], id="boxes"),
        pytest.param(
            Quads([[[1, 2], [9, 0], [8, 9], [0, 7]]], ["a"], image_size=SIZE),
            [[0, 0, 9, 9]],
            id="quads",
        ),
        pytest.param(
            Polygons([[TRIANGLE, [[20, 1], [21, 3]]]], ["a"], image_size=SIZE),
            [[0, 0, 21, 5]],
            id="polygons",
        ),
        pytest.param(Polygons([], [], image_size=SIZE), [], id="no polygons"),
        pytest.param(
            Mixed(
                Boxes([[0, 0, 4, 4]], ["a"], image_size=SIZE),
                Polygons([[TRIANGLE]], ["b"], image_size=SIZE),
                image_size=SIZE,
            ),
            [[0, 0, 4, 4]],
            id="mixed",
        ),
    ],
)
def test_every_result_has_boxes(result, wanted):
    boxes = as_boxes(result)
    assert boxes.xyxy.tolist() == wanted
    assert boxes.labels == ("a",) * len(wanted)


def test_boxes_around_quads_keep_their_scores():
    quads = Quads([[[0, 0], [9, 0], [9, 9], [0, 9]]], ["a"], [0.5], image_size=SIZE)
    scored = replace(quads, location_scores=[0.25])
    assert (as_boxes(scored).scores, as_boxes(scored).location_scores) == ((0.5,), (0.25,))


def test_there_are_72_generic_phrases():
    assert len(GENERIC_PHRASES) == 72
    assert {"it", "the image", "a group", "one another"} < GENERIC_PHRASES


# ---- dictionaries of the other implementations ---------------------------------------------------

BOX = "<loc_53><loc_333><loc_933><loc_774>"


def official(answer, task, style, size=SIZE):
    (value,) = to_transformers_dict(parse_answer(answer, task, size), task, style).values()
    return value


def test_coordinates_are_whole_in_native_and_float32_in_remote():
    native = official(f"car{BOX}", "od", "hf")
    assert native == {"bboxes": [[34, 160, 597, 371]], "labels": ["car"]}
    assert all(type(value) is int for value in native["bboxes"][0])
    remote = official(f"car{BOX}", "od", "microsoft")
    float32 = [34.23999786376953, 160.0800018310547, 597.4400024414062, 371.7599792480469]
    assert remote["bboxes"] == [float32]


def test_native_whole_pixels_are_cut_in_float32():
    """Bin 187 of 144 pixels is 27.0; the other implementation gets 26.999998 and tells 26."""
    value = official("car<loc_187><loc_187><loc_187><loc_187>", "od", "hf", size=(144, 144))
    assert value["bboxes"] == [[26, 26, 26, 26]]


def test_edited_coordinates_are_told_as_they_are():
    boxes = Boxes([[0, 1.25, 640, 480]], ["car"], image_size=SIZE)
    assert to_transformers_dict(boxes, "od", "microsoft")["<OD>"]["bboxes"] == [[0, 1.25, 640, 480]]
    assert to_transformers_dict(boxes, "od")["<OD>"]["bboxes"] == [[0, 1, 640, 480]]


@pytest.mark.parametrize("style", ["hf", "microsoft"])
@pytest.mark.parametrize(
    "task, answer, labels",
    [
        pytest.param("od", f"café{BOX}", ["caf"], id="accent deleted"),
        pytest.param("od", f"日本{BOX}", [""], id="emptied"),
        pytest.param("od", f"a<b{BOX}", ["b"], id="cut at less-than"),
        pytest.param("od", f"a<{BOX}", [], id="nothing left"),
        pytest.param("od", f"two\nlines{BOX}", [], id="lost at a line break"),
        pytest.param("od", f"image{BOX}", ["image"], id="no ban list in detection"),
        pytest.param("caption_to_phrase_grounding", f"image{BOX}", [], id="banned"),
        pytest.param("caption_to_phrase_grounding", f"Image{BOX}", ["Image"], id="case counts"),
        pytest.param("region_proposal", BOX, [""], id="no label"),
        pytest.param("ocr_with_region", f"x{BOX}{BOX}two\nlines{BOX}{BOX}", None, id="ocr"),
    ],
)
def test_labels_suffer_as_they_do_there(task, answer, labels, style):
    if labels is None:
        labels = [{"hf": "x", "microsoft": "</s>x"}[style], "lines"]
    value = official(answer, task, style)
    assert value["labels"] == labels
    assert len(value.get("bboxes", value.get("quad_boxes"))) == len(labels)


def test_keys_of_quads():
    quad = "<loc_0><loc_0><loc_9><loc_0><loc_9><loc_9><loc_0><loc_9>"
    value = official(f"Hi{quad}", "ocr_with_region", "hf", size=(1000, 1000))
    assert value == {"quad_boxes": [[0, 0, 9, 0, 9, 9, 0, 9]], "labels": ["Hi"]}


def test_keys_of_polygons():
    part = "<loc_0><loc_0><loc_9><loc_0><loc_9><loc_9>"
    value = official(f"{part}<sep>{part}", "region_to_segmentation", "hf", size=(1000, 1000))
    assert value == {"polygons": [[[0, 0, 9, 0, 9, 9]] * 2], "labels": [""]}


def test_keys_of_mixed():
    part = "<loc_0><loc_0><loc_9><loc_0><loc_9><loc_9>"
    answer = f"é<poly>{part}</poly>a<<poly>{part}</poly>"
    value = official(answer, "open_vocabulary_detection", "hf", size=(1000, 1000))
    assert value == {
        "bboxes": [],
        "bboxes_labels": [],
        "polygons": [[[0, 0, 9, 0, 9, 9]]],
        "polygons_labels": ["é"],
    }


def test_region_texts_keep_their_location_tokens():
    for style in ("hf", "microsoft"):
        assert official(f"</s><s>a car{BOX}</s>", "region_to_ocr", style) == f"a car{BOX}"


@pytest.mark.parametrize(
    "task, style, scores, told",
    [
        pytest.param("od", "microsoft", [0.5], True, id="remote detection"),
        pytest.param("dense_region_caption", "microsoft", [0.5], True, id="remote dense captions"),
        pytest.param("od", "microsoft", [None], False, id="not known"),
        pytest.param("od", "hf", [0.5], False, id="native has none"),
        pytest.param("caption_to_phrase_grounding", "microsoft", [0.5], False, id="grounding"),
    ],
)
def test_scores_are_told_where_the_other_one_tells_them(task, style, scores, told):
    boxes = Boxes([[0, 0, 4, 4]], ["car"], scores, image_size=SIZE)
    (value,) = to_transformers_dict(boxes, task, style).values()
    assert value.get("scores") == (scores if told else None)
    assert ("scores" in value) == told


def test_a_task_tells_only_its_own_type():
    with pytest.raises(AnswerError, match="'<OD>' cannot express a Text result; give a Boxes"):
        to_transformers_dict(Text("a", image_size=SIZE), "od")
    with pytest.raises(AnswerError, match="style 'native' is unknown; choose 'hf'"):
        to_transformers_dict(Text("a", image_size=SIZE), "ocr", "native")
    with pytest.raises(TaskError):
        to_transformers_dict(Text("a", image_size=SIZE), "read")


@given(st.lists(st.tuples(*[st.integers(0, 999)] * 4), max_size=4), st.sampled_from(list(Task)))
def test_official_dictionaries_are_json(rows, task):
    answer = "".join(f"car<loc_{a}><loc_{b}><loc_{c}><loc_{d}>" for a, b, c, d in rows)
    result = parse_answer(answer, task, SIZE)
    for style in ("hf", "microsoft"):
        value = to_transformers_dict(result, task, style)
        assert json.loads(json.dumps(value)) == value
