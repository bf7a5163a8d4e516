"""Damaged answers, and the text side that restores them."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from florence2.processing.tokenizer import Tokenizer
from florence2.training.batches import Example, collate
from florence2.training.losses import ANSWER, Objective
from florence2_lab.pretraining.denoising import HIDDEN_SHARE, VERSIONS, Denoising, damaged
from tiny_runs import CONFIG, TEXT, Patches, new_model, pretraining_loss

MASK = 9


@pytest.fixture(scope="module")
def denoising() -> Denoising:
    return Denoising(Patches(), Tokenizer.train([], 300), seed=3)


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_what_is_left_stands_in_its_order_with_one_mask_for_each_span(length: int) -> None:
    answer = list(range(100, 100 + length))
    left = [damaged(np.random.default_rng(seed), answer, [MASK]) for seed in range(200)]
    for each in left:
        kept = [token for token in each if token != MASK]
        assert kept == sorted(set(kept)) and set(kept) <= set(answer)
        assert (MASK in each) == (len(kept) < length)
        assert all((one, other) != (MASK, MASK) for one, other in pairwise(each))
    if length:
        hidden = 1 - np.mean([len(set(each) - {MASK}) for each in left]) / length
        assert hidden == pytest.approx(HIDDEN_SHARE, abs=0.08)


def test_the_question_goes_on_with_the_damaged_answer(denoising: Denoising) -> None:
    versions = set()
    for index in range(VERSIONS, 2 * VERSIONS):
        example, clean = denoising[index], Patches()[1]
        question = clean.prompt_ids[:-1]
        assert example.prompt_ids[: len(question)] == question
        left = example.prompt_ids[len(question) : -1]
        assert set(left) <= {*clean.label_ids[1:-1], *denoising.mask_ids}
        assert (example.task, example.label_ids) == (clean.task, clean.label_ids)
        assert example.pixels.size == 0 and not example.extras
        versions.add(tuple(left))
    assert len(versions) > 1


def test_an_example_depends_on_its_index_alone(denoising: Denoising) -> None:
    forwards = [denoising[index].prompt_ids for index in range(12)]
    backwards = [denoising[index].prompt_ids for index in reversed(range(12))]
    assert forwards == backwards[::-1]


def test_padding_takes_no_part(denoising: Denoising) -> None:
    """The loss of a short answer is the same beside a long one."""
    short = Example(denoising[0].pixels, denoising[0].task, [0, 10, 2], [0, 4, 2])
    long = denoising[8]
    model = new_model().eval()
    objective = Objective(model, pretraining_loss(model))
    assert len(long.prompt_ids) > len(short.prompt_ids)

    def loss(*examples: Example) -> float:
        batch = collate(examples, CONFIG.text.pad_id)
        weights = objective.loss.weights(batch)
        shares = dict.fromkeys(weights, 1.0)
        with torch.no_grad():
            total, _ = objective(batch, TEXT, weights, shares, bf16=False, measure=False)
        return total.item() * weights[ANSWER]

    assert loss(short, long) == pytest.approx(loss(short) + loss(long), rel=1e-5)


def test_text_stands_where_it_stands_behind_a_picture() -> None:
    model = new_model().eval()
    ids, image = torch.tensor([[0, 10, 11, 2]]), CONFIG.num_image_tokens(TEXT.image_side)
    rows = model.shared(ids)
    behind = torch.cat((rows.new_zeros(1, image, rows.shape[2]), rows), dim=1)
    seen = torch.arange(behind.shape[1])[None] >= image
    with torch.no_grad():
        wanted = model.text_encoder(behind, seen)[:, image:]
        assert torch.allclose(model.text_encoder(rows, None, image), wanted, atol=1e-6)
        assert not torch.allclose(model.text_encoder(rows), wanted, atol=1e-3)
