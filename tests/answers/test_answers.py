"""Reading and writing answers: inverse on what the tasks can say, never raising on the rest."""

import doctest
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florence2 import answers
from florence2.answers import format_answer, parse_answer
from florence2.answers.compat import to_transformers_dict
from florence2.errors import AnswerError, DataError, TaskError
from florence2.locations import NUM_BINS, decode_boxes, decode_points
from florence2.processing.tokenizer import FLORENCE_TOKENS
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import AnswerKind, Task

SIZE = (1000, 1000)
BOX = "<loc_10><loc_20><loc_30><loc_40>"
BOX_PIXELS = [10.5, 20.5, 30.5, 40.5]
OTHER_BOX = "<loc_500><loc_0><loc_999><loc_600>"
OTHER_BOX_PIXELS = [500.5, 0.5, 999.5, 600.5]
QUAD = "<loc_1><loc_1><loc_9><loc_1><loc_9><loc_9><loc_1><loc_9>"
QUAD_PIXELS = [[1.5, 1.5], [9.5, 1.5], [9.5, 9.5], [1.5, 9.5]]
PART = "<loc_1><loc_1><loc_9><loc_1><loc_9><loc_9>"
PART_PIXELS = [[1.5, 1.5], [9.5, 1.5], [9.5, 9.5]]
OTHER_PART = "<loc_20><loc_20><loc_30><loc_20><loc_30><loc_40><loc_20><loc_40>"
OTHER_PART_PIXELS = [[20.5, 20.5], [30.5, 20.5], [30.5, 40.5], [20.5, 40.5]]

SPECIAL_TOKENS = ("<s>", "</s>", "<pad>", "<unk>", "<mask>", "<image>", *FLORENCE_TOKENS)
OTHER_TOKENS = [token for token in SPECIAL_TOKENS if not token.startswith("<loc_")]
ANY_TOKEN = re.compile("|".join([r"<loc_[0-9]{1,4}>", *OTHER_TOKENS]))


def test_doctests():
    assert doctest.testmod(answers).failed == 0


# ---- what the tasks can say ----------------------------------------------------------------------


sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
odd_texts = st.sampled_from(["a<b", "<loc_", "<loc_12345>", "</", "two\nlines", "日本", "<b>s>"])
texts = (st.text(max_size=8) | odd_texts).map(str.strip).filter(lambda t: not ANY_TOKEN.search(t))
labels = texts.filter(bool)
distinct_labels = st.lists(labels, max_size=2, unique=True)
bins = st.integers(0, NUM_BINS - 1)
box_bins = st.tuples(bins, bins, bins, bins).map(
    lambda b: [min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])]
)


@st.composite
def boxes_of(draw, names, size):
    """Boxes in runs of one label, which is the order that every task keeps."""
    counts = [(name, draw(st.integers(1, 3))) for name in names]
    names_of_all = [name for name, count in counts for _ in range(count)]
    bins_of_all = np.array([draw(box_bins) for _ in names_of_all], int).reshape(-1, 4)
    return Boxes(decode_boxes(bins_of_all, size), names_of_all, image_size=size)


@st.composite
def polygons_of(draw, names, size):
    part = st.lists(st.tuples(bins, bins), min_size=3, max_size=4)
    instances = [draw(st.lists(part, min_size=1, max_size=2)) for _ in names]
    pixels = [[decode_points(points, size) for points in instance] for instance in instances]
    return Polygons(pixels, names, image_size=size)


@st.composite
def quads_of(draw, size):
    corners = draw(st.lists(st.lists(st.tuples(bins, bins), min_size=4, max_size=4), max_size=4))
    pixels = decode_points(np.array(corners).reshape(-1, 4, 2), size)
    return Quads(pixels, [draw(labels) for _ in corners], image_size=size)


@st.composite
def results_for(draw, task):
    """Any result that the task can express, in canonical order."""
    size = draw(sizes)
    names = draw(distinct_labels)
    no_names = [""] * len(names)
    match task.answer_kind:
        case AnswerKind.TEXT:
            appended = draw(st.lists(box_bins, max_size=2))
            return Text(draw(texts), np.array(appended, int).ravel().tolist(), image_size=size)
        case AnswerKind.CLASS_BOXES | AnswerKind.PHRASE_BOXES:
            return draw(boxes_of(names, size))
        case AnswerKind.BOXES:
            return draw(boxes_of(no_names, size))
        case AnswerKind.QUADS:
            return draw(quads_of(size))
        case AnswerKind.POLYGONS:
            return draw(polygons_of(no_names, size))
        case AnswerKind.BOXES_OR_POLYGONS:
            boxes, polygons = draw(boxes_of(names, size)), draw(polygons_of(names[::-1], size))
            return Mixed(boxes, polygons, image_size=size)


