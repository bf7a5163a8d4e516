"""Free prompt, free answer: what a model of its own prompts wrote is what comes out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2 import Florence2, GenerationOptions, Piece, Points, Request, Task, TaskError, draw
from florence2.answers import format_answer, parse_answer
from florence2.engine import Engine
from florence2.errors import ConfigError
from florence2.model.config import nano
from florence2.pipelines.tiling.run import run_tiled
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes, Text, from_dict
from toy_runtime import ToyMemory, ToyRuntime

CLICK = "What to do to execute the command? click accept"
ANSWERS = {
    CLICK: "click<loc_500><loc_300>",
    "<REPORT>": "The crack is at <loc_100><loc_200><loc_300><loc_400> and long.",
    "<PART>": "part<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>",
    "<MARKS>": "a<poly><loc_1><loc_2><sep><loc_3></poly> <od>",
    "<COUNT>": "7",
    "Is there a zebra?": "",
    "<DocVQA>What is the total? ": " 12.50 EUR\n",
    "<TWO>": "<loc_900><loc_100> to <loc_100><loc_900><loc_50><loc_50> and<loc_1>",
    Task.CAPTION.prompt(): "a red car<loc_1><loc_2>",
}
PICTURE = np.full((48, 64, 3), 118, dtype=np.uint8)
TOKENIZER = Tokenizer.train([*ANSWERS, *ANSWERS.values()] * 3, vocab_size=320)
ORDINARY = 4.0  # logit of what is written where a grammar forbids the answer


def scripted() -> Florence2:
    """A model that writes `ANSWERS`; where a grammar forbids the next token, what it allows."""
    config = nano(TOKENIZER.vocab_size)
    written = {
        tuple(TOKENIZER.encode(asked)): TOKENIZER.encode(ANSWERS[asked]) for asked in ANSWERS
    }

    def next_logits(memory: ToyMemory, fed: list[int]) -> np.ndarray:
        logits = np.full(TOKENIZER.vocab_size, -9.0, dtype=np.float32)
        logits[TOKENIZER.loc_begin + 6] = logits[TOKENIZER.eos_id] = ORDINARY
        answer = written[memory.prompt]
        if list(fed[1:]) == answer[: len(fed) - 1] and len(fed) <= len(answer):
            logits[answer[len(fed) - 1]] = 20.0
        return logits

    runtime = ToyRuntime(config, next_logits)
    greedy = GenerationOptions(num_beams=1, no_repeat_ngram_size=0, max_new_tokens=40)
    return Florence2(runtime, Processor(TOKENIZER, config), name="scripted", generation=greedy)


@pytest.fixture(scope="module")
def model():
    with scripted() as made:
        yield made


def asking(grammar: bool | str | None) -> GenerationOptions:
    return GenerationOptions(
        num_beams=1, no_repeat_ngram_size=0, max_new_tokens=40, grammar=grammar
    )


OWN = [prompt for prompt in ANSWERS if prompt != Task.CAPTION.prompt()]


# ---- nothing is added, nothing is cut


@pytest.mark.parametrize("prompt", OWN)
def test_an_own_prompt_is_answered_to_the_letter(model: Florence2, prompt: str) -> None:
    """The default repair wrote coordinates that the model never wrote, and cut its last words."""
    result = model.run(PICTURE, prompt=prompt)
    assert isinstance(result, Text)
    assert (result.answer, result.text) == (ANSWERS[prompt], ANSWERS[prompt])
    assert (result.repaired, result.first_answer, result.malformed) == (False, None, 0)
    assert result.finish_reason == "stop"
    assert "".join(piece.text for piece in result.pieces) == result.text
    assert all(result.text[piece.start : piece.end] == piece.text for piece in result.pieces)
    assert from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize("task", ["caption", "od", "ocr_with_region", "region_proposal"])
@pytest.mark.parametrize("prompt", OWN)
def test_a_task_beside_a_prompt_reads_and_repairs_nothing(
    model: Florence2, prompt: str, task: str
) -> None:
    options = GenerationOptions(num_beams=1, no_repeat_ngram_size=0)  # says nothing of grammar
    (result,) = model.run_many([Request(PICTURE, task, prompt=prompt)], options)
    assert (result.answer, result.repaired) == (ANSWERS[prompt], False)


def test_a_repaired_answer_says_so_and_keeps_the_first(model: Florence2) -> None:
    """Nothing in a result told that it had been written anew."""
    for request in (
        Request(PICTURE, "caption", prompt=CLICK, generation=asking("repair")),
        Request(PICTURE, "caption"),  # the tasks' own sentences are repaired by default
    ):
        (answer,) = model.answer_many([request])
        first = ANSWERS[request.prompt or Task.CAPTION.prompt()]
        result = answer.result
        assert (answer.is_repaired, result.repaired, result.first_answer) == (True, True, first)
        assert result.answer != first and result.malformed == 0
        written = json.loads(json.dumps(result.to_dict()))
        assert (written["repaired"], written["first_answer"]) == (True, first)
        assert from_dict(written) == result
    (kept,) = model.answer_many([Request(PICTURE, "caption", generation=asking(False))])
    assert (kept.is_repaired, kept.result.first_answer) == (False, None)


def test_what_follows_on_an_answer_keeps_what_is_told_of_it() -> None:
    empty = Boxes([], [], image_size=(9, 9), repaired=True, first_answer="a<loc_1>")
    for changed in (empty.drop_absent([]), empty.with_min_score(0.5), empty.select([])):
        assert (changed.repaired, changed.first_answer) == (True, "a<loc_1>")


def test_grammar_is_kept_where_it_is_asked_for(model: Florence2) -> None:
    strict = model.run(PICTURE, "od", prompt=CLICK, generation=asking(True))
    assert strict.answer.startswith(ANSWERS[CLICK]) and strict.malformed == 0
    assert not strict.repaired  # it was never written otherwise
    with pytest.raises(ConfigError, match="needs a task"):
        model.run(PICTURE, prompt=CLICK, generation=asking("repair"))


# ---- points, and words with places between them


def test_a_point_is_a_result_with_its_label(model: Florence2) -> None:
    result = model.run(PICTURE, prompt=CLICK)
    assert isinstance(result, Text)
    points = result.points
    assert isinstance(points, Points)
    assert points.labels == ("click",) and points.scores is not None
    np.testing.assert_allclose(points.xy, [[500.5 * 0.064, 300.5 * 0.048]])
    assert from_dict(points.to_dict()) == points
    assert points.with_min_score(1.0).labels == ()
    assert len(result.boxes.xyxy) == 0


def test_a_mixed_text_keeps_where_its_places_stood(model: Florence2) -> None:
    """`text` was "The crack is at and long."; nobody could tell where the box had been."""
    result = model.run(PICTURE, prompt="<REPORT>")
    assert isinstance(result, Text)
    before, place, behind = result.pieces
    assert [before.text, place.kind, behind.text] == ["The crack is at ", "box", " and long."]
    assert result.text[: place.start] + result.text[place.end :] == "The crack is at  and long."
    assert (place.label, result.boxes.labels) == ("The crack is at", ("The crack is at",))
    np.testing.assert_allclose(
        result.boxes.xyxy, [[100.5 * 0.064, 200.5 * 0.048, 300.5 * 0.064, 400.5 * 0.048]]
    )
    as_caption = model.run(PICTURE, "caption", prompt="<REPORT>")
    assert isinstance(as_caption, Text)
    assert as_caption.text == "The crack is at and long."
    assert [piece.text for piece in as_caption.pieces] == [piece.text for piece in result.pieces]


def test_places_are_told_by_their_number_of_tokens(model: Florence2) -> None:
    result = model.run(PICTURE, prompt="<TWO>")
    assert isinstance(result, Text)
    kinds = [(piece.kind, len(piece.points)) for piece in result.pieces]
    # Two corners that are none of a box are two points; one token alone is no place.
    assert kinds == [("point", 1), ("words", 0), ("points", 2), ("words", 0), ("tokens", 0)]
    assert result.pieces[2].label == "to"
    marks = model.run(PICTURE, prompt="<MARKS>")
    assert isinstance(marks, Text)
    assert [piece.kind for piece in marks.pieces] == [
        *("words", "tokens", "point", "tokens", "tokens", "tokens", "words", "tokens")
    ]


@pytest.mark.parametrize("prompt", OWN)
def test_free_answers_are_drawn(model: Florence2, prompt: str) -> None:
    result = model.run(PICTURE, prompt=prompt)
    assert isinstance(result, Text)
    drawn = np.asarray(draw(PICTURE, result))
    bare = np.asarray(draw(PICTURE, replace(result, pieces=())))
    places = any(piece.points for piece in result.pieces)
    assert (drawn.shape != bare.shape or (drawn != bare).any()) == places
    if len(result.points.xy):
        x, y = np.round(result.points.xy[0] * (drawn.shape[1] / PICTURE.shape[1])).astype(int)
        assert (np.asarray(draw(PICTURE, result.points))[y, x] != 118).any()


# ---- what does not go with a prompt is refused, never dropped


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({}, "there is no question", id="nothing"),
        pytest.param({"prompt": ""}, "is empty", id="empty"),
        pytest.param({"prompt": "<image>\n"}, "is empty", id="placeholder alone"),
        pytest.param({"prompt": "a", "region": (1, 1, 9, 9)}, "would not be sent", id="region"),
        pytest.param({"prompt": "a", "text_input": "b"}, "would not be sent", id="text input"),
        pytest.param({"prompt": "a", "min_presence": 0.5}, "min_presence", id="presence"),
        pytest.param({"prompt": 7}, "must be words", id="number"),
        pytest.param({"prompt": "a", "tiles": "2x2"}, "tiles", id="tiles"),
        pytest.param({"prompt": "long " * 999}, "shorten the prompt", id="too long"),
    ],
)
def test_what_a_prompt_cannot_take_is_refused_in_words(model: Florence2, given, words) -> None:
    with pytest.raises(TaskError, match=words):
        model.run(PICTURE, **given)


def test_the_placeholder_of_other_programs_is_left_out(model: Florence2) -> None:
    for prompt in (f"<image>{CLICK}", f"<image>\n{CLICK}", f"{CLICK}\n<image>"):
        assert model.run(PICTURE, prompt=prompt).answer == ANSWERS[CLICK]


def test_tiles_with_a_task_still_tell_that_a_part_was_repaired(model: Florence2) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    request = Request(noise, "od", prompt=CLICK, generation=asking("repair"))
    engine: Engine = model.engine
    merged = run_tiled(engine, request)
    assert merged.repaired


@pytest.mark.parametrize("prompt", OWN)
def test_reading_and_writing_are_inverse_without_a_task(prompt: str) -> None:
    answer = ANSWERS[prompt]
    read = parse_answer(f"<s>{answer}</s>", None, (64, 48))
    assert format_answer(read, None) == answer


@given(
    st.lists(
        st.sampled_from(["<loc_0>", "<loc_999>", "<loc_1000>", "<loc_007>", "<sep>", "<poly>"])
        | st.sampled_from(["</poly>", "<s>", "</s>", "<pad>", "<od>", "<loc_", " ", "a", "ü", "\n"])
    ).map("".join)
)
def test_any_answer_is_the_text_of_its_pieces(answer: str) -> None:
    read = parse_answer(answer, None, (640, 480))
    assert isinstance(read, Text)
    assert "".join(piece.text for piece in read.pieces) == read.text == read.answer
    ends = [0, *(piece.end for piece in read.pieces)]
    assert ends[:-1] == [piece.start for piece in read.pieces]
    assert from_dict(json.loads(json.dumps(read.to_dict()))) == read
    assert parse_answer(format_answer(read, None), None, (640, 480)) == read


def test_pieces_are_plain_values() -> None:
    piece = Piece("point", "<loc_1><loc_2>", 3, ((1.0, 2.0),), "a", 0.5)
    made = Text("a", pieces=(piece,), image_size=(9, 9))
    assert made.pieces[0] == piece and made.points.scores == (0.5,)
