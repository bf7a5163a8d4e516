"""Batches for one process of a run, from any step on."""

from collections.abc import Iterator

from torch.utils.data import DataLoader, Dataset

from florence2.errors import ConfigError
from florence2.model.config import Florence2Config
from florence2.training.batches import Batch, Example, collate
from florence2.training.recipe import Recipe, Stage


class Batches(Dataset[Batch]):
    """Batches of a stage from step `start` on, made in worker processes.

    Batch `n` consists of the examples `n * batch_size` and following, for any number of processes.
    Each process has its consecutive share of it, cut into `pieces`, one item each.
    """

    def __init__(
        self,
        examples: Dataset[Example],
        stage: Stage,
        start: int,
        pad_id: int,
        map_side: int,
        *,
        pieces: int = 1,
        rank: int = 0,
        size: int = 1,
    ):
        if stage.batch_size < pieces * size:
            raise ConfigError(
                f"stage {stage.name!r} has batches of {stage.batch_size!r} pictures, too few for"
                f" {size!r} processes with {pieces!r} pieces each; raise batch_size"
            )
        self.examples, self.stage, self.start = examples, stage, start
        self.pad_id, self.map_side = pad_id, map_side
        self.pieces, self.rank, self.size = pieces, rank, size

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
        return collate([self.examples[row] for row in rows], self.pad_id, self.map_side)


def feed(
    recipe: Recipe,
    stage: Stage,
    config: Florence2Config,
    *,
    start: int = 0,
    rank: int = 0,
    size: int = 1,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """The pieces of this process, step after step from `start`."""
    batches = Batches(
        recipe.examples(stage),
        stage,
        start,
        config.text.pad_id,
        config.vision.map_side(stage.image_side),
        pieces=recipe.accumulate,
        rank=rank,
        size=size,
    )
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