@pytest.mark.parametrize("task", [pytest.param(task, id=task.name) for task in Task])
@settings(max_examples=50)
@given(st.data())
def test_parse_is_the_inverse_of_format(task, data):
    result = data.draw(results_for(task))
    answer = format_answer(result, task)
    for wrapped in (answer, f"</s><s>{answer}</s><pad><pad>"):
        parsed = parse_answer(wrapped, task, result.image_size)
        assert parsed == replace(result, answer=answer)
    assert format_answer(parsed, task) == answer


@given(sizes, st.lists(st.tuples(labels, st.tuples(*[st.floats(-50, 6000)] * 4)), max_size=5))
def test_any_coordinates_come_back_as_bin_centres(size, rows):
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for _, (a, b, c, d) in rows]
    result = Boxes(boxes, [label for label, _ in rows], image_size=size)
    parsed = parse_answer(format_answer(result, Task.DENSE_REGION_CAPTION), "od", size)
    limit = np.array(size * 2)
    error = np.abs(parsed.xyxy - np.clip(result.xyxy, 0, limit))
    assert (error <= limit / NUM_BINS * 0.5000001).all()
    assert parsed.labels == result.labels


@given(st.lists(st.tuples(st.sampled_from("abc"), box_bins), max_size=8))
def test_detection_groups_classes_and_keeps_every_box(rows):
    result = Boxes(decode_boxes([row for _, row in rows] or np.zeros((0, 4)), SIZE),
                   [label for label, _ in rows], image_size=SIZE)  # fmt: skip
    answer = format_answer(result, Task.OD)
    parsed = parse_answer(answer, Task.OD, SIZE)
    first_seen = list(dict.fromkeys(result.labels))
    order = sorted(range(len(rows)), key=lambda row: first_seen.index(result.labels[row]))
    assert parsed.labels == tuple(result.labels[row] for row in order)
    assert np.array_equal(parsed.xyxy, result.xyxy[order])
    assert sum(answer.count(label) for label in "ab") == sum(label in "ab" for label in first_seen)


@pytest.mark.parametrize(
    "task, wanted",
    [
        pytest.param(Task.OD, f"cat{BOX}{BOX}dog{OTHER_BOX}", id="a class once"),
        pytest.param(
            Task.CAPTION_TO_PHRASE_GROUNDING, f"cat{BOX}dog{OTHER_BOX}cat{BOX}", id="in order"
        ),
        pytest.param(Task.DENSE_REGION_CAPTION, f"cat{BOX}dog{OTHER_BOX}cat{BOX}", id="the same"),
    ],
)
def test_order_of_boxes(task, wanted):
    xyxy = [BOX_PIXELS, OTHER_BOX_PIXELS, BOX_PIXELS]
    boxes = Boxes(xyxy, ["cat", " dog\n", "cat"], image_size=SIZE)
    assert format_answer(boxes, task) == wanted


def test_open_vocabulary_detection_repeats_labels():
    boxes = Boxes([BOX_PIXELS, BOX_PIXELS], ["cat", "cat"], image_size=SIZE)
    polygons = Polygons([[PART_PIXELS], [PART_PIXELS]], ["cat", "cat"], image_size=SIZE)
    answer = format_answer(Mixed(boxes, polygons, image_size=SIZE), "open_vocabulary_detection")
    assert answer == f"cat{BOX}cat{BOX}" + f"cat<poly>{PART}</poly>" * 2


@pytest.mark.parametrize(
    "instances, wanted",
    [
        pytest.param([], "", id="none"),
        pytest.param([[PART_PIXELS]], PART, id="one object bare"),
        pytest.param([[PART_PIXELS, OTHER_PART_PIXELS]], f"{PART}<sep>{OTHER_PART}", id="parts"),
        pytest.param(
            [[PART_PIXELS], [OTHER_PART_PIXELS, PART_PIXELS]],
            f"<poly>{PART}</poly><poly>{OTHER_PART}<sep>{PART}</poly>",
            id="several objects wrapped",
        ),
    ],
)
def test_segmentation_targets(instances, wanted):
    polygons = Polygons(instances, [""] * len(instances), image_size=SIZE)
    assert format_answer(polygons, Task.REGION_TO_SEGMENTATION) == wanted


