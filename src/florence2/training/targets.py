"""Results to label ids, and the loss with soft targets for location tokens."""

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from florence2.answers import format_answer
from florence2.locations import NUM_BINS
from florence2.model.florence2 import IGNORE_INDEX
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Result
from florence2.tasks import Task

# How well an edge is known, as a standard deviation in pixels of the picture the model sees: six
# bins at a side of 128, one at 768. The peak stays on the true bin.
LOCATION_SIGMA_PIXELS = 0.768
LOCATION_SIGMA_BINS = 6.0

# Texts are read letter by letter: one token a character is easier to align with a picture than
# merged pieces. Any segmentation decodes to the same text.
SPELLED_TASKS = frozenset(task for task in Task if task.reads_text)

# The published vocabulary has its locations behind 50,265 pieces of text.
_PIECES_OF_A_LARGE_VOCABULARY = 10_000


def spelled_tasks(tokenizer: Tokenizer) -> frozenset[Task]:
    """The tasks whose texts a model with this vocabulary already writes letter by letter.

    Ours do. The published models write merged pieces and would have to unlearn them.
    """
    large = tokenizer.loc_begin >= _PIECES_OF_A_LARGE_VOCABULARY
    return frozenset() if large else SPELLED_TASKS


class TargetEncoder:
    """Turns results into label ids with one tokenizer.

    Args:
        spelled: tasks whose texts are written letter by letter.
    """

    def __init__(self, tokenizer: Tokenizer, spelled: Collection[Task] = SPELLED_TASKS):
        self.tokenizer, self.spelled = tokenizer, spelled
        self._spelled: dict[str, tuple[int, ...]] = {}

    def label_ids(self, task: Task | None, result: Result) -> list[int]:
        """Answer of a record as ids, `<s> ... </s>`; without a task to the letter."""
        text = format_answer(result, task)
        if task not in self.spelled:
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


def location_sigma(image_side: int) -> float:
    """Standard deviation of the soft targets in bins, for pictures of this side.

    >>> location_sigma(128), location_sigma(768)
    (6.0, 1.0)
    """
    return LOCATION_SIGMA_PIXELS * NUM_BINS / image_side


def soft_location_loss(
    logits_NV: Tensor, bins_N: Tensor, loc_begin: int, sigma_bins: float = LOCATION_SIGMA_BINS
) -> Tensor:
    """Divergence `(N,)` from a normal distribution over the bins around the true one.

    Neighbouring bins are almost right: telling the model so lets a few thousand boxes teach
    all 1,000 location tokens. Zero is a perfect answer, as for words.
    """
    log_probs = F.log_softmax(logits_NV, dim=-1)[:, loc_begin : loc_begin + NUM_BINS]
    distance = torch.arange(NUM_BINS, device=bins_N.device)[None, :] - bins_N[:, None]
    wanted = F.log_softmax(-0.5 * (distance / sigma_bins) ** 2, dim=-1)
    return (wanted.exp() * (wanted - log_probs)).sum(dim=-1)


def answer_loss(
    logits_BTV: Tensor,
    labels_BT: Tensor,
    loc_begin: int,
    sigma_bins: float = LOCATION_SIGMA_BINS,
) -> tuple[Tensor, Tensor]:
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
        logits_BTV[is_location_BT], labels_BT[is_location_BT] - loc_begin, loc_begin, sigma_bins
    )
    weights_B = row_weights(labels_BT).to(losses_BT.dtype)
    sums_B = losses_BT.sum(dim=1)
    return (sums_B / weights_B).sum() / weights_B.sum(), sums_B / weights_B.square()


def row_weights(labels_BT: Tensor) -> Tensor:
    """How much each row `(B,)` counts in `answer_loss`: the square root of its tokens."""
    return (labels_BT != IGNORE_INDEX).sum(dim=1).clamp(min=1).sqrt()
