"""The model computed with PyTorch: tensors on the inside, NumPy and plain lists at the border.

Shapes: `B` requests, `R` rows decoded (the hypotheses of one request in consecutive rows), `I`
image tokens, `L` prompt length, `S` source length, `T` answer length, `D` width, `V` vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from florence2.generation.runtime import (
    Candidate,
    DecoderInput,
    ImageTokens,
    Opened,
    PromptMemory,
    ScoredToken,
)
from florence2.model.cache import BatchCache, Cache, PromptCache
from florence2.model.config import Florence2Config
from florence2.runtimes.pytorch.sampling import LogitMasks, next_candidates


class TensorModel(Protocol):
    """What computes the parts of the model on tensors: eagerly, or with packed weights."""

    config: Florence2Config

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype:
        """Of pixels and image tokens."""
        ...

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """See `Florence2Model.encode_image`."""
        ...

    def memory_mask(self, image_tokens_BID: Tensor, prompt_mask_BL: Tensor | None) -> Tensor | None:
        """See `Florence2Model.memory_mask`."""
        ...

    def encode(
        self,
        image_tokens_BID: Tensor,
        prompt_ids_BL: Tensor,
        prompt_mask_BL: Tensor | None = None,
    ) -> Tensor:
        """See `Florence2Model.encode`."""
        ...

    def decode_with(self, token_ids_RT: Tensor, cache: Cache) -> Tensor:
        """See `Florence2Model.decode_with`."""
        ...


@dataclass(frozen=True, eq=False)
class TorchImageTokens:
    """Image tokens of one picture, `(1, I, D)`, on the device."""

    tokens_1ID: Tensor

    @property
    def nbytes(self) -> int:
        return self.tokens_1ID.nbytes

    def mean(self) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = self.tokens_1ID[0].float().mean(dim=0).cpu().numpy()
        return mean


@dataclass(frozen=True, eq=False)
class _EncodedBatch:
    """What the text encoder made of requests that were encoded together."""

    memory_BSD: Tensor
    mask_BS: Tensor | None
    lengths: tuple[int, ...]  # real source positions of each


@dataclass(frozen=True, eq=False)
class TorchPromptMemory:
    """The memory of one request: a row of a batch."""

    batch: _EncodedBatch
    row: int

    @property
    def nbytes(self) -> int:
        return self.batch.memory_BSD.nbytes

    @property
    def memory_1SD(self) -> Tensor:
        """Without padding."""
        return self.batch.memory_BSD[self.row : self.row + 1, : self.batch.lengths[self.row]]


class TorchRuntime:
    """See `florence2.generation.runtime.Runtime`.

    Args:
        model: computes on tensors, in evaluation mode: dropout would make answers random.
        new_cache: makes an empty KV cache with slots of so many rows.
    """

    def __init__(self, model: TensorModel, new_cache: Callable[[int], BatchCache]) -> None:
        self.model, self._new_cache = model, new_cache

    @property
    def config(self) -> Florence2Config:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    @torch.inference_mode()
    def encode_images(self, pixels_BCHW: NDArray[np.float32]) -> list[ImageTokens]:
        """See `Runtime.encode_images`."""
        pixels = torch.from_numpy(pixels_BCHW).to(self.device, self.model.dtype)
        tokens_BID = self.model.encode_image(pixels)
        return [TorchImageTokens(tokens_BID[row : row + 1]) for row in range(len(tokens_BID))]

    @torch.inference_mode()
    def prefill(
        self, images: Sequence[ImageTokens], prompts: Sequence[Sequence[int]]
    ) -> list[PromptMemory]:
        """See `Runtime.prefill`; prompts are padded on the right and masked."""
        tokens_BID = torch.cat([cast(TorchImageTokens, image).tokens_1ID for image in images])
        ids_BL = _padded(prompts, self.config.text.pad_id).to(self.device)
        mask_BL = None
        if len(prompts) > 1:
            real = [[place < len(each) for place in range(ids_BL.shape[1])] for each in prompts]
            mask_BL = torch.tensor(real, device=self.device)
        memory_BSD = self.model.encode(tokens_BID, ids_BL, mask_BL)
        lengths = tuple(tokens_BID.shape[1] + len(each) for each in prompts)
        batch = _EncodedBatch(memory_BSD, self.model.memory_mask(tokens_BID, mask_BL), lengths)
        return [TorchPromptMemory(batch, row) for row in range(len(prompts))]

    @torch.inference_mode()
    def loglikelihood(
        self, memories: Sequence[PromptMemory], answers: Sequence[Sequence[int]]
    ) -> list[list[ScoredToken]]:
        """See `Runtime.loglikelihood`; all answers in one pass of the decoder."""
        memory_BSD, mask_BS = _together(memories)
        # Padding on the right changes nothing before it: the decoder looks back only. The last
        # tokens are not fed, so that an answer may fill the table of positions.
        ids_BT = _padded(answers, self.config.text.pad_id).to(self.device)
        cache = PromptCache(memory_BSD, mask_BS)
        logits_BTV = self.model.decode_with(ids_BT[:, :-1], cache).float()
        given = _logprobs_of(ids_BT[:, 1:], logits_BTV)
        likeliest = logits_BTV.argmax(-1).tolist()
        return [
            [ScoredToken(*pair) for pair in zip(*rows, strict=True)][: len(answer) - 1]
            for answer, *rows in zip(answers, given, likeliest, strict=True)
        ]

    def new_batch(self, num_beams: int) -> "TorchDecoderBatch":
        """See `Runtime.new_batch`."""
        return TorchDecoderBatch(self.model, self._new_cache(num_beams), num_beams)

    def after_fork(self) -> None:
        """See `Runtime.after_fork`: with more threads than one, OpenMP waits for its parent's."""
        torch.set_num_threads(1)