def boxes(label="cat", xyxy=BOX_PIXELS):
    return Boxes([xyxy], [label], image_size=SIZE)


def polygons(label="", points=PART_PIXELS):
    return Polygons([[points]], [label], image_size=SIZE)


@pytest.mark.parametrize(
    "result, task, match",
    [
        pytest.param(boxes(), "caption", "cannot express a Boxes result; give a Text", id="type"),
        pytest.param(boxes(), "open_vocabulary_detection", "give a Mixed", id="boxes alone"),
        pytest.param(boxes("a<loc_5>"), "od", "'<loc_5>' inside 'a<loc_5>'", id="location"),
        pytest.param(boxes("a<loc_1000>"), "od", "'<loc_1000>' inside", id="location beyond"),
        pytest.param(boxes("a</poly>"), "od", "'</poly>' inside", id="mark"),
        pytest.param(boxes("a</s>b"), "od", "'</s>' inside", id="padding"),
        pytest.param(boxes("<<s>s>"), "od", "'<s>' inside", id="nested padding"),
        pytest.param(boxes("a<and>b"), "od", "'<and>' inside", id="foreign"),
        pytest.param(boxes(" \n"), "od", "the label ''; give a label", id="no label"),
        pytest.param(boxes(), "region_proposal", "the label 'cat'; give empty", id="label"),
        pytest.param(polygons("cat"), "region_to_segmentation", "label 'cat'", id="part label"),
        pytest.param(boxes(xyxy=[9, 0, 1, 5]), "od", r"\[9.0, 0.0, 1.0, 5.0\]", id="x order"),
        pytest.param(boxes(xyxy=[0, 9, 5, 1]), "od", "give x_min, y_min", id="y order"),
        pytest.param(
            polygons(points=[[1, 1], [2, 2]]),
            "referring_expression_segmentation",
            "give three points or more",
            id="two points",
        ),
        pytest.param(Text("a<sep>b", image_size=SIZE), "ocr", "'<sep>' inside", id="text"),
        pytest.param(
            Text("a", (1, 2, 3), image_size=SIZE), "region_to_ocr", "3 location bins", id="bins"
        ),
        pytest.param(
            Quads([QUAD_PIXELS], [""], image_size=SIZE), "ocr_with_region", "label ''", id="quad"
        ),
    ],
)
def test_what_a_task_cannot_express(result, task, match):
    with pytest.raises(AnswerError, match=match):
        format_answer(result, task)


@pytest.mark.parametrize("token", [*OTHER_TOKENS, "<loc_0>", "<loc_999>"])
def test_no_special_token_of_the_vocabulary_passes_as_a_label(token):
    with pytest.raises(AnswerError):
        format_answer(boxes(f"a{token}b"), Task.OD)


def test_scores_are_not_written():
    scored = replace(boxes(), scores=[0.5])
    assert format_answer(scored, "od") == format_answer(boxes(), "od")


# ---- what models write ---------------------------------------------------------------------------


@pytest.mark.parametrize("task", [pytest.param(task, id=task.name) for task in Task])
def test_nothing_is_a_well_formed_answer(task):
    for answer in ("", "</s><s></s><pad>", " \n"):
        result = parse_answer(answer, task, SIZE)
        assert result.malformed == 0
        assert format_answer(result, task) == ""


