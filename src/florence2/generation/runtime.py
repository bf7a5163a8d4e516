"""The seam between searching and computing: what a way to compute the model has to offer.

    pixels --------------- encode_images --> image tokens --+
    prompt ids ---------------------------------------------+-- prefill --> prompt memory
    answer ids, allowed tokens -- add, step (KV cache) --> candidates

Pictures, token ids and allowed tokens go in, candidates come out, all in plain Python and NumPy.
Image tokens, prompt memories, KV caches and logits belong to the runtime: nobody else looks inside.

Shapes: `B` pictures, `C` channels, `H` and `W` height and width of the model frame.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from florence2.generation.grammar import AllowedTokens, Vocabulary
from florence2.model.config import Florence2Config


class ImageTokens(Protocol):
    """What the encoder needs of a picture: output of vision tower and projector; opaque."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""

    def mean(self) -> NDArray[np.float32]:
        """The mean over the tokens, `(D,)`: what kind of picture it is."""
        ...


class PromptMemory(Protocol):
    """What the decoder needs of a picture and a prompt: output of the text encoder; opaque."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds, together with others of its batch."""


class TokenConstraint(NamedTuple):
    """What a hypothesis may write next.

    Attributes:
        forced: the only token allowed; everything else is then of no account.
        banned: tokens that are not allowed, whatever the grammar says.
        allowed: the tokens of the grammar; None for any.
        vocabulary: knows the classes of tokens that `allowed` names; None without a grammar.
    """

    forced: int | None = None
    banned: tuple[int, ...] = ()
    allowed: AllowedTokens | None = None
    vocabulary: Vocabulary | None = None


class Penalty(NamedTuple):
    """Makes tokens worse that were written already: scores above 0 are divided, others multiplied.

    Log-probabilities are what is penalised among beams, logits where one token is chosen.
    """

    tokens: tuple[int, ...]
    factor: float


class Row(NamedTuple):
    """One running hypothesis: a row of the decoder."""

    token: int  # the last one written, which is fed to the decoder
    score: float  # sum of the log-probabilities of its unforced tokens
    constraint: TokenConstraint
    penalty: Penalty | None = None


class Draw(NamedTuple):
    """How a token is drawn: where the cumulative distribution of the nucleus passes `height`."""

    temperature: float
    top_p: float
    height: float  # in [0, 1)


class DecoderInput(NamedTuple):
    """What one request brings to a step: its hypotheses, best first, and how to choose."""

    rows: Sequence[Row]
    draw: Draw | None = None  # None: the most likely ones


class Candidate(NamedTuple):
    """A possible next token of a request."""

    parent: int  # which running hypothesis it continues
    token: int
    logprob: float  # under the model alone
    score: float  # of the hypothesis that it would make


class Opened(NamedTuple):
    """What `DecoderBatch.add` returns for a request."""

    logprobs: list[float]  # of the tokens of its prefix, but the first
    candidates: list[Candidate]  # behind the prefix


class ScoredToken(NamedTuple):
    """What the model thinks of a given token, and what it would have written most likely."""

    logprob: float
    likeliest: int


class DecoderBatch(Protocol):
    """Answers written side by side, with their KV cache: one slot of `num_beams` rows for each."""

    def add(
        self,
        memories: Sequence[PromptMemory],
        prefixes: Sequence[Sequence[int]],
        inputs: Sequence[DecoderInput],
    ) -> list[Opened]:
        """Open a slot for each request, behind the slots in use.

        Args:
            memories: of the requests, as `prefill` made them.
            prefixes: token ids that each answer begins with, the decoder's start token first.
            inputs: one row each; its token is the last of the prefix.
        """
        ...

    def step(self, inputs: Sequence[DecoderInput]) -> list[list[Candidate]]:
        """Feed the last token of each row; return the candidates of each slot, best first.

        With one beam there is one candidate. Else there are 2 * num_beams, of which at least
        num_beams do not end; or one for each row, where a token is forced.
        """
        ...

    def reorder(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these slots, in this order, each row from one of the rows of before.

        A slot may only move to the front, and only to the place of one that leaves.
        """
        ...


class Runtime(Protocol):
    """A way to compute the model."""

    @property
    def config(self) -> Florence2Config:
        """The sizes of the model."""
        ...

    def encode_images(self, pixels_BCHW: NDArray[np.float32]) -> list[ImageTokens]:
        """Run vision tower and projector on normalised pixels `(B, 3, side, side)`."""
        ...

    def prefill(
        self, images: Sequence[ImageTokens], prompts: Sequence[Sequence[int]]
    ) -> list[PromptMemory]:
        """Run the text encoder on pictures and prompts of any lengths, one of each a request."""
        ...

    def loglikelihood(
        self, memories: Sequence[PromptMemory], answers: Sequence[Sequence[int]]
    ) -> list[list[ScoredToken]]:
        """Score given answers: each token given all that stand before it.

        Args:
            answers: token ids, the decoder's start token first; that one is not scored.
        """
        ...

    def new_batch(self, num_beams: int) -> DecoderBatch:
        """An empty batch for requests with so many beams."""
        ...

    def after_fork(self) -> None:
        """Called in a forked child before anything else, since threads do not survive a fork."""
        ...
