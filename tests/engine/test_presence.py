"""Evidence for phrases, on tiny models of random weights and on the shipped one."""

import json
from math import exp, log
from pathlib import Path

import pytest
import torch
from PIL import Image

from florence2 import Boxes, ConfigError, Florence2, GenerationOptions, Mixed, Request, TaskError
from florence2.answers.compat import to_transformers_dict
from florence2.engine import Engine, LoglikelihoodRequest
from florence2.engine.presence import PhraseQuery, PresenceEvidence, phrases_to_verify
from florence2.model.cache import PromptCache
from florence2.pipelines.presence import collect_evidence
from florence2.results import Absent, Polygons
from florence2.tasks import Task

SIZE = (100, 100)
NOTHING = Polygons([], [], image_size=SIZE)
ASKING = (Task.OPEN_VOCABULARY_DETECTION, Task.CAPTION_TO_PHRASE_GROUNDING)
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=16)
MANY = 16  # phrases, more than are prefilled or running at once
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Florence2:
    loaded = Florence2.load(str(tiny_folder), device="cpu")
    return Florence2(loaded.runtime, loaded.processor, name="tiny", generation=GREEDY)


def boxes(*labels: str) -> Boxes:
    return Boxes([[0, 0, 9, 9]] * len(labels), labels, image_size=SIZE)


def test_nothing_for_or_against_is_one_half() -> None:
    assert PresenceEvidence(0.0, 0.0).score == 0.5


def test_writing_a_phrase_does_not_speak_for_it_and_ending_speaks_against_it() -> None:
    assert PresenceEvidence(9.0, 1.0).score == PresenceEvidence(0.0, 1.0).score
    assert PresenceEvidence(-1.0, 1.0).score == 0.5
    assert PresenceEvidence(0.0, 2 * log(3)).score == pytest.approx(0.75)


@pytest.mark.parametrize("odds", [-1e9, -800.0, 800.0, 1e9])
def test_scores_stay_in_bounds(odds: float) -> None:
    assert 0.0 <= PresenceEvidence(0.0, odds).score <= 1.0


@pytest.mark.parametrize("task", ASKING)
def test_phrases_together_score_as_alone(model: Florence2, picture: Path, task: Task) -> None:
    phrases = [f"{word} {'red ' * more}car" for more in range(3) for word in ("a", "the", "see")]
    phrases *= 1 + MANY // len(phrases)
    together = model.presence(picture, phrases, task)
    alone = [model.presence(picture, phrase, task)[0] for phrase in phrases]
    assert len(together) > MANY
    assert len({*together}) > 1
    assert together == pytest.approx(alone, rel=1e-3)


def test_evidence_is_what_the_decoder_says_step_by_step(model: Florence2, picture: Path) -> None:
    """The same by one call of the decoder for each token."""
    tokenizer, network = model.processor.tokenizer, model.runtime.model
    task, phrase = Task.OPEN_VOCABULARY_DETECTION, "car road"
    seen = model.encode_image(picture)
    blank = network.encode_image(torch.zeros(1, 3, 32, 32))
    words = tokenizer.encode(phrase)[1:-1]
    start = [network.config.text.decoder_start_id, tokenizer.bos_id]

    @torch.no_grad()
    def following(image_tokens: torch.Tensor, prompt: str, answer: list[int]) -> torch.Tensor:
        memory = network.encode(image_tokens, torch.tensor([tokenizer.encode(prompt)]))
        return network.decode_with(torch.tensor([answer]), PromptCache(memory))[0, -1].log_softmax(
            -1
        )

    tokens_1ID = seen.image_tokens.tokens_1ID
    asked = (tokens_1ID, task.prompt(phrase))
    while len(start) < 5 and int(following(*asked, start).argmax()) == tokenizer.bos_id:
        start.append(tokenizer.bos_id)

    def mean(image_tokens: torch.Tensor, prompt: str) -> float:
        spelled = [
            following(image_tokens, prompt, start + words[:at])[word].item()
            for at, word in enumerate(words)
        ]
        return sum(spelled) / len(spelled)

    written = mean(*asked) - following(*asked, start)[tokenizer.eos_id].item()
    bins: list[int] = []
    for _ in range(4):
        first = tokenizer.loc_begin
        answer = start + words + [first + each for each in bins]
        allowed = range(bins[-2] + 1, 1000) if len(bins) > 1 else range(999)
        told = following(*asked, answer)
        bins.append(max(allowed, key=lambda each: told[first + each].item()))
    back = Task.REGION_TO_CATEGORY.prompt(region_bins=bins)
    named = mean(tokens_1ID, back) - mean(blank, back)

    (evidence,) = collect_evidence(model.engine, [PhraseQuery(seen, task, phrase)])
    assert evidence == pytest.approx((written, named), rel=1e-3, abs=1e-6)


def test_articles_are_not_asked_back(model: Florence2, picture: Path) -> None:
    """What is scored in both pictures is the bare name; only the first question has the article."""
    asked: list[LoglikelihoodRequest] = []
    submit = model.engine.submit

    class Watching(Engine):
        def submit(self, request, on_tokens=None):  # type: ignore[no-untyped-def]
            asked.append(request)
            return submit(request)

    watching = Watching(model.runtime, model.processor, "tiny")
    seen = model.encode_image(picture)
    query = PhraseQuery(seen, Task.OPEN_VOCABULARY_DETECTION, "a car")
    collect_evidence(watching, [query])
    decode = model.processor.tokenizer.decode
    scored = [each for each in asked if isinstance(each, LoglikelihoodRequest)]
    answers = [decode(each.answer_ids).replace("<s>", "") for each in scored]
    assert answers[1:] == ["a car", "</s>", "car", "car"]
    assert decode(scored[0].prompt_ids).count("a car") == 1


