"""KV cache: keys and values of the answers so far and of the memory that they look at.

A decoder layer asks a cache for the keys to attend to. `PromptCache` is that of whole answers,
which begin at their first token: training, scoring and the prefill of a request. `BatchCache` is
that of answers that grow by one token a step, side by side: requests are added and leave between
steps, and their answers may be of different lengths.

Shapes: `B` requests, `W` rows of one request (beams), `R` = B * W rows, `N` heads, `K` head width,
`T` positions of the answer, `S` source positions (image tokens and prompt), `Y` layers.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

KeysValues = tuple[Tensor, Tensor]
Compute = Callable[[Tensor], Tensor]
# Computes a step, from token ids to logits, by replaying a captured one where that is possible; the
# last argument tells whether the buffers of the cache are still the same.
Replay = Callable[[Compute, Tensor, Hashable], Tensor]


class Cache(Protocol):
    """What a decoder layer asks a KV cache for."""

    memory_mask: Tensor | None  # broadcast to (B, N, T, S), true where the source is real

    def positions(self, count: int) -> Tensor | slice:
        """Where in the answer the `count` new tokens of each row stand; a tensor is `(R, 1)`."""
        ...

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new positions `(R, N, new, K)`; returns all that may be attended to."""
        ...

    @property
    def mask(self) -> Tensor | None:
        """Broadcast to `(R, N, new, T)`, true where attention is allowed; None for `causal`."""
        ...

    @property
    def causal(self) -> bool:
        """Whether new positions see only what stands before them."""
        ...

    def cross(self, layer: int, project: Callable[[Tensor], KeysValues]) -> KeysValues:
        """Keys and values of the memory, `(B, N, S, K)` each; `project` makes them."""
        ...


class PromptCache:
    """Whole answers `(B, T)`, from their first token on.

    Args:
        memory_BSD: what they look at.
        memory_mask_BS: true where the source is real, all of it if None.
        keep: remember keys and values, so that `BatchCache` can go on from here.
    """

    mask = None
    causal = True

    def __init__(
        self, memory_BSD: Tensor, memory_mask_BS: Tensor | None = None, keep: bool = False
    ) -> None:
        self.memory_BSD = memory_BSD
        self.sources = (
            [memory_BSD.shape[1]] * len(memory_BSD)
            if memory_mask_BS is None or not keep
            else memory_mask_BS.sum(1).tolist()
        )
        self.memory_mask = None if memory_mask_BS is None else memory_mask_BS[:, None, None, :]
        self.kept: list[tuple[KeysValues, KeysValues]] = []  # of each layer: own, cross
        self._keep = keep
        self._own: KeysValues | None = None

    def positions(self, count: int) -> slice:
        return slice(0, count)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        if self._keep:
            self._own = keys, values
        return keys, values

    def cross(self, layer: int, project: Callable[[Tensor], KeysValues]) -> KeysValues:
        pair = project(self.memory_BSD)
        if self._keep:
            assert self._own is not None, "a layer attends to itself first"
            self.kept.append((self._own, pair))
        return pair


