"""Requests answered side by side, one token a step; they join and leave between steps.

    memory -- decode one token --> logits -- ban, choose --> candidates of each request
       ^                                                              |
       +-- slots follow the survivors, finished requests leave <-- advance

Shapes: `B` requests, `R` rows decoded (the hypotheses of one request in consecutive rows), `I`
image tokens, `L` prompt length, `S` source length, `D` width, `V` vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from florence2.errors import ConfigError
from florence2.generation.choosing import choose
from florence2.generation.grammar import Grammar
from florence2.generation.options import Generated, GenerationOptions, SpecialIds
from florence2.generation.rules import Masks
from florence2.generation.search import Search, answer, open_search
from florence2.model.config import Florence2Config
from florence2.model.history import Fresh, Slots


class Runtime(Protocol):
    """A way to compute the parts of the model; `Florence2Model` is the plain one."""

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

    def decode(
        self, token_ids_BT: Tensor, memory_BSD: Tensor, memory_mask_BS: Tensor | None = None
    ) -> Tensor:
        """See `Florence2Model.decode`."""
        ...

    def new_slots(self, width: int) -> Slots:
        """Empty slots of `width` rows for `step`."""
        ...

    def open(
        self, token_ids_BT: Tensor, memory_BSD: Tensor, memory_mask_BS: Tensor | None = None
    ) -> tuple[Tensor, Fresh]:
        """See `Florence2Model.open`."""
        ...

    def step(self, token_ids_R: Tensor, slots: Slots) -> Tensor:
        """See `Florence2Model.step`."""
        ...


class Decoding:
    """The answers that one runtime is writing, with equally many beams each.

    Attributes:
        searches: of the requests that are not done; the one in slot `i` is the i-th.
    """

    def __init__(self, runtime: Runtime, num_beams: int, special: SpecialIds) -> None:
        self.searches: list[Search] = []
        self._runtime, self._num_beams, self._special = runtime, num_beams, special
        self._slots = runtime.new_slots(num_beams)
        self._masks: Masks | None = None

    @torch.inference_mode()
    def join(
        self, memory_BSD: Tensor, memory_mask_BS: Tensor | None, searches: Sequence[Search]
    ) -> list[Search]:
        """Begin to answer; returns the searches that are done already.

        The first token is always `<s>`, so a request begins with two positions at once.
        """
        special = self._special
        begin = torch.tensor([[special.decoder_start, special.bos]] * len(searches))
        logits_BTV, fresh = self._runtime.open(
            begin.to(memory_BSD.device), memory_BSD, memory_mask_BS
        )
        if self._masks is None:
            self._masks = Masks(logits_BTV.shape[-1], logits_BTV.device)
        active = list(searches)
        for position in range(2):
            rows = [place for place, search in enumerate(searches) if not search.done]
            active = [searches[place] for place in rows]
            if active:
                self._advance(active, logits_BTV[rows, position].float())
        left = [place for place, search in enumerate(searches) if not search.done]
        self._slots.join(fresh, left)
        self.searches += [searches[place] for place in left]
        return [search for search in searches if search.done]

    @torch.inference_mode()
    def step(self) -> list[Search]:
        """Write one more token in each answer; returns the searches that became done."""
        tokens = [each.tokens[-1] for search in self.searches for each in search.running]
        device = self._masks_device
        logits_RV = self._runtime.step(torch.tensor(tokens, device=device), self._slots)
        self._advance(self.searches, logits_RV.float())
        return self._leave([search.done for search in self.searches])

    @torch.inference_mode()
    def cancel(self, search: Search) -> None:
        """Stop writing an answer; its slot is free at once."""
        self._leave([each is search for each in self.searches], follow=False)

    def _advance(self, searches: Sequence[Search], logits_RV: Tensor) -> None:
        assert self._masks is not None, "nothing has joined"
        candidates = choose(logits_RV, searches, self._masks, self._num_beams)
        for search, its_candidates in zip(searches, candidates, strict=True):
            search.advance(its_candidates)

    def _leave(self, leaving: Sequence[bool], follow: bool = True) -> list[Search]:
        """Let requests leave; the others' rows follow their hypotheses where those moved."""
        width, searches = self._num_beams, self.searches
        gone = [search for search, leaves in zip(searches, leaving, strict=True) if leaves]
        stay = [place for place, leaves in enumerate(leaving) if not leaves]
        # The last ones take the places of those that leave.
        movers = [place for place in stay if place >= len(stay)]
        slots = [movers.pop() if leaving[place] else place for place in range(len(stay))]
        unmoved = range(width)
        rows = [
            place * width + parent
            for place in slots
            for parent in (searches[place].parents if follow else unmoved)
        ]
        self._slots.keep(slots, rows)
        self.searches = [searches[place] for place in slots]
        return gone

    @property
    def _masks_device(self) -> torch.device:
        assert self._masks is not None, "nothing has joined"
        return self._masks.device


@torch.inference_mode()
def generate(
    runtime: Runtime,
    image_tokens_BID: Tensor,
    prompt_ids_BL: Tensor,
    prompt_mask_BL: Tensor | None,
    options: GenerationOptions,
    special: SpecialIds,
    grammars: Sequence[Grammar | None] | None = None,
) -> list[Generated]:
    """Write one answer for each request; an answer does not depend on the rest of the batch.

    Args:
        runtime: a model in evaluation mode (dropout would make answers random), for instance.
        image_tokens_BID: `(B, I, D)`, from `encode_image`.
        prompt_ids_BL: int64 `(B, L)`, padded on the right.
        prompt_mask_BL: `(B, L)`, 1 where the prompt is real; None if all of it is.
        options: how to search.
        special: ids of the start, of the forced first token and of the last token.
        grammars: what the answer of each request is made of, None for any tokens.
    """
    limit = answer_limit(runtime.config, options)
    searches = [
        open_search(options, special, limit, grammar)
        for grammar in grammars or [None] * len(prompt_ids_BL)
    ]
    if not searches:
        return []
    memory_BSD = runtime.encode(image_tokens_BID, prompt_ids_BL, prompt_mask_BL)
    decoding = Decoding(runtime, options.num_beams, special)
    decoding.join(memory_BSD, runtime.memory_mask(image_tokens_BID, prompt_mask_BL), searches)
    while decoding.searches:
        decoding.step()
    return [answer(search) for search in searches]


def answer_limit(config: Florence2Config, options: GenerationOptions) -> int:
    """Tokens an answer may have: each but the last is fed back and needs a position."""
    vocab_size = config.text.vocab_size
    if 2 * options.num_beams > vocab_size:
        raise ConfigError(
            f"num_beams {options.num_beams!r} is too many for a vocabulary of {vocab_size:,}"
            f" tokens; give {vocab_size // 2:,} at most"
        )
    return min(options.max_new_tokens, config.text.max_position_embeddings)