@pytest.mark.parametrize(
    "answer, labels, xyxy, malformed",
    [
        pytest.param(f"cat{BOX}", ["cat"], [BOX_PIXELS], 0, id="one"),
        pytest.param(
            f"cat{BOX}{BOX}dog{OTHER_BOX}",
            ["cat", "cat", "dog"],
            [BOX_PIXELS, BOX_PIXELS, OTHER_BOX_PIXELS],
            0,
            id="grouped",
        ),
        pytest.param(f" cat {BOX}\n", ["cat"], [BOX_PIXELS], 0, id="space around"),
        pytest.param(f"cat{BOX} {BOX}", ["cat"] * 2, [BOX_PIXELS] * 2, 0, id="space between"),
        pytest.param(f"a<b{BOX}", ["a<b"], [BOX_PIXELS], 0, id="less-than kept"),
        pytest.param(f"<loc_{BOX}", ["<loc_"], [BOX_PIXELS], 0, id="half a token kept"),
        pytest.param(f"<loc_12345>{BOX}", ["<loc_12345>"], [BOX_PIXELS], 0, id="no token kept"),
        pytest.param(f"café 日本{BOX}", ["café 日本"], [BOX_PIXELS], 0, id="Unicode kept"),
        pytest.param(f"image{BOX}", ["image"], [BOX_PIXELS], 0, id="no ban list"),
        pytest.param(f"c<s>a</s>t<pad>{BOX}", ["cat"], [BOX_PIXELS], 0, id="padding inside"),
        pytest.param(f"cat<<s>s>{BOX}", ["cat"], [BOX_PIXELS], 0, id="padding nested"),
        pytest.param(f"cat{BOX}dog", ["cat"], [BOX_PIXELS], 1, id="last label cut"),
        pytest.param(f"cat{BOX}dog<loc_1>", ["cat"], [BOX_PIXELS], 1, id="last box cut"),
        pytest.param(f"cat{BOX}<loc_1>", ["cat"], [BOX_PIXELS], 1, id="next box cut"),
        pytest.param(f"cat<loc_1>dog{BOX}", ["dog"], [BOX_PIXELS], 1, id="first box cut"),
        pytest.param(BOX, [""], [BOX_PIXELS], 1, id="no label"),
        pytest.param(f"cat<and>dog{BOX}", ["dog"], [BOX_PIXELS], 2, id="foreign token"),
        pytest.param(f"cat{BOX}<sep>{BOX}", ["cat"] * 2, [BOX_PIXELS] * 2, 1, id="separator"),
        pytest.param(f"cat<poly>{BOX}</poly>", ["cat"], [BOX_PIXELS], 2, id="polygon marks"),
        pytest.param(
            "cat<loc_9><loc_5><loc_1><loc_7>", ["cat"], [[9.5, 5.5, 1.5, 7.5]], 1, id="x order"
        ),
        pytest.param(
            "cat<loc_1><loc_9><loc_5><loc_7>", ["cat"], [[1.5, 9.5, 5.5, 7.5]], 1, id="y order"
        ),
        pytest.param(
            "cat<loc_0><loc_0><loc_1000><loc_9999>", ["cat"], [[0.5, 0.5, 1000, 1000]], 1, id="edge"
        ),
    ],
)
@pytest.mark.parametrize("task", [Task.OD, Task.DENSE_REGION_CAPTION], ids=repr)
def test_labelled_boxes(task, answer, labels, xyxy, malformed):
    result = parse_answer(answer, task, SIZE)
    assert (result.labels, result.xyxy.tolist()) == (tuple(labels), xyxy)
    assert result.malformed == malformed


@pytest.mark.parametrize(
    "answer, labels, malformed",
    [
        pytest.param(f"{BOX}{OTHER_BOX}", ["", ""], 0, id="two"),
        pytest.param(f"{BOX}<loc_1>", [""], 1, id="cut"),
        pytest.param(f"{BOX}cat{BOX}", ["", "cat"], 1, id="a label where none belongs"),
        pytest.param("no objects", [], 1, id="words only"),
    ],
)
def test_region_proposals(answer, labels, malformed):
    result = parse_answer(answer, Task.REGION_PROPOSAL, SIZE)
    assert (result.labels, result.malformed) == (tuple(labels), malformed)


@pytest.mark.parametrize(
    "answer, labels, malformed",
    [
        pytest.param(f"</s><s>Hi{QUAD}</s>", ["Hi"], 0, id="one"),
        pytest.param(f"two\nlines{QUAD}\nnext{QUAD}\n", ["two\nlines", "next"], 0, id="newlines"),
        pytest.param(f"Hi{QUAD}ab<loc_1><loc_1>", ["Hi"], 1, id="cut"),
        pytest.param(f"Hi{QUAD}ab", ["Hi"], 1, id="cut before the quad"),
        pytest.param(f"Hi{QUAD}{QUAD}", ["Hi", ""], 1, id="two quads for a text"),
        pytest.param(f"{QUAD}Hi{QUAD}", ["", "Hi"], 1, id="no text"),
        pytest.param(f"Hi{BOX}", [], 1, id="a box"),
        pytest.param(f"<b>{QUAD}", ["<b>"], 0, id="markup"),
        pytest.param("x" + QUAD.replace("_9>", "_1000>"), ["x"], 1, id="beyond"),
    ],
)
def test_quads(answer, labels, malformed):
    result = parse_answer(answer, Task.OCR_WITH_REGION, SIZE)
    assert (result.labels, result.malformed) == (tuple(labels), malformed)
    assert result.quads.shape == (len(labels), 4, 2)
    if labels[:1] == ["Hi"]:
        assert result.quads[0].tolist() == QUAD_PIXELS