class BatchCache:
    """Answers side by side, one slot of `width` rows for each, in buffers that are kept.

    Active slots come first: when one leaves, the last one takes its place. So the rows of a step
    are one block of memory, and a request that leaves or joins moves no other, or one.

    Args:
        width: rows of a slot.
        capacity: slots and positions of answer and source to reserve; buffers that are too small
            double.
        replay: captures steps and replays them. Steps then compute on all positions that are
            reserved, and on a power of two of slots; what is not real is masked.
        transposed_keys: keep the keys of the memory with the positions of each channel side by
            side, which is how a CPU multiplies them with few queries twice as fast.
    """

    causal = False

    def __init__(
        self,
        width: int,
        capacity: tuple[int, int, int] = (1, 32, 1),
        replay: Replay | None = None,
        transposed_keys: bool = False,
    ) -> None:
        self.width, self._replay, self._transposed = width, replay, transposed_keys
        self.lengths: list[int] = []  # of the answer in each slot
        self.sources: list[int] = []  # real source positions of each slot
        self.mask: Tensor | None = None
        self.memory_mask: Tensor | None = None
        self._capacity = capacity
        self._own: Tensor | None = None  # Y 2 R N T K
        self._memory: list[Tensor] = []  # keys and values, Y B N S K each
        self._position: int | Tensor = 0  # where the step writes
        self._end = 0  # positions that the step attends to
        self._source_end = 0
        self._lengths_2B: Tensor | None = None  # of answers and sources, where steps are replayed

    # -- adding and reordering -----------------------------------------------------------------

    def add(self, prompt: PromptCache, lengths: Sequence[int]) -> None:
        """Open a slot for each request of a prefill; all its rows go on from the one row there.

        Args:
            lengths: of their answers, padding left out.
        """
        first, count = len(self.lengths), len(lengths)
        length, source = prompt.kept[0][0][0].shape[2], prompt.memory_BSD.shape[1]
        self._reserve(prompt, first + count, length + 1, source)
        assert self._own is not None, "buffers were just reserved"
        rows = slice(first * self.width, (first + count) * self.width)
        for layer, (own, cross) in enumerate(prompt.kept):
            for half in range(2):
                wide = own[half].repeat_interleave(self.width, 0)
                self._own[layer, half, rows, :, :length] = wide
                self._memory[half][layer, first : first + count, :, :source] = cross[half]
        self.lengths += lengths
        self.sources += prompt.sources

    def reorder(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these slots, in this order, each row from one of the rows of before.

        A slot may only move to the front, and only to the place of one that leaves.
        """
        assert self._own is not None, "nothing was added"
        for place, slot in enumerate(slots):
            if place != slot:
                assert place < slot and place not in slots, "a slot moved onto another"
                source = self.sources[slot]
                for half in self._memory:
                    half[:, place, :, :source] = half[:, slot, :, :source]
        if list(rows) != list(range(len(rows))):
            used = max(self.lengths)
            index = torch.tensor(rows, device=self._own.device)
            own = self._own[:, :, :, :, :used]
            own[:, :, : len(rows)] = own.index_select(2, index)
        self.lengths = [self.lengths[slot] for slot in slots]
        self.sources = [self.sources[slot] for slot in slots]

    def clear(self) -> None:
        """Let all requests leave; the buffers stay."""
        self.lengths, self.sources = [], []

    # -- one step ----------------------------------------------------------------------------

    def run(self, compute: Compute, token_ids_R: Tensor) -> Tensor:
        """One step: token ids to logits by `compute`, which asks this cache.

        With `replay`, the next step writes over the logits.
        """
        self._make_room()
        if self._replay is None:
            self._layout_step()
            logits_RV = compute(token_ids_R)
        else:
            logits_RV = self._replayed(compute, token_ids_R, self._replay)
        self.lengths = [length + 1 for length in self.lengths]
        return logits_RV

    def _make_room(self) -> None:
        assert self._own is not None, "nothing was added"
        end = max(self.lengths) + 1
        if end > self._own.shape[4]:
            self._own = _grown(self._own, 4, end)
            self._capacity = self._capacity[0], self._own.shape[4], self._capacity[2]

    def _layout_step(self) -> None:
        """Where this step writes and looks, as short as can be."""
        assert self._own is not None, "nothing was added"
        self._end, self._source_end = max(self.lengths) + 1, max(self.sources)
        self._position, self.mask, self.memory_mask = self._end - 1, None, None
        device = self._own.device
        if min(self.lengths) < self._position:
            self._mask_answers(torch.tensor(self.lengths, device=device))
        if min(self.sources) < self._source_end:
            self._mask_sources(torch.tensor(self.sources, device=device))

    def _replayed(self, compute: Compute, token_ids_R: Tensor, replay: Replay) -> Tensor:
        assert self._own is not None, "nothing was added"
        if self._lengths_2B is None or self._lengths_2B.shape[1] < self._capacity[0]:
            self._lengths_2B = self._own.new_zeros(2, self._capacity[0], dtype=torch.long)
        lengths_2B = self._lengths_2B
        count = len(self.lengths)
        slots = min(1 << (count - 1).bit_length(), self._capacity[0])
        unused = slots - count
        # The slots behind those in use look at one position.
        real = [[*self.lengths, *[0] * unused], [*self.sources, *[1] * unused]]
        lengths_2B[:, :slots].copy_(torch.tensor(real))

        def computed(ids_R: Tensor) -> Tensor:
            """All that is read here is in tensors that stay where they are."""
            self._end, self._source_end = self._capacity[1:]
            self._mask_answers(lengths_2B[0, :slots])
            self._mask_sources(lengths_2B[1, :slots])
            return compute(ids_R)

        where = tuple(each.data_ptr() for each in (self._own, *self._memory, lengths_2B))
        padded_R = F.pad(token_ids_R, (0, unused * self.width))
        return replay(computed, padded_R, (where, self._capacity))[: len(token_ids_R)]

    def _mask_answers(self, lengths_B: Tensor) -> None:
        self._position = at = lengths_B.repeat_interleave(
            self.width, output_size=len(lengths_B) * self.width
        )
        seen = torch.arange(self._end, device=at.device) <= at[:, None]
        self.mask = seen[:, None, None]

    def _mask_sources(self, sources_B: Tensor) -> None:
        inside = torch.arange(self._source_end, device=sources_B.device) < sources_B[:, None]
        self.memory_mask = inside[:, None, None]

    def positions(self, count: int) -> Tensor | slice:
        if isinstance(self._position, Tensor):
            return self._position[:, None]
        return slice(self._position, self._position + 1)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        assert self._own is not None, "nothing was added"
        own = self._own[layer, :, : len(keys)]
        if isinstance(self._position, Tensor):
            rows = torch.arange(len(keys), device=keys.device)
            own[0, rows, :, self._position] = keys[:, :, 0]
            own[1, rows, :, self._position] = values[:, :, 0]
        else:
            own[0, :, :, self._position] = keys[:, :, 0]
            own[1, :, :, self._position] = values[:, :, 0]
        return own[0, :, :, : self._end], own[1, :, :, : self._end]

    def cross(self, layer: int, project: Callable[[Tensor], KeysValues]) -> KeysValues:
        count = len(self.lengths) if self.memory_mask is None else len(self.memory_mask)
        keys, values = (half[layer, :count, :, : self._source_end] for half in self._memory)
        return keys, values

    # -- buffers -----------------------------------------------------------------------------

    def _reserve(self, prompt: PromptCache, slots: int, length: int, source: int) -> None:
        (keys, _), (cross, _) = prompt.kept[0]
        num_layers = len(prompt.kept)
        if self._own is None:
            most = [max(pair) for pair in zip(self._capacity, (slots, length, source), strict=True)]
            self._capacity = most[0], most[1], most[2]
            heads, width = keys.shape[1], keys.shape[3]
            rows = most[0] * self.width
            self._own = keys.new_zeros(num_layers, 2, rows, heads, most[1], width)
            shape = num_layers, most[0], heads, most[2], width
            self._memory = [cross.new_zeros(shape), cross.new_zeros(shape)]
            if self._transposed:
                self._memory[0] = cross.new_zeros(*shape[:3], width, most[2]).mT
            return
        keys, values = self._memory
        if slots > len(values[0]):
            keys, values = (_grown(half, 1, slots) for half in (keys, values))
            self._own = _grown(self._own, 2, len(values[0]) * self.width)
        self._own = _grown(self._own, 4, length)
        self._memory = [_grown(half, 3, source) for half in (keys, values)]
        self._capacity = self._memory[0].shape[1], self._own.shape[4], self._memory[0].shape[3]


def _grown(buffer: Tensor, axis: int, size: int) -> Tensor:
    """The buffer, at least `size` long on an axis; twice as long as before if it was too short."""
    old = buffer.shape[axis]
    if size <= old:
        return buffer
    shape = list(buffer.shape)
    shape[axis] = max(size, 2 * old)
    if buffer.stride(-1) > 1:  # transposed
        shape[-2:] = shape[:-3:-1]
        grown = buffer.new_zeros(shape).mT
    else:
        grown = buffer.new_zeros(shape)
    grown.narrow(axis, 0, old).copy_(buffer)
    return grown
