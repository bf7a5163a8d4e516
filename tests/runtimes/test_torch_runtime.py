"""What the PyTorch runtime does at its border: padding, and memories from several prefills."""

import torch

from florence2.runtimes.pytorch.runtime import _padded, _together
from lively_models import asked


def test_ids_are_padded_on_the_right() -> None:
    ids = _padded([[0, 9, 2], [0, 2], [0, 8, 7, 2]], 1)
    assert ids.tolist() == [[0, 9, 2, 1], [0, 2, 1, 1], [0, 8, 7, 2]]
    assert ids.dtype == torch.int64


def test_memories_of_a_prefill_stay_together_and_others_are_padded() -> None:
    requests = asked(1)
    runtime, places = requests.runtime, [0, 1, 2]
    first = runtime.prefill(requests.images(places), [requests.prompts[at] for at in places])
    memory, mask = _together(first)
    assert memory is first[0].batch.memory_BSD and mask is first[0].batch.mask_BS
    mixed = [first[2], *runtime.prefill(requests.images([3]), [requests.prompts[3]]), first[0]]
    memory, mask = _together(mixed)
    assert mask is not None
    lengths = [requests.image_tokens.shape[1] + len(requests.prompts[at]) for at in (2, 3, 0)]
    assert mask.sum(1).tolist() == lengths
    for row, each, length in zip(memory, mixed, lengths, strict=True):
        assert torch.equal(row[:length], each.memory_1SD[0])


def test_a_given_answer_is_scored_as_when_it_was_written() -> None:
    """With others in the batch, of other lengths, from memories of other prefills."""
    from florence2.generation.options import GenerationOptions

    requests = asked(3)
    runtime = requests.runtime
    answers = requests.together(GenerationOptions(num_beams=1))
    memories = [
        runtime.prefill(requests.images([at]), [requests.prompts[at]])[0]
        for at in range(len(answers))
    ]
    start = requests.special.decoder_start
    scored = runtime.loglikelihood(memories, [[start, *each.token_ids] for each in answers])
    for tokens, answer in zip(scored, answers, strict=True):
        logprobs = torch.tensor([token.logprob for token in tokens])
        assert torch.allclose(logprobs, torch.tensor(answer.token_logprobs), atol=1e-5)
