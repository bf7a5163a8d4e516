"""What the decoder has seen: keys and values of answers so far and of the memory they look at.

A decoder layer asks a history for the keys to attend to. `Fresh` is that of whole answers, which
begin at their first token: training, scoring and the first call for a request. `Slots` is that of
answers that grow by one token a step, side by side: requests join and leave between steps, and
their answers may be of different lengths.

Shapes: `B` requests, `W` rows of one request (beams), `R` = B * W rows, `N` heads, `K` head width,
`T` positions of the answer, `S` source positions (image tokens and prompt), `Y` layers.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

KeysValues = tuple[Tensor, Tensor]


class History(Protocol):
    """What a decoder layer asks for."""

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


class Fresh:
    """Whole answers `(B, T)`, from their first token on.

    Args:
        memory_BSD: what they look at.
        memory_mask_BS: true where the source is real, all of it if None.
        keep: remember keys and values, so that `Slots` can go on from here.
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


class Slots:
    """Answers side by side, one slot of `width` rows for each, in buffers that are kept.

    Active slots come first: when one leaves, the last one takes its place. So the rows of a step
    are one block of memory, and a request that leaves or joins moves no other, or one.

    Args:
        width: rows of a slot.
        capacity: slots and positions of answer and source to reserve; buffers that are too small
            double.
        static: always compute on all that is reserved, so that shapes and addresses never change
            and a step can be recorded once and replayed; what is not real is masked.
    """

    causal = False

    def __init__(
        self, width: int, capacity: tuple[int, int, int] = (1, 32, 1), static: bool = False
    ) -> None:
        self.width, self.static = width, static
        self.lengths: list[int] = []  # of the answer in each slot
        self.sources: list[int] = []  # real source positions of each slot
        self.mask: Tensor | None = None
        self.memory_mask: Tensor | None = None
        self._capacity = capacity
        self._own: Tensor | None = None  # Y 2 R N T K
        self._memory: Tensor | None = None  # Y 2 B N S K
        self._at: int | Tensor = 0  # where the step writes
        self._end = 0  # positions that the step attends to
        self._source_end = 0

    @property
    def num_rows(self) -> int:
        """Rows of a step."""
        return self.width * (self._capacity[0] if self.static else len(self.lengths))

    # -- joining and leaving -----------------------------------------------------------------

    def join(self, fresh: Fresh, which: Sequence[int]) -> None:
        """Open a slot for each of these requests; all its rows go on from the one row there."""
        if not which:
            return
        first, count = len(self.lengths), len(which)
        length, source = fresh.kept[0][0][0].shape[2], fresh.memory_BSD.shape[1]
        self._reserve(fresh, first + count, length + 1, source)
        assert self._own is not None and self._memory is not None, "buffers were just reserved"
        index = torch.tensor(which, device=self._own.device)
        everyone = list(which) == list(range(len(fresh.sources)))
        rows = slice(first * self.width, (first + count) * self.width)
        for layer, pairs in enumerate(fresh.kept):
            own, cross = (
                pair if everyone else tuple(each.index_select(0, index) for each in pair)
                for pair in pairs
            )
            for half in range(2):
                wide = own[half].repeat_interleave(self.width, 0)
                self._own[layer, half, rows, :, :length] = wide
                self._memory[layer, half, first : first + count, :, :source] = cross[half]
        self.lengths += [length] * count
        self.sources += [fresh.sources[place] for place in which]

    def keep(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these slots, in this order, each row from one of the rows of before.

        A slot may only move to the front, and only to the place of one that leaves.
        """
        assert self._own is not None and self._memory is not None, "nothing has joined"
        for place, slot in enumerate(slots):
            if place != slot:
                assert place < slot and place not in slots, "a slot moved onto another"
                source = self.sources[slot]
                self._memory[:, :, place, :, :source] = self._memory[:, :, slot, :, :source]
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

    def begin_step(self) -> None:
        """Make room for one more position in each row."""
        assert self._own is not None and self._memory is not None, "nothing has joined"
        end = max(self.lengths) + 1
        if end > self._own.shape[4]:
            self._own = _grown(self._own, 4, end)
        device = self._own.device
        self._end = self._own.shape[4] if self.static else end
        self._source_end = self._memory.shape[4] if self.static else max(self.sources)
        if self.static or min(self.lengths) < end - 1:
            at = torch.tensor(self._padded(self.lengths), device=device)
            self._at = at.repeat_interleave(self.width)
            seen = torch.arange(self._end, device=device) <= self._at[:, None]
            self.mask = seen[:, None, None]
        else:
            self._at, self.mask = end - 1, None
        if self.static or min(self.sources) < self._source_end:
            real = torch.tensor(self._padded(self.sources, 1), device=device)
            inside = torch.arange(self._source_end, device=device) < real[:, None]
            self.memory_mask = inside[:, None, None]
        else:
            self.memory_mask = None

    def end_step(self) -> None:
        self.lengths = [length + 1 for length in self.lengths]

    def positions(self, count: int) -> Tensor | slice:
        if isinstance(self._at, Tensor):
            return self._at[:, None]
        return slice(self._at, self._at + 1)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        assert self._own is not None, "nothing has joined"
        own = self._own[layer, :, : len(keys)]
        if isinstance(self._at, Tensor):
            rows = torch.arange(len(keys), device=keys.device)
            own[0, rows, :, self._at] = keys[:, :, 0]
            own[1, rows, :, self._at] = values[:, :, 0]
        else:
            own[0, :, :, self._at] = keys[:, :, 0]
            own[1, :, :, self._at] = values[:, :, 0]
        return own[0, :, :, : self._end], own[1, :, :, : self._end]

    def cross(self, layer: int, project: Callable[[Tensor], KeysValues]) -> KeysValues:
        assert self._memory is not None, "nothing has joined"
        count = self._capacity[0] if self.static else len(self.lengths)
        keys, values = self._memory[layer, :, :count, :, : self._source_end]
        return keys, values

    # -- buffers -----------------------------------------------------------------------------

    def _padded(self, values: list[int], filler: int = 0) -> list[int]:
        missing = self._capacity[0] - len(values) if self.static else 0
        return values + [filler] * missing

    def _reserve(self, fresh: Fresh, slots: int, length: int, source: int) -> None:
        (keys, _), (cross, _) = fresh.kept[0]
        num_layers = len(fresh.kept)
        if self._own is None or self._memory is None:
            most = [max(pair) for pair in zip(self._capacity, (slots, length, source), strict=True)]
            self._capacity = most[0], most[1], most[2]
            heads, width = keys.shape[1], keys.shape[3]
            rows = most[0] * self.width
            self._own = keys.new_zeros(num_layers, 2, rows, heads, most[1], width)
            self._memory = cross.new_zeros(num_layers, 2, most[0], heads, most[2], width)
            return
        if slots > self._memory.shape[2]:
            self._memory = _grown(self._memory, 2, slots)
            self._own = _grown(self._own, 2, self._memory.shape[2] * self.width)
        self._own = _grown(self._own, 4, length)
        self._memory = _grown(self._memory, 4, source)
        self._capacity = self._memory.shape[2], self._own.shape[4], self._memory.shape[4]


def _grown(buffer: Tensor, axis: int, size: int) -> Tensor:
    """The buffer, at least `size` long on an axis; twice as long as before if it was too short."""
    old = buffer.shape[axis]
    if size <= old:
        return buffer
    shape = list(buffer.shape)
    shape[axis] = max(size, 2 * old)
    grown = buffer.new_zeros(shape)
    grown.narrow(axis, 0, old).copy_(buffer)
    return grown
