"""Repetition on constructed logits: what may come back does, what goes round in circles ends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from florence2.generation.batch import generate
from florence2.generation.grammar import Grammar
from florence2.generation.options import Generated, GenerationOptions
from florence2.tasks import AnswerKind
from lively_models import LOCATIONS, SPECIAL, grammar
from tiny_models import SMALLEST
from toy_runtime import ToyRuntime

CONFIG = replace(SMALLEST, text=replace(SMALLEST.text, max_position_embeddings=400))
BOS, EOS = SPECIAL.bos, SPECIAL.eos
LOC = list(LOCATIONS)
LOOPS = GenerationOptions(num_beams=1, no_repeat_ngram_size=0, end_loops=True)
PUBLISHED = GenerationOptions(num_beams=1)


class Script:
    """Is sure what to write after so many words, whatever they are.

    Args:
        tokens: what it wants to write, and then
        then: over and over.
        flood: how much surer it is of `<s>`, always.
    """

    def __init__(
        self, tokens: Sequence[int], then: Sequence[int] = (EOS,), flood: float = 0.0
    ) -> None:
        self.tokens, self.then, self.flood = tokens, then, flood

    def logits(self, _: object, fed: Sequence[int]) -> NDArray[np.float32]:
        logits = np.zeros(60, np.float32)
        logits[self.wanted(sum(each != BOS for each in fed[1:]))] = 20.0
        if self.flood:
            logits[BOS] = 20.0 + self.flood
        return logits

    def wanted(self, words: int) -> int:
        beyond = words - len(self.tokens)
        return self.then[beyond % len(self.then)] if beyond >= 0 else self.tokens[words]


def written(script: Script, options: GenerationOptions, rules: Grammar | None = None) -> Generated:
    runtime = ToyRuntime(CONFIG, script.logits)
    images = runtime.encode_images(np.zeros((1, 3, 8, 8), np.float32))
    (answer,) = generate(runtime, images, [[0]], options, SPECIAL, [rules])
    return answer


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param([10, 11, 12, 13] * 4, id="a line four times"),
        pytest.param([10, 20, 11, 20, 12, 20] + [20] * 20, id="equal numbers of a table"),
        pytest.param(
            [10, *(t for right in range(8) for t in (*LOC[:3], LOC[9 + right]))],
            id="boxes that share three coordinates",
        ),
        pytest.param([10, *LOC[:4], *LOC[:4]], id="a box twice"),
    ],
)
def test_repetition_survives_which_the_published_ban_destroys(tokens: list[int]) -> None:
    answer = written(Script(tokens), LOOPS)
    assert list(answer.token_ids) == [BOS, *tokens, EOS]
    assert answer.finish_reason == "stop"
    assert list(written(Script(tokens), PUBLISHED).token_ids) != [BOS, *tokens, EOS]


@pytest.mark.parametrize(
    ("cycle", "length"),
    [
        pytest.param([10, 11], 64, id="two words"),
        pytest.param(list(range(6, 26)), 160, id="a long line"),
        pytest.param([10, *LOC[:4]], 15, id="a box with its name"),
        pytest.param(LOC[:4], 12, id="a box"),
    ],
)
def test_loops_end(cycle: list[int], length: int) -> None:
    answer = written(Script([], then=cycle), LOOPS)
    assert answer.finish_reason == "loop"
    assert list(answer.token_ids) == [BOS, *(cycle * length)[:length], EOS]


def test_within_the_grammar_a_loop_ends_behind_a_whole_object() -> None:
    """The box in front ends as the others do, so three equal runs end inside a box."""
    first, box = [10, LOC[1], LOC[0], LOC[2], LOC[3]], [10, *LOC[:4]]
    script = Script(first, then=box)
    cut = written(script, LOOPS)
    assert list(cut.token_ids) == [BOS, *first, *box * 2, *box[:3], EOS]
    whole = written(script, LOOPS, grammar(AnswerKind.PHRASE_BOXES))
    assert list(whole.token_ids) == [BOS, *first, *box * 3, EOS]
    assert cut.finish_reason == whole.finish_reason == "loop"


def test_a_flood_of_bos_is_dammed_in_both_ways() -> None:
    tokens = [10, 11, 12]
    answer = written(Script(tokens, flood=5.0), LOOPS)
    assert list(answer.token_ids) == [BOS, *tokens, EOS]
    published = list(written(Script(tokens, flood=5.0), PUBLISHED).token_ids)
    assert published[:4] == [BOS, BOS, BOS, 10]
    endless = GenerationOptions(num_beams=1, no_repeat_ngram_size=0, max_new_tokens=30)
    answer = written(Script(tokens, flood=5.0), endless)
    assert {*answer.token_ids[:-1]} == {BOS}
    assert answer.finish_reason == "length"


def test_near_the_limit_the_last_object_is_whole() -> None:
    script = Script([], then=[10, *LOC[:2], LOC[5], LOC[6]])
    options = GenerationOptions(num_beams=1, no_repeat_ngram_size=0, max_new_tokens=20)
    cut = written(script, options)
    assert cut.finish_reason == "length"
    whole = written(script, options, grammar(AnswerKind.CLASS_BOXES))
    assert whole.finish_reason == "grammar"
    assert len(whole.token_ids) == 1 + 3 * 5 + 1
    assert whole.token_ids == (*cut.token_ids[:16], EOS)


def test_a_text_at_the_limit_is_cut() -> None:
    options = GenerationOptions(num_beams=1, no_repeat_ngram_size=0, max_new_tokens=20)
    answer = written(Script([], then=[10, 11]), options, grammar(AnswerKind.TEXT))
    assert (answer.finish_reason, len(answer.token_ids)) == ("length", 20)
