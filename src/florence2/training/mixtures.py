"""From datasets to training examples, mixed by weight.

    sources of records -- Mixture --> record i -- picture, augmentation --> Example i

Example `i` of a mixture is a function of the sources, the seed and `i` alone, so a run can stop
anywhere and go on, with any number of workers. Pictures are read when their example is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from florence2.data.records import Record
from florence2.errors import ConfigError, DataError
from florence2.processing.images import preprocess
from florence2.processing.processor import Processor
from florence2.training.augmentation import Augmentation, augmented
from florence2.training.batches import Example
from florence2.training.targets import TargetEncoder

BLOCK = 1_000  # examples in which every source has its exact share
# Keep the draws of this module apart from each other.
_BLOCKS, _EPOCHS, _CHANGES = 21, 22, 23


@dataclass(frozen=True)
class StoredRecords:
    """Records of a dataset in a new order every epoch, each once an epoch."""

    records: Sequence[Record]
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.records:
            raise DataError("a source without records cannot be trained on; leave it out")

    def record(self, visit: int) -> Record:
        """The record of a visit, a function of its number alone."""
        epoch, place = divmod(visit, len(self.records))
        return self.records[int(_order(len(self.records), self.seed, epoch)[place])]


@lru_cache(maxsize=64)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, _EPOCHS, epoch]).permutation(count)


@dataclass(frozen=True)
class Mixture:
    """Sources with weights; in every `BLOCK` records each has its share, in random order."""

    sources: tuple[StoredRecords, ...]
    weights: tuple[float, ...]
    seed: int = 0
    counts: tuple[int, ...] = field(init=False)  # of each source in a block

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.weights) or not self.sources:
            raise ConfigError(
                f"{len(self.sources)} sources have {len(self.weights)} weights; give one for each"
            )
        if not all(0 < weight < float("inf") for weight in self.weights):
            raise ConfigError(f"weights {self.weights!r} must be numbers above 0")
        object.__setattr__(self, "counts", _shares(self.weights))

    def record(self, index: int) -> Record:
        """Record `index`: its source by weight, then the next of that source."""
        block, place = divmod(index, BLOCK)
        chosen = _block(self.counts, self.seed, block)
        source = int(chosen[place])
        before = int((chosen[:place] == source).sum())
        return self.sources[source].record(block * self.counts[source] + before)


def _shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers that add up to `BLOCK`, at least one for each weight."""
    spare = BLOCK - len(weights)
    if spare < 0:
        raise ConfigError(f"{len(weights):,} sources are too many; join some, {BLOCK:,} are most")
    exact = spare * np.array(weights) / sum(weights)
    counts = np.floor(exact).astype(int)
    missing = spare - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return tuple(int(count) + 1 for count in counts)


@lru_cache(maxsize=64)
def _block(counts: tuple[int, ...], seed: int, block: int) -> NDArray[np.int64]:
    rng = np.random.default_rng([seed, _BLOCKS, block])
    return rng.permutation(np.repeat(np.arange(len(counts)), counts))


class ExampleMaker:
    """Turns records into examples for one model and one picture side."""

    def __init__(self, processor: Processor, targets: TargetEncoder):
        self.processor, self.targets = processor, targets

    def example(self, record: Record, picture: Image.Image) -> Example:
        """An example of a record and its picture.

        Raises:
            TaskError: the prompt is longer than the encoder allows.
        """
        return Example(
            pixels=preprocess(picture, self.processor.image_side),
            task=record.task,
            prompt_ids=self.prompt_ids(record),
            label_ids=self.targets.label_ids(record.task, record.result),
        )

    def prompt_ids(self, record: Record) -> list[int]:
        return self.processor.prompt_ids(
            record.task, record.text_input, record.region, record.result.image_size, record.prompt
        )


class MixedExamples(Dataset[Example]):
    """The examples of a mixture."""

    def __init__(
        self, mixture: Mixture, maker: ExampleMaker, *, augment: Augmentation | None = None
    ):
        self.mixture, self.maker, self.augment = mixture, maker, augment

    def __getitem__(self, index: int) -> Example:
        record = self.mixture.record(index)
        picture = record.picture()
        if picture.size != record.result.image_size:
            raise DataError(
                f"the picture of record {record.source!r} has {picture.size} pixels, its answer is"
                f" for {record.result.image_size}; was the file changed?"
            )
        if self.augment is not None:
            rng = np.random.default_rng([self.mixture.seed, _CHANGES, index])
            record, picture = augmented(record, picture, rng, self.augment)
        return self.maker.example(record, picture)