def test_without_the_option_nothing_changes(model: Florence2, picture: Path) -> None:
    for task in ASKING:
        asked = model.run(picture, task, "a car")
        checked = model.run(picture, task, "a car", min_presence=1e-9)
        assert checked == asked
        assert checked.token_ids == asked.token_ids


@pytest.mark.parametrize("task", ASKING)
def test_what_is_absent_has_a_score_and_no_box(model: Florence2, picture: Path, task: Task) -> None:
    always = GenerationOptions(num_beams=1, max_new_tokens=16, min_new_tokens=10, grammar=True)
    asked = model.run(picture, task, "a car<and>dog", generation=always)
    result = model.run(picture, task, "a car<and>dog", generation=always, min_presence=1.0)
    found, before = (each.boxes if isinstance(each, Mixed) else each for each in (result, asked))
    assert isinstance(found, Boxes) and isinstance(before, Boxes)
    assert before.labels
    assert found.labels == ()
    phrases = [each.phrase for each in found.absent]
    assert model.presence(picture, phrases, task) == pytest.approx(
        [each.score for each in found.absent], rel=1e-3
    )
    assert set(before.labels) <= {*phrases}
    assert type(result).from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert to_transformers_dict(result, task) == to_transformers_dict(
        type(result).from_dict(result.to_dict()), task
    )


def test_requests_with_and_without_the_option_may_share_a_batch(
    model: Florence2, picture: Path
) -> None:
    other = Image.new("RGB", (60, 60), "red")
    requests = [
        Request(source, task, "a car<and>dog" if task.needs_text else "", min_presence=least)
        for source, least in ((picture, 0.9), (other, 0.9))
        for task, least in (
            (ASKING[0], least),
            (Task.OD, 0.0),
            (ASKING[1], least),
            (ASKING[0], 0.0),
        )
    ]
    batched = list(model.run_many(requests, batch_size=8))
    for request, result in zip(requests, batched, strict=True):
        single = model.engine.answer([request])[0].result
        one, same = (each.boxes if isinstance(each, Mixed) else each for each in (single, result))
        assert isinstance(one, Boxes) and isinstance(same, Boxes)
        assert one.labels == same.labels
        assert [each.phrase for each in one.absent] == [each.phrase for each in same.absent]


def test_classes_are_checked_as_asked_and_phrases_as_found() -> None:
    mixed = Mixed(boxes("zebra"), NOTHING, image_size=SIZE)
    assert phrases_to_verify(mixed, "cat<and> dog<and>cat") == ["cat", "dog"]
    assert phrases_to_verify(boxes("a cat", "a cat", "a dog"), "a cat and a dog") == [
        "a cat",
        "a dog",
    ]
    assert phrases_to_verify(boxes(), "a cat and a dog") == ["a cat and a dog"]
    assert phrases_to_verify(boxes("a cat"), "a cat<and>a dog") == ["a cat", "a dog"]


def test_absent_labels_leave_boxes_and_outlines() -> None:
    outlines = Polygons([[[[0, 0], [1, 0], [1, 1]]]] * 2, ("dog", "Cat"), image_size=SIZE)
    mixed = Mixed(boxes("cat", "dog", "cat"), outlines, image_size=SIZE)
    kept = mixed.drop_absent([Absent("cat", 0.1)])
    assert (kept.boxes.labels, kept.polygons.labels) == (("dog",), ("dog",))
    assert kept.boxes.absent == (Absent("cat", 0.1),)
    assert kept.drop_absent([Absent("dog", 0.2)]).boxes.absent == (("cat", 0.1), ("dog", 0.2))


@pytest.mark.parametrize("phrase", ["", "cat<and>dog", "cat<loc_3>"])
def test_one_phrase_at_a_time(model: Florence2, picture: Path, phrase: str) -> None:
    with pytest.raises(TaskError, match="one phrase"):
        model.presence(picture, ["car", phrase])


def test_only_tasks_that_ask_for_phrases(model: Florence2, picture: Path) -> None:
    with pytest.raises(TaskError, match="asks for no phrases"):
        model.presence(picture, "car", Task.REFERRING_EXPRESSION_SEGMENTATION)
    with pytest.raises(TaskError, match="asks for no phrases"):
        model.detect(picture, min_presence=0.5)
    with pytest.raises(ConfigError, match="min_presence"):
        model.detect(picture, "car", min_presence=exp(1))


def test_the_shipped_model_tells_what_is_there_from_what_is_not() -> None:
    nano = Florence2.load("nano", device="cpu")
    truth = json.loads((EXAMPLES / "truth.json").read_text())
    scenes = {name: set(each["labels"]) for name, each in truth.items() if "labels" in each}
    names = sorted(set().union(*scenes.values()))
    there, not_there = [], []
    for picture, labels in scenes.items():
        scores = nano.presence(EXAMPLES / picture, names)
        for name, score in zip(names, scores, strict=True):
            (there if name in labels else not_there).append(score)
    right = sum(yes > no for yes in there for no in not_there) / (len(there) * len(not_there))
    assert right > 0.85
