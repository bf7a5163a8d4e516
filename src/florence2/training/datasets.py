"""What a user names becomes sources to train on and held-out records to measure on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from florence2.data import open_dataset
from florence2.data.image_files import PictureFolder
from florence2.data.opening import what_lies_in
from florence2.data.parts import PartsError
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.errors import DataError, TaskError
from florence2.tasks import Task
from florence2.training.mixtures import ExampleMaker, Mixture, StoredRecords
from florence2.training.options import WeightedPath

MAX_HELD_OUT = 500  # pictures; more would take long and tell little more
_HELD_OUT = 31  # keeps this draw apart from others of the same seed


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and what it is measured on.

    Attributes:
        mixture: of the sources, by weight.
        stored: records to train on.
        held_out: records about pictures that are not in the mixture.
        summary: what was read, what was lost and why, in plain words.
    """

    mixture: Mixture
    stored: tuple[Record, ...]
    held_out: tuple[Record, ...]
    summary: str


@dataclass(frozen=True)
class Reader:
    """How paths are read, the same for all of a run.

    Attributes:
        maker: tells which records fit the model.
        max_answer: positions of its decoder.
        tasks: what to ask; what the data is made for if there is none.
        held_out: share of the pictures to hold out where there is no part "val".
        split: the part to train on, where the data is divided; "train" or "trainval" if `None`.
        pictures: where pictures that have no file are put, so that they need no memory.
    """

    maker: ExampleMaker
    max_answer: int
    tasks: tuple[Task, ...]
    held_out: float
    seed: int
    pictures: PictureFolder
    split: str | None = None

    def read(self, paths: Sequence[WeightedPath]) -> TrainingData:
        """Read all paths.

        Raises:
            DataError: a path holds no dataset, or no record of it can be trained on.
        """
        sources: list[StoredRecords] = []
        held_out: list[Record] = []
        lines: list[str] = []
        stored: list[Record] = []
        for number, each in enumerate(paths):
            seed = self.seed + 1_000 * number
            train, val, words = self._parts(each.path)
            sources.append(StoredRecords(train, seed))
            stored += train
            held_out += val
            lines.append(f"{each.path}, weight {each.weight:g}: {words}")
        mixture = Mixture(tuple(sources), tuple(each.weight for each in paths), self.seed)
        return TrainingData(mixture, tuple(stored), tuple(held_out), "\n".join(lines))

    def _parts(self, path: str) -> tuple[tuple[Record, ...], tuple[Record, ...], str]:
        """Records to train on and to measure on, and what was read in words."""
        part = self.split
        parts: tuple[str, ...] = ()
        read = None
        try:
            read = self._records(path, part)
            if part is not None:
                parts = open_dataset(path, tasks=self.tasks).parts()
        except PartsError as error:
            parts = error.parts
            part = _part_to_train_on(path, parts)
        train, report = read or self._records(path, part)
        part = report.part if parts else None
        val: tuple[Record, ...] = ()
        val_report = None
        if "val" in parts and part != "val":
            val, val_report = self._val(path)
        alone = [each for each in parts if each not in (part, "val" if val else part)]
        if val:
            how = "its part 'val'"
            # A part trainval holds the pictures of val, too.
            measured = {str(record.image) for record in val}
            train = tuple(record for record in train if str(record.image) not in measured)
        else:
            train, val = hold_out(train, self.held_out, self.seed)
            how = f"{self.held_out:.0%} of the pictures" + (
                f" of its part {part!r}" if part else ""
            )
        teaches = [record for record in train if record.ignored is None]
        unclear = len(train) - len(teaches)
        train = tuple(teaches)
        if not train:
            raise DataError(
                f"dataset {path!r} has no record to train on (there: {what_lies_in(Path(path))}):"
                f"\n{report}"
            )
        fits, words = self._fitting(train)
        if not fits:
            raise DataError(f"no record of dataset {path!r} can be trained on: {words[0]}")
        val = tuple(self._fitting(val)[0])
        if unclear:
            words.append(
                f"{unclear:,} left out: they hold crowds, groups or difficult objects, so their"
                " answers do not say all that is there"
            )
        if alone:
            words.append(f"left alone: part {' and part '.join(map(repr, alone))}")
        told = [str(report), *([f"part 'val': {val_report}"] if val_report else []), *words]
        split = f"{len(fits):,} to train on, {len(val):,} held out" + (f" ({how})" if val else "")
        return tuple(fits), val, "\n  ".join([split, *"\n".join(told).splitlines()])

    def _val(self, path: str) -> tuple[tuple[Record, ...], ReadReport]:
        """The records of the part "val", at most `MAX_HELD_OUT`."""
        val, report = self._records(path, "val")
        drawn = np.random.default_rng([self.seed, _HELD_OUT]).permutation(len(val))
        return tuple(val[row] for row in sorted(drawn[:MAX_HELD_OUT])), report

    def _records(self, path: str, split: str | None) -> tuple[tuple[Record, ...], ReadReport]:
        dataset = open_dataset(path, tasks=self.tasks, split=split)
        records = tuple(
            record
            if isinstance(record.image, Path)
            else replace(record, image=self.pictures.path_of(record))
            for record in dataset
        )
        return records, dataset.report

    def _fitting(self, records: Iterable[Record]) -> tuple[list[Record], list[str]]:
        """The records that the model has positions for, and in words which it has not."""
        fits: list[Record] = []
        reasons: Counter[str] = Counter()
        for record in records:
            if (reason := self._too_long(record)) is None:
                fits.append(record)
            else:
                reasons[f"skipped, as {reason}"] += 1
        return fits, [f"{count:,} {reason}" for reason, count in reasons.items()]

    def _too_long(self, record: Record) -> str | None:
        try:
            self.maker.prompt_ids(record)
        except TaskError:
            return (
                "the prompt has more tokens than the"
                f" {self.maker.processor.max_prompt_tokens:,} that the encoder takes beside a"
                " picture"
            )
        if len(self.maker.targets.label_ids(record.task, record.result)) > self.max_answer:
            return (
                f"the answer has more tokens than the {self.max_answer:,} positions of the decoder"
                " (cut off, it would teach the model not to stop)"
            )
        return None


def _part_to_train_on(path: str, parts: Sequence[str]) -> str:
    found = next((part for part in ("train", "trainval") if part in parts), None)
    if found is None:
        raise DataError(
            f"dataset {path!r} has the parts {', '.join(parts)}, and none of them is train; name"
            " the part to train on as the split"
        )
    return found


def hold_out(
    records: Sequence[Record], share: float, seed: int
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Divide records into those to train on and those to measure on, by pictures.

    All records about a picture go to the same side. The choice depends on the order of the
    pictures and the seed alone.
    """
    pictures = list(dict.fromkeys(str(record.image) for record in records))
    count = min(max(round(share * len(pictures)), 1), MAX_HELD_OUT, len(pictures) - 1)
    if share == 0 or count < 1:
        return tuple(records), ()
    drawn = np.random.default_rng([seed, _HELD_OUT]).permutation(len(pictures))[:count]
    chosen = {pictures[index] for index in drawn}
    return (
        tuple(record for record in records if str(record.image) not in chosen),
        tuple(record for record in records if str(record.image) in chosen),
    )
