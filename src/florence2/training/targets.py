"""Results to label ids, and the loss with soft targets for location tokens."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from florence2.answers import format_answer
from florence2.locations import NUM_BINS
from florence2.model.florence2 import IGNORE_INDEX
from florence2.results import Result
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer

# A drawn edge is known to about one pixel of the picture the model sees; at 128 to 192 pixels
# that is five to eight bins, the standard deviation here; the peak stays on the true bin.
LOCATION_SIGMA_BINS = 6.0

# Texts are read letter by letter: one token a character is easier to align with a picture than
# merged pieces. Any segmentation decodes to the same text.
SPELLED_TASKS = frozenset({Task.OCR, Task.OCR_WITH_REGION, Task.REGION_TO_OCR})


class TargetEncoder:
    """Turns results into label ids with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._spelled: dict[str, tuple[int, ...]] = {}

    def label_ids(self, task: Task, result: Result) -> list[int]:
        """Answer of a record as ids, `<s> ... </s>`."""
        text = format_answer(result, task)
        if task not in SPELLED_TASKS:
            return self.tokenizer.encode(text)
        ids = [self.tokenizer.bos_id]
        position = 0
        while position < len(text):
            end = text.find(">", position) + 1 if text.startswith("<loc_", position) else 0
            piece = text[position : end or position + 1]
            if piece not in self._spelled:
                self._spelled[piece] = tuple(self.tokenizer.encode(piece)[1:-1])
            ids.extend(self._spelled[piece])
            position += len(piece)
        return [*ids, self.tokenizer.eos_id]


def pad_ids(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Rows of unequal length as one int64 tensor, filled on the right."""
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])


def soft_location_loss(logits_NV: Tensor, bins_N: Tensor, loc_begin: int) -> Tensor:
    """Cross-entropy `(N,)` against a normal distribution over the bins around the true one.

    Neighbouring bins are almost right: telling the model so lets a few thousand boxes teach
    all 1,000 location tokens.
    """
    log_probs = F.log_softmax(logits_NV, dim=-1)[:, loc_begin : loc_begin + NUM_BINS]
    distance = torch.arange(NUM_BINS, device=bins_N.device)[None, :] - bins_N[:, None]
    weights = torch.softmax(-0.5 * (distance / LOCATION_SIGMA_BINS) ** 2, dim=-1)
    return -(weights * log_probs).sum(dim=-1)


def answer_loss(logits_BTV: Tensor, labels_BT: Tensor, loc_begin: int) -> tuple[Tensor, Tensor]:
    """Loss of a batch and of each of its rows.

    A row's loss is summed over its tokens and divided by the square root of their number: a
    mean over all tokens starves answers whose only information is one word, a mean over each
    row starves long ones.

    Returns:
        The weighted mean over rows (a scalar, in nats a token) and the mean of each row `(B,)`.
    """
    real_BT = labels_BT != IGNORE_INDEX
    is_location_BT = (labels_BT >= loc_begin) & (labels_BT < loc_begin + NUM_BINS)
    is_word_BT = real_BT & ~is_location_BT
    losses_BT = logits_BTV.new_zeros(labels_BT.shape)
    losses_BT[is_word_BT] = F.cross_entropy(
        logits_BTV[is_word_BT], labels_BT[is_word_BT], reduction="none"
    )
    losses_BT[is_location_BT] = soft_location_loss(
        logits_BTV[is_location_BT], labels_BT[is_location_BT] - loc_begin, loc_begin
    )
    counts_B = real_BT.sum(dim=1).clamp(min=1).to(losses_BT.dtype)
    sums_B = losses_BT.sum(dim=1)
    return (sums_B / counts_B.sqrt()).sum() / counts_B.sqrt().sum(), sums_B / counts_B


def smooth_rows(rows: int, width: int, generator: torch.Generator) -> Tensor:
    """Initial embeddings `(rows, width)` in which neighbouring rows are similar, of std 1.

    Random mixtures of sines and cosines of 1 to 32 half-waves over the axis.
    """
    position = torch.linspace(0, 1, rows)[:, None]
    frequencies = torch.arange(1, 33)[None, :]
    waves = torch.cat(
        (
            torch.sin(torch.pi * position * frequencies),
            torch.cos(torch.pi * position * frequencies),
        ),
        dim=1,
    )
    decay = (1.0 / frequencies.float().sqrt()).repeat(1, 2)
    table = (waves * decay) @ torch.randn(waves.shape[1], width, generator=generator)
    return table / table.std()
