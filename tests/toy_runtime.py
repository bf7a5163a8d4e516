"""A runtime of NumPy and plain lists: no torch, no model, answers from a table of logits.

What the model would say next is a function of the picture, the prompt and the tokens so far.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from florence2.generation.runtime import Candidate, DecoderInput, Opened, ScoredToken
from florence2.model.config import Florence2Config
from florence2.runtimes.numpy_sampling import log_softmax, next_candidates


@dataclass(frozen=True)
class ToyTokens:
    """Image tokens: a digest of the pixels."""

    digest: bytes
    nbytes: int = 16

    def mean(self) -> NDArray[np.float32]:
        return np.frombuffer(self.digest, np.uint8).astype(np.float32) / 255


@dataclass(frozen=True)
class ToyMemory:
    digest: bytes
    prompt: tuple[int, ...]
    nbytes: int = 16


# The picture, the prompt, what was fed to the decoder -> logits `(V,)`.
NextLogits = Callable[[ToyMemory, Sequence[int]], NDArray[np.float32]]


@dataclass
class ToyRuntime:
    """See `florence2.generation.runtime.Runtime`; counts the pictures that it encodes."""

    config: Florence2Config
    next_logits: NextLogits
    num_encoded: int = 0
    batches: list["ToyBatch"] = field(default_factory=list)

    def encode_images(self, pixels_BCHW: NDArray[np.float32]) -> list[ToyTokens]:
        self.num_encoded += len(pixels_BCHW)
        return [ToyTokens(hashlib.md5(np.ascontiguousarray(p).data).digest()) for p in pixels_BCHW]

    def prefill(
        self, images: Sequence[ToyTokens], prompts: Sequence[Sequence[int]]
    ) -> list[ToyMemory]:
        return [
            ToyMemory(*pair)
            for pair in zip((i.digest for i in images), map(tuple, prompts), strict=True)
        ]

    def loglikelihood(
        self, memories: Sequence[ToyMemory], answers: Sequence[Sequence[int]]
    ) -> list[list[ScoredToken]]:
        return [
            [self._scored(memory, answer[:end], answer[end]) for end in range(1, len(answer))]
            for memory, answer in zip(memories, answers, strict=True)
        ]

    def _scored(self, memory: ToyMemory, fed: Sequence[int], token: int) -> ScoredToken:
        logits = self.next_logits(memory, fed)
        return ScoredToken(float(log_softmax(logits[None])[0, token]), int(logits.argmax()))

    def new_batch(self, num_beams: int) -> "ToyBatch":
        self.batches.append(ToyBatch(self, num_beams))
        return self.batches[-1]

    def after_fork(self) -> None:
        pass


class ToyBatch:
    """See `florence2.generation.runtime.DecoderBatch`: its cache is what each row was fed."""

    def __init__(self, runtime: ToyRuntime, num_beams: int) -> None:
        self.runtime, self.num_beams = runtime, num_beams
        self.memories: list[ToyMemory] = []  # of each slot
        self.rows: list[list[int]] = []  # what each row was fed

    def add(
        self,
        memories: Sequence[ToyMemory],
        prefixes: Sequence[Sequence[int]],
        inputs: Sequence[DecoderInput],
    ) -> list[Opened]:
        scored = self.runtime.loglikelihood(memories, prefixes)
        logits = np.stack(
            [self.runtime.next_logits(*pair) for pair in zip(memories, prefixes, strict=True)]
        )
        candidates = next_candidates(logits, inputs, self.num_beams)
        self.memories += memories
        self.rows += [list(prefix) for prefix in prefixes for _ in range(self.num_beams)]
        return [
            Opened([token.logprob for token in tokens], its_candidates)
            for tokens, its_candidates in zip(scored, candidates, strict=True)
        ]

    def step(self, inputs: Sequence[DecoderInput]) -> list[list[Candidate]]:
        rows = [row for each in inputs for row in each.rows]
        assert len(inputs) == len(self.memories) and len(rows) == len(self.rows)
        for fed, row in zip(self.rows, rows, strict=True):
            fed.append(row.token)
        memories = [memory for memory in self.memories for _ in range(self.num_beams)]
        logits = np.stack(
            [self.runtime.next_logits(*pair) for pair in zip(memories, self.rows, strict=True)]
        )
        return next_candidates(logits, inputs, self.num_beams)

    def reorder(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        self.memories = [self.memories[slot] for slot in slots]
        self.rows = [list(self.rows[row]) for row in rows]


def random_logits(vocab_size: int, eos: int, liveliness: float = 3.0) -> NextLogits:
    """Logits that depend on all that was seen, with an end that grows likelier."""

    def next_logits(memory: ToyMemory, fed: Sequence[int]) -> NDArray[np.float32]:
        seen = memory.digest + repr((memory.prompt, tuple(fed))).encode()
        seed = int.from_bytes(hashlib.md5(seen).digest()[:8], "little")
        logits = np.random.default_rng(seed).normal(0.0, liveliness, vocab_size)
        logits[eos] += 0.3 * len(fed)
        return logits.astype(np.float32)

    return next_logits
