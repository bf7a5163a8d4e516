"""The few lines a user types, on a tiny model of random weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2 import (
    Boxes,
    ConfigError,
    Florence2,
    GenerationOptions,
    ImageError,
    Mixed,
    Polygons,
    Quads,
    Request,
    Task,
    TaskError,
    Text,
    WeightsError,
)

SHORT = GenerationOptions(num_beams=2, max_new_tokens=12)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Florence2:
    loaded = Florence2.load(str(tiny_folder), device="cpu")
    return Florence2(loaded.runtime, loaded.processor, name=loaded.name, generation=SHORT)


def question(task: Task) -> dict[str, object]:
    """Input that the task needs."""
    return {
        "text_input": "a car" if task.needs_text else "",
        "region": (10, 10, 60, 50) if task.needs_region else None,
    }


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_every_task_answers_in_its_own_type(model: Florence2, picture: Path, task: Task) -> None:
    result = model.run(picture, task, **question(task))  # type: ignore[arg-type]
    assert result.image_size == (120, 80)
    assert result.token_ids[0] == model.processor.tokenizer.bos_id
    assert result.finish_reason in ("stop", "length", "grammar")
    assert result.malformed == 0
    assert result.to_dict()["answer"] == result.answer


@pytest.mark.parametrize("task", [Task.OD, "<OD>", "od", "OD"])
def test_a_task_may_be_written_in_several_ways(
    model: Florence2, picture: Path, task: Task | str
) -> None:
    assert model.run(picture, task) == model.run(picture, Task.OD)


def test_methods_ask_their_tasks(model: Florence2, picture: Path) -> None:
    seen = model.encode_image(picture)
    region = (10, 10, 60, 50)
    asked: list[tuple[object, type, object]] = [
        (model.caption(seen), Text, model.run(seen, "caption")),
        (model.caption(seen, "paragraph"), Text, model.run(seen, "more_detailed_caption")),
        (model.detect(seen), Boxes, model.run(seen, "od")),
        (model.ground(seen, "a car"), Boxes, model.run(seen, Task.CAPTION_TO_PHRASE_GROUNDING, "a car")),
        (model.segment(seen, "a car"), Polygons, model.run(seen, Task.REFERRING_EXPRESSION_SEGMENTATION, "a car")),
        (model.segment(seen, region=region), Polygons, model.run(seen, Task.REGION_TO_SEGMENTATION, region=region)),
        (model.ocr(seen), Text, model.run(seen, "ocr")),
        (model.ocr(seen, region), Text, model.run(seen, "region_to_ocr", region=region)),
        (model.ocr(seen, with_regions=True), Quads, model.run(seen, "ocr_with_region")),
        (model.describe_region(seen, region), Text, model.run(seen, "region_to_description", region=region)),
        (model.describe_region(seen, region, brief=True), Text, model.run(seen, "region_to_category", region=region)),
        (model.propose_regions(seen), Boxes, model.run(seen, "region_proposal")),
    ]  # fmt: skip
    for found, kind, expected in asked:
        assert isinstance(found, kind)
        assert found == expected
    named = model.run(seen, Task.OPEN_VOCABULARY_DETECTION, "car<and>dog")
    assert isinstance(named, Mixed)
    assert model.detect(seen, ["car", "dog"]) == named.boxes


def test_sources_of_one_picture_answer_alike(model: Florence2, picture: Path) -> None:
    image = Image.open(picture)
    answers = [
        model.run(source, Task.OCR)
        for source in (picture, str(picture), picture.read_bytes(), image, np.asarray(image))
    ]
    assert all(answer == answers[0] for answer in answers)


def test_encoding_once_changes_no_answer(model: Florence2, picture: Path) -> None:
    seen = model.encode_image(picture)
    for task in (Task.OD, Task.OCR, Task.CAPTION):
        assert model.run(seen, task) == model.run(picture, task)


def test_batch_answers_equal_single_answers(model: Florence2, picture: Path) -> None:
    other = Image.new("RGB", (70, 90), "green")
    requests = [
        Request(source, task, **question(task))  # type: ignore[arg-type]
        for task in Task
        for source in (picture, other)
    ]
    batched = list(model.run_many(requests, batch_size=7))
    single = [model.run(r.image, r.task, r.text_input, r.region) for r in requests]
    assert [words(result) for result in batched] == [words(result) for result in single]
    for one, other in zip(batched, single, strict=True):
        assert scores(one) == pytest.approx(scores(other), rel=1e-3)  # float32, other shapes


def words(result: object) -> dict[str, object]:
    """All of a result but scores."""
    return json.loads(json.dumps(result.to_dict(), default=str), object_hook=_without_scores)


def _without_scores(given: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in given.items() if "score" not in key}


def scores(result: object) -> list[float]:
    """All scores of a result."""
    if isinstance(result, Text):
        return [] if result.score is None else [result.score]
    parts = [result.boxes, result.polygons] if isinstance(result, Mixed) else [result]
    columns = [(each.scores, each.location_scores, each.label_scores) for each in parts]
    flat = [column for three in columns for column in three if column is not None]
    return [score for column in flat for score in column if score is not None]


def test_a_prompt_of_its_own_is_sent_in_place_of_the_task_s(
    model: Florence2, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    prefill = model.runtime.prefill
    monkeypatch.setattr(
        model.runtime, "prefill", lambda images, ids: asked.extend(ids) or prefill(images, ids)
    )
    (answer,) = model.run_many(
        [Request(picture, Task.CAPTION, prompt="<DocVQA>What is the total?")]
    )
    assert isinstance(answer, Text)
    assert asked
    for ids in asked:
        assert model.processor.tokenizer.decode(ids) == "<s><DocVQA>What is the total?</s>"


def test_one_bad_request_leaves_the_others_answered(model: Florence2, picture: Path) -> None:
    requests = [
        Request(picture, "od"),
        Request("missing.png", "od"),
        Request(picture, "caption_to_phrase_grounding"),
        Request(picture, "odd"),
        Request(picture, "ocr"),
    ]
    first, missing, no_words, no_task, last = model.run_many(requests)
    assert words(first) == words(model.run(picture, "od"))
    assert words(last) == words(model.run(picture, "ocr"))
    assert isinstance(missing, ImageError)
    assert isinstance(no_words, TaskError)
    assert isinstance(no_task, TaskError)


def test_options_reach_the_search(model: Florence2, picture: Path) -> None:
    options = GenerationOptions(num_beams=1, max_new_tokens=3, grammar=False)
    result = model.run(picture, "od", generation=options)
    assert len(result.token_ids) == 3
    assert result.finish_reason == "length"


def test_pictures_may_be_of_another_side(tiny_folder: Path, picture: Path) -> None:
    """A side of the tower's stride gives a map of one cell: that and the mean of it."""
    model = Florence2.load(str(tiny_folder), device="cpu", image_side=8)
    assert model.encode_image(picture).image_tokens.tokens_1ID.shape[1] == 2
    assert model.run(picture, "od").token_ids