@pytest.mark.parametrize(
    "answer, instances, malformed",
    [
        pytest.param(PART, [[PART_PIXELS]], 0, id="one"),
        pytest.param(f"{PART}<sep>{OTHER_PART}", [[PART_PIXELS, OTHER_PART_PIXELS]], 0, id="parts"),
        pytest.param(f"<poly>{PART}</poly>", [[PART_PIXELS]], 0, id="one wrapped"),
        pytest.param(
            f"<poly>{PART}</poly><poly>{OTHER_PART}</poly>",
            [[PART_PIXELS], [OTHER_PART_PIXELS]],
            0,
            id="several",
        ),
        pytest.param(f"{PART}<loc_7>", [[PART_PIXELS]], 1, id="odd coordinate"),
        pytest.param(f"{PART}<sep><loc_7>", [[PART_PIXELS]], 1, id="part of half a point"),
        pytest.param(f"{PART}<sep>", [[PART_PIXELS]], 1, id="part cut"),
        pytest.param("<loc_1><loc_1><loc_9><loc_1>", [[PART_PIXELS[:2]]], 1, id="a line kept"),
        pytest.param("<loc_1><loc_1>", [], 1, id="a point dropped"),
        pytest.param(f"<poly>{PART}", [[PART_PIXELS]], 1, id="not closed"),
        pytest.param(f"{PART}</poly>", [[PART_PIXELS]], 1, id="not opened"),
        pytest.param("<poly></poly>", [], 1, id="empty"),
        pytest.param("</poly>", [], 1, id="a mark"),
        pytest.param(
            f"<poly>{PART}<poly>{PART}</poly>", [[PART_PIXELS]] * 2, 1, id="opened in another"
        ),
        pytest.param(
            f"{PART}<poly>{PART}</poly>{PART}", [[PART_PIXELS]] * 3, 2, id="bare beside wrapped"
        ),
        pytest.param("no car", [], 1, id="words only"),
    ],
)
def test_polygons(answer, instances, malformed):
    result = parse_answer(answer, Task.REFERRING_EXPRESSION_SEGMENTATION, SIZE)
    found = [[part.tolist() for part in instance] for instance in result.polygons]
    assert (found, result.malformed) == (instances, malformed)
    assert result.labels == ("",) * len(instances)


def test_words_before_a_polygon_are_kept_as_its_label_and_counted():
    result = parse_answer(f"car{PART}", Task.REGION_TO_SEGMENTATION, SIZE)
    assert (result.labels, result.malformed) == (("car",), 1)


@pytest.mark.parametrize(
    "answer, box_labels, polygon_labels, malformed",
    [
        pytest.param(f"cat{BOX}cat{BOX}", ["cat", "cat"], [], 0, id="boxes"),
        pytest.param(f"cat<poly>{PART}</poly>", [], ["cat"], 0, id="polygon"),
        pytest.param(f"cat{BOX}dog<poly>{PART}</poly>", ["cat"], ["dog"], 0, id="both"),
        pytest.param(f"cat{BOX}<poly>{PART}</poly>", ["cat"], ["cat"], 0, id="both of one label"),
        pytest.param(f"cat<poly>{PART}", [], ["cat"], 1, id="polygon cut"),
        pytest.param("cat<poly><loc_1>", [], [], 1, id="polygon lost"),
        pytest.param(f"<poly>{PART}</poly>", [], [""], 1, id="no label"),
        pytest.param(f"cat{BOX}dog<loc_1>", ["cat"], [], 1, id="box cut"),
    ],
)
def test_open_vocabulary_answers(answer, box_labels, polygon_labels, malformed):
    result = parse_answer(answer, Task.OPEN_VOCABULARY_DETECTION, SIZE)
    assert result.boxes.labels == tuple(box_labels)
    assert result.polygons.labels == tuple(polygon_labels)
    assert result.malformed == malformed