class TorchDecoderBatch:
    """See `florence2.generation.runtime.DecoderBatch`."""

    def __init__(self, model: TensorModel, cache: BatchCache, num_beams: int) -> None:
        self._model, self._cache, self._num_beams = model, cache, num_beams
        self._masks: LogitMasks | None = None

    @torch.inference_mode()
    def add(
        self,
        memories: Sequence[PromptMemory],
        prefixes: Sequence[Sequence[int]],
        inputs: Sequence[DecoderInput],
    ) -> list[Opened]:
        """See `DecoderBatch.add`; all prefixes in one pass of the decoder."""
        prompt = PromptCache(*_together(memories), keep=True)
        ids_BT = _padded(prefixes, self._model.config.text.pad_id).to(self._model.device)
        logits_BTV = self._model.decode_with(ids_BT, prompt).float()
        given = _logprobs_of(ids_BT[:, 1:], logits_BTV[:, :-1])
        lengths = [len(prefix) for prefix in prefixes]
        last = [length - 1 for length in lengths]
        candidates = self._candidates(logits_BTV[range(len(last)), last], inputs)
        self._cache.add(prompt, lengths)
        return [
            Opened(logprobs[:end], its_candidates)
            for logprobs, end, its_candidates in zip(given, last, candidates, strict=True)
        ]

    @torch.inference_mode()
    def step(self, inputs: Sequence[DecoderInput]) -> list[list[Candidate]]:
        """See `DecoderBatch.step`."""
        tokens = [row.token for each in inputs for row in each.rows]
        ids_R = torch.tensor(tokens, device=self._model.device)
        logits_RV = self._cache.run(
            lambda ids_R: self._model.decode_with(ids_R[:, None], self._cache)[:, 0], ids_R
        )
        return self._candidates(logits_RV.float(), inputs)

    @torch.inference_mode()
    def reorder(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        """See `DecoderBatch.reorder`."""
        self._cache.reorder(slots, rows)

    def _candidates(
        self, logits_RV: Tensor, inputs: Sequence[DecoderInput]
    ) -> list[list[Candidate]]:
        if self._masks is None:
            self._masks = LogitMasks(logits_RV.shape[-1], logits_RV.device)
        return next_candidates(logits_RV, inputs, self._masks, self._num_beams)


def _padded(sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    """Token ids side by side, `(B, longest)`, padded on the right."""
    longest = max(map(len, sequences))
    return torch.tensor([[*each, *[pad_id] * (longest - len(each))] for each in sequences])


def _together(memories: Sequence[PromptMemory]) -> tuple[Tensor, Tensor | None]:
    """Memories side by side, `(B, S, D)`, and a mask `(B, S)` where some are padded."""
    mine = cast(Sequence[TorchPromptMemory], memories)
    batch = mine[0].batch
    if len(mine) == len(batch.lengths) and all(
        each.batch is batch and each.row == row for row, each in enumerate(mine)
    ):
        return batch.memory_BSD, batch.mask_BS
    if len(mine) == 1:
        return mine[0].memory_1SD, None
    parts = [each.memory_1SD[0] for each in mine]
    memory_BSD = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    lengths_B1 = torch.tensor([[len(part)] for part in parts], device=memory_BSD.device)
    return memory_BSD, torch.arange(memory_BSD.shape[1], device=memory_BSD.device) < lengths_B1


def _logprobs_of(tokens_BT: Tensor, logits_BTV: Tensor) -> list[list[float]]:
    """The log-probability of each token by the logits in its place."""
    logprobs_BTV = logits_BTV.log_softmax(-1)
    logprobs: list[list[float]] = logprobs_BTV.gather(2, tokens_BT[:, :, None])[:, :, 0].tolist()
    return logprobs
