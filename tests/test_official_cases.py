"""Published inputs and answers, and the pinned transformers as a second opinion."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florence2.answers import format_answer, parse_answer
from florence2.answers.compat import GENERIC_PHRASES, official_prompt, to_transformers_dict
from florence2.geometry import bounding_box, polygon_area
from florence2.locations import (
    decode_boxes,
    decode_points,
    encode_boxes,
    encode_points,
    location_tokens,
)
from florence2.results import Boxes, Polygons, Quads
from florence2.tasks import AnswerKind, Task

CASES_PATH = Path(__file__).parent / "published" / "answer_cases.json"
CASES = json.loads(CASES_PATH.read_text(encoding="utf-8"))["cases"]


def cases(dialect, layer="", but=lambda case: False):
    """Parametrise over the cases of one dialect, but for those about what is not ours."""
    return [
        pytest.param(case, id=case["id"])
        for case in CASES
        if case["dialect"] == dialect and layer in case["layer"] and not but(case)
    ]


# ---- cases of the implementation inside transformers ---------------------------------------------


def solve_prompt(given):
    return [official_prompt(text) for text in given["texts"]]


def solve_quantize(given):
    return encode_boxes(given["rows"], given["size_wh"]).tolist()


def solve_quantize_dequantize(given):
    size = given["size_wh"]
    if "boxes_xyxy" in given:
        there_and_back = decode_boxes(encode_boxes(given["boxes_xyxy"], size), size)
    else:
        there_and_back = decode_points(encode_points(given["points_xy"], size), size)
    return there_and_back.astype(int).tolist()


def told(given, task):
    (value,) = to_transformers_dict(
        parse_answer(given["text"], task, given["size_wh"]), task
    ).values()
    return value


def solve_parse_bboxes(given):
    value = told(given, Task.REGION_PROPOSAL if given["allow_empty_phrase"] else Task.OD)
    pairs = zip(value["bboxes"], value["labels"], strict=True)
    return [{"bbox": box, "label": label} for box, label in pairs]


def solve_parse_polygons(given):
    value = told(given, Task.REFERRING_EXPRESSION_SEGMENTATION)
    pairs = zip(value["polygons"], value["labels"], strict=True)
    return [{"polygons": polygons, "label": label} for polygons, label in pairs]


def solve_parse_ocr(given):
    value = told(given, Task.OCR_WITH_REGION)
    smallest = given["area_threshold"] * np.prod(given["size_wh"])
    pairs = zip(value["quad_boxes"], value["labels"], strict=True)
    return [
        {"quad": quad, "text": text}
        for quad, text in pairs
        if polygon_area(np.reshape(quad, (4, 2))) >= smallest
    ]


def solve_parse_grounding(given):
    assert GENERIC_PHRASES.issuperset(given["banned"])
    value = told(given, Task.CAPTION_TO_PHRASE_GROUNDING)
    by_phrase = {}
    for box, label in zip(value["bboxes"], value["labels"], strict=True):
        by_phrase.setdefault(label, []).append(box)
    return [{"bboxes": boxes, "label": label} for label, boxes in by_phrase.items()]


def solve_post_process(given):
    size = given["size_wh"] or (1, 1)
    return to_transformers_dict(parse_answer(given["text"], given["task"], size), given["task"])


SOLVERS = {
    "prompt": solve_prompt,
    "quantize": solve_quantize,
    "quantize_dequantize": solve_quantize_dequantize,
    "parse_bboxes": solve_parse_bboxes,
    "parse_polygons": solve_parse_polygons,
    "parse_ocr": solve_parse_ocr,
    "parse_grounding": solve_parse_grounding,
    "post_process": solve_post_process,
}


@pytest.mark.parametrize("case", cases("hf_native"))
def test_case_of_the_native_implementation(case):
    solve = SOLVERS[case["layer"]]
    if case.get("raises"):
        with pytest.raises(ValueError):
            solve(case["input"])
    else:
        assert solve(case["input"]) == case["expected"]


# ---- cases derived from the code of both others: the column `suggested` --------------------------


def is_about_scores(case):
    """See `test_there_is_room_for_a_score_of_every_object`."""
    return "text" not in case["input"]


@pytest.mark.parametrize("case", cases("derived", "post_process", but=is_about_scores))
def test_derived_label(case):
    given, suggested = case["input"], case["suggested"]
    result = parse_answer(given["text"], given["task"], given["size_wh"])
    if isinstance(suggested, list):
        assert (list(result.labels), result.malformed) == (suggested, 0)
        for dialect, style in (("native", "hf"), ("remote", "microsoft")):
            (value,) = to_transformers_dict(result, given["task"], style).values()
            assert value["labels"] == case[f"hf_{dialect}_gives"]
    elif suggested == "report a truncated item":
        assert (result.labels, result.malformed) == ((), 1)
    else:
        assert suggested == "keep by default, filter as an option and say what was dropped"
        assert result.labels == ("image",)
        kept, dropped = result.split_by_label(GENERIC_PHRASES)
        assert (kept.labels, dropped.labels) == ((), ("image",))


@pytest.mark.parametrize("case", cases("derived", "parse_polygons"))
def test_derived_odd_polygon(case):
    result = parse_answer(case["input"]["text"], "region_to_segmentation", case["input"]["size_wh"])
    assert [part.tolist() for part in result.polygons[0]] == [[[1.5, 1.5], [9.5, 1.5]]]
    assert result.malformed == 1


@pytest.mark.parametrize("case", cases("derived", "parse_ocr"))
def test_derived_area(case):
    result = parse_answer(case["input"]["text"], "ocr_with_region", case["input"]["size_wh"])
    assert polygon_area(result.quads[0]) == case["suggested"]["area"]


@pytest.mark.parametrize("case", cases("derived", "dequantize"))
def test_derived_floats(case):
    size = case["input"]["size_wh"]
    box = decode_boxes(case["input"]["bins"], size)
    assert box.tolist() == pytest.approx(case["hf_remote_gives"])
    native = to_transformers_dict(Boxes([box], ["car"], image_size=size), "od")["<OD>"]
    assert native["bboxes"] == [case["hf_native_gives"]]


def test_there_is_room_for_a_score_of_every_object():
    size = (10, 10)
    quad = [[0, 0], [5, 0], [5, 5], [0, 5]]
    for result in (
        Boxes([[0, 0, 5, 5]], ["a"], [0.5], image_size=size),
        Quads([quad], ["a"], [0.5], image_size=size),
        Polygons([[quad]], ["a"], [0.5], image_size=size),
    ):
        assert result.scores == (0.5,)


# ---- cases of other tools: the rule of the model itself, see docs/answers.md ---------------------


@pytest.mark.parametrize("case", cases("maestro", "text_to_detections"))
def test_boxes_of_maestro_are_half_a_bin_off(case):
    given, wanted = case["input"], case["expected"]
    result = parse_answer(given["text"], Task.OD, given["size_wh"])
    classes = given["classes"] or result.labels
    rows = [row for row, label in enumerate(result.labels) if label in classes]
    half_a_bin = np.array(given["size_wh"] * 2) / 2000
    missed = np.abs(result.xyxy[rows] - np.array(wanted["xyxy"]).reshape(-1, 4))
    assert (missed <= half_a_bin + 1e-9).all()


def is_about_class_ids(case):
    """Labels are words here."""
    return "raises" in case


@pytest.mark.parametrize("case", cases("maestro", "detections_to_text", but=is_about_class_ids))
def test_targets_of_maestro_without_its_token_beyond_the_last(case):
    given = case["input"]
    labels = [given["classes"][class_id] for class_id in given["class_id"]]
    boxes = Boxes(given["xyxy"], labels, image_size=given["size_wh"])
    assert format_answer(boxes, Task.OD) == case["expected"].replace("<loc_1000>", "<loc_999>")


@pytest.mark.parametrize("case", cases("rust_server"))
def test_quads_of_the_rust_server_by_the_rule_of_the_model(case):
    result = parse_answer(case["input"]["text"], Task.OCR_WITH_REGION, case["input"]["size_wh"])
    assert result.labels == (case["expected"]["text"],)
    box = bounding_box(result.quads[0])
    assert box.tolist() == pytest.approx([267.729, 504.735, 990.033, 631.389], abs=1e-3)


def is_no_box_in_pixels(case):
    """But how a region is chosen, or fractions."""
    region = case["input"]["grounding"]
    return not isinstance(region, list) or max(region) <= 1


@pytest.mark.parametrize(
    "case", cases("roboflow_workflows", "region_to_prompt", but=is_no_box_in_pixels)
)
def test_regions_of_roboflow(case):
    bins = encode_boxes(case["input"]["grounding"], case["input"]["size_wh"])
    assert location_tokens(bins) == case["expected"]


# ---- the essential cases as literals -------------------------------------------------------------


@pytest.mark.parametrize(
    "task, answer, size, wanted",
    [
        pytest.param("<CAPTION>", "<s>Hello world</s>", (1, 1), "Hello world", id="caption"),
        pytest.param(
            "<OD>",
            "</s><s>car<loc_53><loc_334><loc_933><loc_775>door handle<loc_425><loc_504><loc_474>"
            "<loc_516></s><pad>",
            (1000, 1000),
            {
                "bboxes": [[53, 334, 933, 775], [425, 504, 474, 516]],
                "labels": ["car", "door handle"],
            },
            id="detection",
        ),
        pytest.param(
            "<REGION_PROPOSAL>",
            "</s><s><loc_53><loc_334><loc_933><loc_775><loc_711><loc_203><loc_906><loc_546><loc_577>",
            (1000, 1000),
            {"bboxes": [[53, 334, 933, 775], [711, 203, 906, 546]], "labels": ["", ""]},
            id="13th location token",
        ),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING>",
            "red car<loc_53><loc_334><loc_933><loc_775>sky<loc_0><loc_0><loc_1000><loc_300>"
            "the image<loc_100><loc_100><loc_200><loc_200>",
            (1000, 1000),
            {"bboxes": [[53, 334, 933, 775], [0, 0, 1000, 300]], "labels": ["red car", "sky"]},
            id="banned phrase and token beyond the last",
        ),
        pytest.param(
            "<OCR_WITH_REGION>",
            "</s><s>Hello<loc_100><loc_100><loc_200><loc_100><loc_200><loc_200><loc_100><loc_200>",
            (1000, 1000),
            {"quad_boxes": [[100, 100, 200, 100, 200, 200, 100, 200]], "labels": ["Hello"]},
            id="quads",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>",
            "<loc_279><loc_379><loc_282><loc_379><loc_290><loc_373>",
            (1000, 1000),
            {"polygons": [[[279, 379, 282, 379, 290, 373]]], "labels": [""]},
            id="polygons",
        ),
    ],
)
def test_native_dictionary(task, answer, size, wanted):
    assert to_transformers_dict(parse_answer(answer, task, size), task) == {task: wanted}


def test_native_round_trip_of_boxes():
    size, boxes = (800, 1200), [[0, 0, 30, 40], [500, 550, 600, 690], [750, 1121, 851, 1239]]
    back = decode_boxes(encode_boxes(boxes, size), size).astype(int).tolist()
    assert back == [*boxes[:2], [750, 1121, 799, 1199]]


# ---- the pinned transformers ---------------------------------------------------------------------

OFFICIAL_KINDS = {
    AnswerKind.TEXT: "pure_text",
    AnswerKind.CLASS_BOXES: "description_with_bboxes",
    AnswerKind.PHRASE_BOXES: "description_with_bboxes",
    AnswerKind.BOXES: "bboxes",
    AnswerKind.QUADS: "ocr",
    AnswerKind.POLYGONS: "polygons",
    AnswerKind.BOXES_OR_POLYGONS: "description_with_bboxes_or_polygons",
}
LABELS = st.sampled_from(
    [
        *("car", "door handle", "café", "é car", "日本", "the image", "it", "two\nlines"),
        *("a<b", "image<it", "a\n<b", "loc_5>", "<loc_", "<b>bold</b>"),
    ]
)


@pytest.fixture(scope="module")
def native_answer():
    """Return a function that asks transformers: (text, task, image size) -> dictionary."""
    module = pytest.importorskip("transformers.models.florence2.processing_florence2")
    kinds = {task.token: OFFICIAL_KINDS[task.answer_kind] for task in Task}
    kinds["<CAPTION_TO_PHRASE_GROUNDING>"] = "phrase_grounding"
    config = {kind: {} for kind in kinds.values()}
    config["phrase_grounding"] = {"banned_grounding_tokens": list(GENERIC_PHRASES)}
    post_processor = module.Florence2PostProcessor(config, SimpleNamespace(all_special_tokens=[]))
    processor = SimpleNamespace(
        tasks_answer_post_processing_type=kinds, post_processor=post_processor
    )

    def ask(text, task, image_size):
        return module.Florence2Processor.post_process_generation(
            processor, text=text, task=task.token, image_size=image_size
        )

    return ask


@st.composite
def well_formed_answers(draw, task):
    """Any answer of the grammar, with labels that the other implementation mistreats.

    Not among them: a label that ends in '<', of which it makes a label such as 'loc_10>'.
    """
    bins = st.integers(0, 999)

    def points(least, most):
        pairs = draw(st.lists(st.tuples(bins, bins), min_size=least, max_size=most))
        return location_tokens(np.array(pairs))

    def box():
        corners = np.array([draw(st.tuples(bins, bins)), draw(st.tuples(bins, bins))])
        return location_tokens([corners.min(axis=0), corners.max(axis=0)])

    def parts():
        return "<sep>".join(points(3, 5) for _ in range(draw(st.integers(1, 3))))

    def wrapped():
        return f"<poly>{parts()}</poly>"

    some = range(draw(st.integers(0, 4)))
    match task.answer_kind:
        case AnswerKind.TEXT:
            return draw(LABELS) + "".join(box() for _ in some)
        case AnswerKind.BOXES:
            return "".join(box() for _ in some)
        case AnswerKind.QUADS:
            return "".join(draw(LABELS) + points(4, 4) for _ in some)
        case AnswerKind.POLYGONS:
            return parts() if draw(st.booleans()) else "".join(wrapped() for _ in some)
        case AnswerKind.BOXES_OR_POLYGONS:
            shape = draw(st.sampled_from([box, wrapped]))
            return "".join(draw(LABELS) + shape() for _ in some)
    return "".join(
        draw(LABELS) + "".join(box() for _ in range(draw(st.integers(1, 3)))) for _ in some
    )


@pytest.mark.parametrize("task", [pytest.param(task, id=task.name) for task in Task])
@settings(max_examples=25)
@given(data=st.data(), size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_native_dictionary_equals_the_one_of_transformers(native_answer, task, data, size):
    answer = data.draw(well_formed_answers(task))
    result = parse_answer(answer, task, size)
    wanted = native_answer(f"</s><s>{answer}</s>", task, size)
    assert to_transformers_dict(result, task, "hf") == wanted
