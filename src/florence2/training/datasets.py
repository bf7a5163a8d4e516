"""What a user names becomes sources to train on and held-out records to measure on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from florence2.answers import format_answer
from florence2.data import open_dataset
from florence2.data.image_files import PictureFolder
from florence2.data.opening import what_lies_in
from florence2.data.parts import PartsError
from florence2.data.records import Record
from florence2.data.report import MAX_CASES, ReadReport
from florence2.data.survey import PictureFacts, copy_groups, survey
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
        voc_origin: see `open_dataset`.
    """

    maker: ExampleMaker
    max_answer: int
    tasks: tuple[Task, ...]
    held_out: float
    seed: int
    pictures: PictureFolder
    split: str | None = None
    voc_origin: int | None = None

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
        facts = self._survey((*train, *val))
        train, val, damaged = without_damaged(train, val, facts)
        groups = copy_groups(facts)
        if val:
            how = "its part 'val'"
            # A part trainval holds the pictures of val, too.
            measured = {str(record.image) for record in val}
            train = tuple(record for record in train if str(record.image) not in measured)
        else:
            train, val = hold_out(train, self.held_out, self.seed, groups)
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
        words += [*damaged, *copies_told(train, val, groups, own_parts=val_report is not None)]
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
        dataset = open_dataset(path, tasks=self.tasks, split=split, voc_origin=self.voc_origin)
        records = tuple(
            record
            if isinstance(record.image, Path)
            else replace(record, image=self.pictures.path_of(record))
            for record in dataset
        )
        return records, dataset.report

    def _survey(self, records: Sequence[Record]) -> dict[Path, PictureFacts]:
        """A look at every picture, before hours of training end at a damaged one."""
        paths = dict.fromkeys(_path(record) for record in records)
        bar = partial(
            tqdm, desc="looking at pictures", total=len(paths), unit=" pictures", disable=None
        )
        return survey(paths, bar)

    def _fitting(self, records: Iterable[Record]) -> tuple[list[Record], list[str]]:
        """The records that the model can read and write, and in words which it cannot."""
        fits: list[Record] = []
        reasons: Counter[str] = Counter()
        for record in records:
            if (reason := self._misfit(record)) is None:
                fits.append(record)
            else:
                reasons[f"skipped, as {reason}"] += 1
        return fits, [f"{count:,} {reason}" for reason, count in reasons.items()]

    def _misfit(self, record: Record) -> str | None:
        try:
            self.maker.prompt_ids(record)
        except TaskError:
            return (
                "the prompt has more tokens than the"
                f" {self.maker.processor.max_prompt_tokens:,} that the encoder takes beside a"
                " picture"
            )
        label_ids = self.maker.targets.label_ids(record.task, record.result)
        written = self.maker.processor.tokenizer.decode(label_ids[1:-1])
        if record.task is None and written != format_answer(record.result, None):
            return "the tokenizer of the model cannot write the answer to the letter"
        if len(label_ids) > self.max_answer:
            return (
                f"the answer has more tokens than the {self.max_answer:,} positions of the decoder"
                " (cut off, it would teach the model not to stop)"
            )
        return None


def _path(record: Record) -> Path:
    assert isinstance(record.image, Path), "pictures without a file got one"
    return record.image


def without_damaged(
    train: Sequence[Record], val: Sequence[Record], facts: Mapping[Path, PictureFacts]
) -> tuple[tuple[Record, ...], tuple[Record, ...], list[str]]:
    """Records whose pictures can be decoded, and in words which cannot."""
    errors = {path: each.error for path, each in facts.items() if each.error}
    kept = [
        tuple(record for record in records if _path(record) not in errors)
        for records in (train, val)
    ]
    told = [f"{len(errors):,} damaged pictures left out:"] if errors else []
    told += [f"  {error}" for error in list(errors.values())[:MAX_CASES]]
    if len(errors) > MAX_CASES:
        told.append(f"  and {len(errors) - MAX_CASES:,} more")
    return kept[0], kept[1], told


def copies_told(
    train: Sequence[Record], val: Sequence[Record], groups: Mapping[Path, Path], *, own_parts: bool
) -> list[str]:
    """How many pictures are copies of others, and whether copies stand on both sides, in words."""
    pictures = {_path(record) for record in (*train, *val)}
    sizes = Counter(groups[path] for path in pictures)
    copies = sum(count - 1 for count in sizes.values())
    if not copies:
        return []
    learnt = {groups[_path(record)] for record in train}
    both = sum(groups[path] in learnt for path in {_path(record) for record in val})
    told = f"{copies:,} of {len(pictures):,} pictures are copies of others, or nearly so"
    if not both:
        return [f"{told}; copies stay on one side"]
    why = "the parts of the dataset share them" if own_parts else "all pictures are alike"
    return [f"{told}; {both:,} held out are also trained on, since {why}: held-out numbers flatter"]


def _part_to_train_on(path: str, parts: Sequence[str]) -> str:
    found = next((part for part in ("train", "trainval") if part in parts), None)
    if found is None:
        raise DataError(
            f"dataset {path!r} has the parts {', '.join(parts)}, and none of them is train; name"
            " the part to train on as the split"
        )
    return found


def hold_out(
    records: Sequence[Record],
    share: float,
    seed: int,
    groups: Mapping[Path, Path] | None = None,
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Divide records into those to train on and those to measure on, by pictures.

    All records about a picture go to the same side, and so do pictures of one group. The choice
    depends on the order of the pictures and the seed alone.

    Args:
        groups: each picture to the one that stands for its group, see `copy_groups`; where there is
            a single group, pictures are drawn one by one.
    """
    pictures = list(dict.fromkeys(str(record.image) for record in records))
    count = min(max(round(share * len(pictures)), 1), MAX_HELD_OUT, len(pictures) - 1)
    if share == 0 or count < 1:
        return tuple(records), ()
    members: dict[str, list[str]] = {}
    for picture in pictures:
        group = str(groups.get(Path(picture), picture)) if groups else picture
        members.setdefault(group, []).append(picture)
    if len(members) == 1:
        members = {picture: [picture] for picture in pictures}
    drawn = np.random.default_rng([seed, _HELD_OUT]).permutation(len(members))
    chosen: set[str] = set()
    for index in drawn[:-1]:  # one group at least is trained on
        chosen.update(list(members.values())[index])
        if len(chosen) >= count:
            break
    return (
        tuple(record for record in records if str(record.image) not in chosen),
        tuple(record for record in records if str(record.image) in chosen),
    )
