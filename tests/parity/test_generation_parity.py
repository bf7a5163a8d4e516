"""The pinned transformers is the oracle: same weights, same prompts, the same token ids.

Tiny random models in float64, with prompts of unequal length in one batch. The models are
made lively: weights large enough that answers depend on the prompt, and an end token that is
likely enough for many answers to end before their limit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest
import torch
from transformers import Florence2Config as OracleConfig
from transformers import Florence2ForConditionalGeneration as Oracle
from transformers.generation.logits_process import TopPLogitsWarper

from florence2.checkpoints.config_files import native_config
from florence2.checkpoints.layouts import build_model, detect_layout, to_internal
from florence2.generation.batch import generate
from florence2.generation.options import GenerationOptions, SpecialIds
from florence2.generation.runtime import Draw
from florence2.model.cache import BatchCache
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.runtime import TorchImageTokens, TorchRuntime
from florence2.runtimes.pytorch.sampling import draw_tokens
from tiny_models import SMALLEST

SPECIAL = SpecialIds(decoder_start=2, bos=0, eos=2)
PAD, IMAGE = 1, 69
VOCAB_SIZE = 70
PROMPT_LENGTHS = (9, 3, 6)
SCORE_TOLERANCE = 1e-6  # relative; float32 on both sides, the largest difference seen is 7.7e-8

CONFIG = replace(
    SMALLEST,
    vision=replace(SMALLEST.vision, embed_dim=(16,), num_heads=(2,), num_groups=(2,)),
    text=replace(SMALLEST.text, vocab_size=VOCAB_SIZE, max_position_embeddings=64),
)


@dataclass(frozen=True)
class Pair:
    """The same weights twice, and one batch of requests."""

    oracle: Oracle
    ours: Florence2Model
    pixels: torch.Tensor
    prompt_ids: torch.Tensor
    prompt_mask: torch.Tensor


@cache
def pair(seed: int) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    oracle = _lively(_oracle(), generator)
    weights = oracle.state_dict()
    ours = build_model(CONFIG, to_internal(weights, detect_layout(weights)))
    lengths, side = torch.tensor(PROMPT_LENGTHS), CONFIG.image_side
    mask = (torch.arange(max(PROMPT_LENGTHS)) < lengths[:, None]).long()
    prompts = torch.randint(3, IMAGE, mask.shape, generator=generator)
    return Pair(
        oracle,
        ours,
        torch.randn(len(lengths), 3, side, side, generator=generator).double(),
        torch.where(mask.bool(), prompts, PAD),
        mask,
    )


def _oracle() -> Oracle:
    config = native_config(CONFIG, IMAGE, "float64")
    return Oracle(OracleConfig.from_dict(config)).double().eval()


@torch.no_grad()
def _lively(oracle: Oracle, generator: torch.Generator) -> Oracle:
    for name, parameter in oracle.named_parameters():
        parameter.normal_(0.0, 0.3, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1.0)
    decoder = oracle.model.language_model.decoder
    # The last norm's bias is in every hidden state, so a word along it is likely everywhere.
    bias = decoder.layers[-1].final_layer_norm.bias
    pull = 1.0 + 2.0 * torch.rand((), generator=generator)
    decoder.embed_tokens.weight[SPECIAL.eos] += pull * bias / bias.norm()
    return oracle


def ask_oracle(both: Pair, options: GenerationOptions) -> tuple[list[list[int]], list[float]]:
    """Token ids without start and padding, and the scores of the beams."""
    num_images = CONFIG.num_image_tokens(CONFIG.image_side)
    images = torch.full((len(both.prompt_ids), num_images), IMAGE)
    written = both.oracle.generate(
        input_ids=torch.cat((images, both.prompt_ids), dim=1),
        attention_mask=torch.cat((torch.ones_like(images), both.prompt_mask), dim=1),
        pixel_values=both.pixels,
        do_sample=False,
        num_beams=options.num_beams,
        max_new_tokens=options.max_new_tokens,
        min_new_tokens=options.min_new_tokens,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        length_penalty=options.length_penalty,
        early_stopping=options.early_stopping,
        repetition_penalty=options.repetition_penalty,
        suppress_tokens=list(options.suppress_tokens) or None,
        forced_bos_token_id=SPECIAL.bos,
        forced_eos_token_id=SPECIAL.eos,
        return_dict_in_generate=True,
        output_scores=True,
    )
    scores = written.sequences_scores.tolist() if options.num_beams > 1 else []
    return [_trimmed(row[1:]) for row in written.sequences.tolist()], scores


def _trimmed(token_ids: list[int]) -> list[int]:
    """Up to the first end token; what follows it is padding."""
    return token_ids[: token_ids.index(SPECIAL.eos) + 1]


def ask_ours(both: Pair, options: GenerationOptions) -> tuple[list[list[int]], list[float]]:
    runtime = TorchRuntime(both.ours, BatchCache)
    with torch.inference_mode():
        images = both.ours.encode_image(both.pixels).split(1)
    prompts = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(both.prompt_ids, both.prompt_mask, strict=True)
    ]
    written = generate(runtime, list(map(TorchImageTokens, images)), prompts, options, SPECIAL)
    return [list(each.token_ids) for each in written], [each.sequence_score for each in written]


def greedy_cases() -> Iterator[tuple[int, GenerationOptions]]:
    limits = (1, 2, 3, 7, 20, 40)
    for seed, (limit, ngram, minimum) in enumerate(product(limits, (0, 2, 3), (0, 6))):
        yield (
            seed,
            GenerationOptions(
                num_beams=1,
                max_new_tokens=limit,
                min_new_tokens=min(minimum, limit),
                no_repeat_ngram_size=ngram,
            ),
        )


def beam_cases() -> Iterator[tuple[int, GenerationOptions]]:
    limits = (40, 25, 2, 13, 1, 30, 5, 40, 18, 3)
    grid = product((True, False, "never"), (0.5, 1.0, 2.0), (0, 3), range(3))
    for number, (early_stopping, length_penalty, ngram, _) in enumerate(grid):
        limit = limits[number % len(limits)]
        yield (
            100 + number,
            GenerationOptions(
                num_beams=3,
                max_new_tokens=limit,
                min_new_tokens=min(limit, (0, 0, 5)[number % 3]),
                no_repeat_ngram_size=ngram,
                length_penalty=length_penalty,
                early_stopping=early_stopping,
            ),
        )


def _describe(value: object) -> str | None:
    if not isinstance(value, GenerationOptions):
        return None
    return (
        f"{value.num_beams}beams-{value.max_new_tokens}max-{value.min_new_tokens}min-"
        f"{value.no_repeat_ngram_size}gram-{value.length_penalty}penalty-{value.early_stopping}"
    )


@pytest.mark.parametrize(("seed", "options"), list(greedy_cases()), ids=_describe)
def test_greedy_search_writes_what_the_oracle_writes(seed: int, options: GenerationOptions) -> None:
    expected, _ = ask_oracle(pair(seed), options)
    assert ask_ours(pair(seed), options)[0] == expected


@pytest.mark.parametrize(("seed", "options"), list(beam_cases()), ids=_describe)
def test_beam_search_writes_what_the_oracle_writes(seed: int, options: GenerationOptions) -> None:
    expected, expected_scores = ask_oracle(pair(seed), options)
    answers, scores = ask_ours(pair(seed), options)
    assert answers == expected
    assert scores == pytest.approx(expected_scores, rel=SCORE_TOLERANCE, abs=SCORE_TOLERANCE)


@pytest.mark.parametrize("num_beams", [2, 5])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0])
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_unusual_beams_and_penalties_agree_too(
    num_beams: int, length_penalty: float, early_stopping: bool | str
) -> None:
    options = GenerationOptions(
        num_beams=num_beams,
        max_new_tokens=24,
        length_penalty=length_penalty,
        early_stopping=early_stopping,
    )
    expected, expected_scores = ask_oracle(pair(num_beams), options)
    answers, scores = ask_ours(pair(num_beams), options)
    assert answers == expected
    assert scores == pytest.approx(expected_scores, rel=SCORE_TOLERANCE, abs=SCORE_TOLERANCE)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("factor", [0.7, 1.2, 5.0])
@pytest.mark.parametrize("suppressed", [(), tuple(range(3, 40))])
def test_penalties_and_suppressed_tokens_agree_too(
    num_beams: int, factor: float, suppressed: tuple[int, ...]
) -> None:
    plain = GenerationOptions(
        num_beams=num_beams, max_new_tokens=24, min_new_tokens=6, no_repeat_ngram_size=0
    )
    options = replace(plain, repetition_penalty=factor, suppress_tokens=suppressed)
    num_changed = 0
    for seed in range(3):
        expected, expected_scores = ask_oracle(pair(seed), options)
        answers, scores = ask_ours(pair(seed), options)
        assert answers == expected
        if num_beams > 1:
            close = pytest.approx(expected_scores, rel=SCORE_TOLERANCE, abs=SCORE_TOLERANCE)
            assert scores == close
        num_changed += answers != ask_ours(pair(seed), plain)[0]
    assert num_changed > 0


@pytest.mark.parametrize("cases", [greedy_cases, beam_cases])
def test_the_cases_are_many_and_lively(
    cases: Callable[[], Iterator[tuple[int, GenerationOptions]]],
) -> None:
    """At least 100 pairs; of those with room to end, many end and many differ by prompt."""
    answers = [(options, ask_ours(pair(seed), options)[0]) for seed, options in cases()]
    roomy = [(options, written) for options, written in answers if options.max_new_tokens >= 13]
    ended = [
        len(token_ids) < options.max_new_tokens
        for options, written in roomy
        for token_ids in written
    ]
    assert sum(len(written) for _, written in answers) >= 100
    assert 0.3 < sum(ended) / len(ended) < 0.9
    assert sum(len({*map(tuple, written)}) == 3 for _, written in roomy) > 0.5 * len(roomy)


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999, 1.0])
def test_the_nucleus_is_the_oracles(top_p: float) -> None:
    logits = 3.0 * torch.randn(20, 50, generator=torch.Generator().manual_seed(1))
    heights = [step / 4000 for step in range(4000)]
    # Four thousand evenly spaced draws hit every token of more than 1/4000.
    drawn = [
        {*row}
        for row in zip(
            *(draw_tokens(logits, Draw(1.0, top_p, h)).tolist() for h in heights), strict=True
        )
    ]
    kept = TopPLogitsWarper(top_p)(None, logits) if top_p < 1 else logits
    probs = kept.softmax(-1)
    for tokens, row in zip(drawn, probs, strict=True):
        assert {*(row > 1 / 4000).nonzero()[:, 0].tolist()} <= tokens
        assert tokens <= {*(row > 0).nonzero()[:, 0].tolist()}