def test_the_precision_is_applied(tiny_folder: Path, picture: Path) -> None:
    model = Florence2.load(str(tiny_folder), device="cpu", precision="bfloat16")
    tokens = model.encode_image(picture).image_tokens.tokens_1ID
    assert model.runtime.model.dtype == tokens.dtype == torch.bfloat16
    options = GenerationOptions(num_beams=1, max_new_tokens=4)
    assert model.run(picture, "ocr", generation=options).token_ids


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        pytest.param(lambda m, p: m.run(p, "odd"), TaskError, "did you mean 'od'", id="task"),
        pytest.param(lambda m, p: m.run(p, "od", "words"), TaskError, "takes no text", id="text"),
        pytest.param(lambda m, p: m.ground(p, ""), TaskError, "needs text", id="no text"),
        pytest.param(lambda m, p: m.describe_region(p, (0, 0, 500, 10)), TaskError, "not a box inside the picture", id="region outside"),
        pytest.param(lambda m, p: m.run(p, "region_to_ocr"), TaskError, "needs a region", id="no region"),
        pytest.param(lambda m, p: m.segment(p), TaskError, "phrase or a region", id="segment nothing"),
        pytest.param(lambda m, p: m.caption(p, "long"), TaskError, "'brief', 'detailed', 'paragraph'", id="detail"),
        pytest.param(lambda m, p: m.ocr(p, (0, 0, 9, 9), with_regions=True), TaskError, "give one", id="ocr both"),
        pytest.param(lambda m, p: list(m.run_many([], batch_size=0)), ConfigError, "1 or more", id="batch"),
        pytest.param(lambda m, p: m.run("none.png", "od"), ImageError, "none.png", id="image"),
        pytest.param(lambda m, p: Florence2.load("nanoo"), WeightsError, "did you mean", id="source"),
        pytest.param(lambda m, p: Florence2.load(device="cpu", precision="fp8"), ConfigError, "'int8'", id="precision"),
        pytest.param(lambda m, p: Florence2.load(device="toaster"), ConfigError, "toaster", id="device"),
        pytest.param(lambda m, p: Florence2.load(device="cpu", image_side=100), ConfigError, "multiple of 16 from 16 to 336, such as its own 128", id="side"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(
    model: Florence2, picture: Path, call, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        call(model, picture)
    assert "\n" not in str(caught.value)


def test_an_image_encoded_by_another_model_is_refused(model: Florence2, picture: Path) -> None:
    other = Florence2(model.runtime, model.processor, name="other")
    with pytest.raises(TaskError, match="made by model 'other'"):
        model.run(other.encode_image(picture), "od")


# ---- scores and grammar


def test_every_object_has_a_score_made_of_its_parts(model: Florence2, picture: Path) -> None:
    boxes = model.detect(picture)
    assert len(boxes.labels) > 0
    columns = (boxes.scores, boxes.location_scores, boxes.label_scores)
    for score, location, label in zip(*columns, strict=True):
        assert score == pytest.approx((location * label) ** 0.5)
    proposals = model.propose_regions(picture)
    assert proposals.scores == proposals.location_scores
    assert {*(proposals.label_scores or ())} <= {None}


def test_a_threshold_leaves_out_lower_scores(model: Florence2, picture: Path) -> None:
    everything = model.detect(picture)
    middle = sorted(everything.scores)[-1]
    kept = model.detect(picture, min_score=middle)
    assert kept == everything.with_min_score(middle)
    assert kept.scores == (middle,)
    assert len(everything.scores) > 1
    assert model.caption(picture) == model.run(picture, "caption", min_score=1.0)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_repair_leaves_well_formed_answers_as_they_are(
    model: Florence2, picture: Path, task: Task
) -> None:
    answers = {
        grammar: model.run(
            picture,
            task,
            **question(task),  # type: ignore[arg-type]
            generation=replace(SHORT, grammar=grammar),
        )
        for grammar in (False, "repair", True)
    }
    assert answers["repair"].malformed == answers[True].malformed == 0
    if answers[False].malformed == 0:
        assert answers["repair"] == answers[False]


def test_with_the_grammar_only_asked_classes_are_named(model: Florence2, picture: Path) -> None:
    options = GenerationOptions(num_beams=1, max_new_tokens=40, min_new_tokens=30, grammar=True)
    found = model.run(picture, Task.OPEN_VOCABULARY_DETECTION, "a car<and>Hund", None, options)
    labels = {*found.boxes.labels, *found.polygons.labels}
    assert labels
    assert labels <= {"a car", "Hund"}


def test_none_is_no_picture(tiny_folder: Path) -> None:
    """What `cv2.imread` gives for a missing file was answered as a blank picture."""
    with Florence2.load(tiny_folder, device="cpu") as model:
        for ask in (model.caption, model.detect, model.encode_image):
            with pytest.raises(ImageError, match="None is no picture"):
                ask(None)  # type: ignore[arg-type]
