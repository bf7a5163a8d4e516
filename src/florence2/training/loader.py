"""Batches for one process of a run, from any step on."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset

from florence2.errors import ConfigError
from florence2.training.batches import Batch, Example, collate
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage


@dataclass(frozen=True)
class Batches(Dataset[Batch]):
    """Batches of a stage from step `start` on, made in worker processes.

    Batch `n` consists of the examples `n * batch_size` and following, for any number of processes.
    Process `rank` of `size` has its consecutive share of it, cut into `pieces`, one item each.
    """

    examples: Dataset[Example]
    stage: Stage
    pad_id: int
    start: int = 0
    pieces: int = 1
    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if self.stage.batch_size < self.pieces * self.size:
            raise ConfigError(
                f"stage {self.stage.name!r} has batches of {self.stage.batch_size!r} pictures, too"
                f" few for {self.size!r} processes with {self.pieces!r} pieces each; raise"
                " batch_size"
            )

    def __len__(self) -> int:
        return (self.stage.steps - self.start) * self.pieces

    def __getitem__(self, index: int) -> Batch:
        step, piece = divmod(index, self.pieces)
        first = (self.start + step) * self.stage.batch_size
        part, parts = self.rank * self.pieces + piece, self.size * self.pieces
        rows = range(
            first + part * self.stage.batch_size // parts,
            first + (part + 1) * self.stage.batch_size // parts,
        )
        return collate([self.examples[row] for row in rows], self.pad_id)


def batch_loader(batches: Batches, recipe: Recipe, *, pin_memory: bool = False) -> Iterator[Batch]:
    """The pieces of this process, one after another, made ahead of time."""
    workers = recipe.workers
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            # A forked worker hangs in the thread pools of its parent.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=recipe.worker_init,
            pin_memory=pin_memory,
        )
    )