@pytest.mark.parametrize(
    "answer, text, bins, malformed",
    [
        pytest.param("</s><s>Hello world</s><pad>", "Hello world", (), 0, id="words"),
        pytest.param("one\n two ", "one\n two", (), 0, id="newline"),
        pytest.param(f"some object{BOX}", "some object", (10, 20, 30, 40), 0, id="box"),
        pytest.param(BOX * 2, "", (10, 20, 30, 40) * 2, 0, id="boxes only"),
        pytest.param("a car<loc_1><loc_2>", "a car", (1, 2), 1, id="box cut"),
        pytest.param(f"a{BOX}b", "a b", (10, 20, 30, 40), 1, id="words behind"),
        pytest.param("a<and>b<unk>", "a b", (), 2, id="foreign tokens"),
        pytest.param("a<loc_1><loc_2><loc_3><loc_1000>", "a", (1, 2, 3, 999), 1, id="beyond"),
        pytest.param("a < b </i>", "a < b </i>", (), 0, id="less-than"),
    ],
)
def test_texts(answer, text, bins, malformed):
    result = parse_answer(answer, Task.REGION_TO_CATEGORY, SIZE)
    assert (result.text, result.location_bins, result.malformed) == (text, bins, malformed)


def test_what_is_known_about_the_answer_is_kept():
    result = parse_answer(
        f"</s><s>cat{BOX} </s><pad>", "<OD>", (640, 480), token_ids=[2, 0, 8], finish_reason="stop"
    )
    assert result.answer == f"cat{BOX} "
    assert (result.token_ids, result.finish_reason) == ((2, 0, 8), "stop")
    assert (result.image_size, result.scores) == ((640, 480), None)


chaos = st.lists(
    st.sampled_from(
        ["<s>", "</s>", "<pad>", "<sep>", "<poly>", "</poly>", "<and>", "<od>", "<unk>", "<s", "<"]
        + ["loc_5>", "<loc_", "<loc_1000>", "<loc_-1>", "<loc_" + "9" * 5000 + ">", "<loc_٣>"]
        + [f"<loc_{bin_}>" for bin_ in (0, 1, 7, 500, 999)] * 3
        + ["car", " ", "\n", "\0", "é", "日本", "\ud800"]
    )
    | st.text(max_size=5),
    max_size=40,
).map("".join)


@given(chaos, sizes)
def test_no_text_makes_reading_raise(answer, size):
    for task in Task:
        result = parse_answer(answer, task, size)
        assert parse_answer(result.answer, task, size) == result
        assert not any(token in result.answer for token in ("<s>", "</s>", "<pad>"))
        to_transformers_dict(result, task, "hf")
        to_transformers_dict(result, task, "microsoft")


@given(chaos)
def test_what_is_well_formed_can_be_written_again(answer):
    for task in Task:
        result = parse_answer(answer, task, SIZE)
        if not result.malformed:
            # Detection would move boxes up to the first of their class.
            written_as = Task.DENSE_REGION_CAPTION if task is Task.OD else task
            again = parse_answer(format_answer(result, written_as), task, SIZE)
            assert replace(again, answer=result.answer) == result


def test_a_cut_answer_is_never_taken_for_a_whole_one():
    """Every prefix of an answer gives its whole objects, and counts the last one if it is cut."""
    answer = f"cat|{BOX}|{OTHER_BOX}|dog|{BOX}"
    whole = parse_answer(answer.replace("|", ""), Task.OD, SIZE)
    tokens = answer.replace("><", ">|<").split("|")
    for length in range(len(tokens)):
        result = parse_answer("".join(tokens[:length]), Task.OD, SIZE)
        assert np.array_equal(result.xyxy, whole.xyxy[: len(result.xyxy)])
        at_end_of_object = length in (0, 5, 9)
        assert result.malformed == (not at_end_of_object)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("<" * 50_000 + "s>" * 50_000, id="nested padding"),
        pytest.param("<loc_" * 50_000, id="half tokens"),
        pytest.param("a<loc_1>" * 5_000, id="labels"),
        pytest.param("<poly>" * 5_000, id="marks"),
    ],
)
def test_long_answers_take_linear_time(answer):
    """Work that grows with the square of the length would take minutes here."""
    parse_answer(answer, Task.OPEN_VOCABULARY_DETECTION, SIZE)


def test_wrong_arguments_are_the_callers_fault():
    with pytest.raises(TaskError):
        parse_answer("", "detect", SIZE)
    with pytest.raises(DataError):
        parse_answer("", "od", (0, 5))
    with pytest.raises(TaskError):
        format_answer(boxes(), "detect")
