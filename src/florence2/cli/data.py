"""Explain a dataset: its format, what it would teach, what is lost and why; or convert it.

Reads every part, decodes every picture once to find damaged ones and copies, and changes nothing.

  florence2 data annotations.json
  florence2 data photos/ --sheet labels.png      # look whether boxes and words are right
  florence2 data photos/ --json                  # one JSON object
  florence2 data photos/ --to yolo out/          # coco, jsonl, parquet, prefix_suffix, voc or yolo
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line, readable
from florence2.errors import ConfigError, DataError
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.data import ReadReport
    from florence2.data.records import Record
    from florence2.data.survey import PictureFacts

SHOWN = 12  # pictures of a sheet
SEED = 0
COMMON_NAMES = 12  # that are told
FOLDERS = ("voc", "yolo")  # written as folders; the others as files, with these ends
ENDS = {"coco": ".json", "jsonl": ".jsonl", "parquet": ".parquet", "prefix_suffix": ".jsonl"}


@dataclass
class Summary:
    """What a dataset holds.

    Attributes:
        parts: how many records each part has; empty if it is not divided.
        pictures: on disk, or in the rows where they are inside of those.
        negatives: pictures that would teach "nothing here".
        names: how often each class occurs.
        told: what was left out or changed, with number and the first reason.
        copies: pictures that are copies of others, or nearly so; None if nobody looked.
    """

    path: str
    format: str
    pictures: int = 0
    records: int = 0
    objects: int = 0
    negatives: int = 0
    ignored: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    tasks: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    told: list[dict[str, Any]] = field(default_factory=list)
    copies: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "tasks": dict(self.tasks), "names": dict(self.names.most_common())}

    def describe(self) -> str:
        tasks = ", ".join(f"{count:,} {name}" for name, count in self.tasks.items())
        common = ", ".join(f"{name} {n:,}" for name, n in self.names.most_common(COMMON_NAMES))
        more = len(self.names) - COMMON_NAMES
        lines = [
            f"format     {self.format}",
            f"pictures   {self.pictures:,}",
            f"records    {self.records:,} ({tasks})",
            f"objects    {self.objects:,}",
            f"negatives  {self.negatives:,} pictures with nothing in them",
        ]
        if self.ignored:
            lines.append(f"ignored    {self.ignored:,} hold crowds or the like: not trained on")
        if self.parts:
            lines.append("parts      " + ", ".join(f"{k} {v:,}" for k, v in self.parts.items()))
        if self.names:
            lines.append(f"classes    {len(self.names):,}: {common}"
                         + (f" and {more:,} more" if more > 0 else ""))  # fmt: skip
        if self.copies is not None:
            lines.append(f"copies     {self.copies:,} pictures are copies of others, or nearly so")
        for each in self.told:
            lines.append(f"{each['kind']:<11}{each['number']:,} {each['what']}")
            lines += [f"           {case}" for case in each["reasons"]]
        return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATA",
                        help="a dataset in any format of docs/data.md")  # fmt: skip
    parser.add_argument("--format", help="how to read it (default: found by looking)")
    parser.add_argument("--split", help="only this part")
    add_flag(parser, "--voc-origin")
    parser.add_argument("--task", help="what is asked, with commas (default: what it is made for)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw labels of some pictures")
    parser.add_argument("--quick", action="store_true", help="decode no picture: find no copies")
    parser.add_argument("--to", nargs=2, metavar=("FORMAT", "OUT"), help="write it as this format")


def main(arguments: argparse.Namespace) -> int:
    check(arguments)
    records, summary = read(arguments)
    if not arguments.quick:
        records = look(records, summary)
    if arguments.to is not None:
        records = placed(records, arguments.to[0], summary)
    if arguments.json:
        print(json_line(summary.to_dict()))
    else:
        print(readable(summary.describe()))
    if not summary.records:
        print("florence2: no record can be made of it; the reasons stand above", file=sys.stderr)
    elif arguments.sheet is not None:
        draw_sheet([record for part in records.values() for record in part], arguments.sheet)
    if arguments.to is not None:
        for written in convert(records, *arguments.to):
            print(f"written    {readable(str(written))}", file=sys.stderr)
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse mistakes before anything is read."""
    if arguments.to is not None and arguments.to[0] not in (*ENDS, *FOLDERS):
        allowed = ", ".join(sorted((*ENDS, *FOLDERS)))
        raise ConfigError(f"format {arguments.to[0]!r} cannot be written; choose one of {allowed}")
    for path in (arguments.sheet, arguments.to and Path(arguments.to[1])):
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"the folder of {str(path)!r} does not exist; make it first")


def read(arguments: argparse.Namespace) -> "tuple[dict[str, list[Record]], Summary]":
    """The records of each part, and what they are."""
    from florence2.data import open_dataset

    asked = [Task.parse(name) for name in (arguments.task or "").split(",") if name]
    dataset = open_dataset(arguments.dataset, arguments.format, tasks=asked)
    parts: list[str | None] = [arguments.split] if arguments.split else [*dataset.parts()]
    parts = parts or [None]
    summary = Summary(str(arguments.dataset), dataset.format)
    records: dict[str, list[Record]] = {}
    reports: list[ReadReport] = []
    seen: set[str] = set()
    masks: set[Path] = set()
    for part in parts:
        each = open_dataset(
            arguments.dataset,
            dataset.format,
            tasks=asked,
            split=part,
            voc_origin=arguments.voc_origin,
        )
        records[part or ""] = list(each)
        reports.append(each.report)
        seen |= {str(path) for path in each.report.pictures}
        masks |= each.report.masks
        if part is not None:
            summary.parts[part] = len(records[part])
    count(summary, [record for part in records.values() for record in part], seen, masks)
    summary.told = told(reports, one_part=len(parts) == 1)
    return records, summary


def count(summary: Summary, records: "Sequence[Record]", seen: set[str], masks: set[Path]) -> None:
    from florence2.data.image_files import pictures_in

    pictures = {str(r.image) if isinstance(r.image, Path) else str(id(r.image)) for r in records}
    path = Path(summary.path)
    on_disk = len({*pictures_in(path, deep=True)} - masks) if path.is_dir() else 0
    summary.pictures = on_disk or len(pictures | seen)
    count_records(summary, records)


def count_records(summary: Summary, records: "Sequence[Record]") -> None:
    from florence2.results import Text

    summary.records = len(records)
    summary.objects = summary.negatives = summary.ignored = 0
    summary.tasks, summary.names = Counter(), Counter()
    for record in records:
        summary.tasks[record.task.name.lower() if record.task else "own prompt"] += 1
        if isinstance(record.result, Text):
            if record.task is Task.REGION_TO_CATEGORY:
                summary.names[record.result.text] += 1
            continue
        labels = _labels(record.result)
        summary.objects += len(labels)
        summary.names.update(label for label in labels if label)
        summary.ignored += record.ignored is not None
        silent = not labels and record.ignored is None and record.federated is None
        summary.negatives += silent and not record.text_input  # else of one phrase alone


def _labels(result: Any) -> tuple[str, ...]:
    from florence2.results import Mixed

    if isinstance(result, Mixed):
        return (*result.boxes.labels, *result.polygons.labels)
    return tuple(result.labels)


def told(reports: "Sequence[ReadReport]", *, one_part: bool) -> list[dict[str, Any]]:
    """What readers met, over all parts."""
    from florence2.data import Problem

    rows = []
    for problem in Problem:
        number = sum(report.counts[problem] for report in reports)
        if problem is Problem.OTHER_PART and not one_part:
            continue  # the others were read too
        if number:
            cases = [case for report in reports for case in report.cases.get(problem, [])]
            rows.append(
                {
                    "kind": problem.severity.value,
                    "what": problem.words,
                    "number": number,
                    "reasons": cases[:3],
                }
            )
    return rows


def look(records: "Mapping[str, list[Record]]", summary: Summary) -> "dict[str, list[Record]]":
    """Decode every picture; leave damaged ones out, and count copies."""
    from tqdm import tqdm

    from florence2.data.survey import copy_groups, survey

    paths = [r.image for part in records.values() for r in part if isinstance(r.image, Path)]
    total = len(dict.fromkeys(paths))

    def bar(found: "Any") -> "Any":
        return tqdm(found, "looking at pictures", total, unit=" pictures", disable=None)

    facts: dict[Path, PictureFacts] = survey(paths, bar)
    damaged = {path: each.error for path, each in facts.items() if each.error}
    if damaged:
        reasons = [str(error) for error in damaged.values()][:3]
        row = {"kind": "lost", "what": "damaged pictures", "number": len(damaged)}
        summary.told.append(row | {"reasons": reasons})
        records = {
            part: [record for record in rows if record.image not in damaged]
            for part, rows in records.items()
        }
        count_records(summary, [record for rows in records.values() for record in rows])
        summary.parts = {part: len(records[part]) for part in summary.parts}
    groups = copy_groups({path: each for path, each in facts.items() if not each.error})
    summary.copies = len(groups) - len(set(groups.values()))
    return dict(records)


def placed(
    records: "Mapping[str, list[Record]]", format: str, summary: Summary
) -> "dict[str, list[Record]]":
    """Leave out the pictures of which a format would tell less than is known, and say so."""
    from florence2.data.objects import unplaced_words, whole_boxes
    from florence2.results import Boxes

    def fault(record: "Record") -> str:
        try:
            if isinstance(record.result, Boxes):
                whole_boxes(record.result, record.source)
        except DataError:
            return "a box without an area"
        if format in ("jsonl", "parquet"):
            return ""
        return unplaced_words(record, crowds=marks[0], difficult=marks[1])

    marks = {"coco": (True, True), "voc": (False, True)}.get(format, (False, False))
    words = {id(record): fault(record) for part in records.values() for record in part}
    bad = [record for part in records.values() for record in part if words[id(record)]]
    if not bad:
        return dict(records)
    # All records of such a picture: the others would say that nothing else is there.
    pictures = {record.image if isinstance(record.image, Path) else id(record) for record in bad}
    summary.told.append(
        {
            "kind": "lost",
            "what": f"pictures not written, as {format} has no place for something in them",
            "number": len(pictures),
            "reasons": [f"{record.source}: {words[id(record)]}" for record in bad][:3],
        }
    )
    return {
        part: [
            record
            for record in rows
            if (record.image if isinstance(record.image, Path) else id(record)) not in pictures
        ]
        for part, rows in records.items()
    }


def draw_sheet(records: "Sequence[Record]", path: Path) -> None:
    """Draw the labels of some pictures, drawn at random but always the same ones."""
    from florence2.drawing import draw
    from florence2.drawing.contact_sheet import contact_sheet, sheet_tile
    from florence2.errors import writing

    chosen = random.Random(SEED).sample(range(len(records)), min(SHOWN, len(records)))
    tiles = []
    for row in sorted(chosen):
        tiles.append(sheet_tile(draw(records[row].image, records[row].result)))
    with writing(path):
        contact_sheet(tiles).save(path)


def convert(records: "Mapping[str, list[Record]]", format: str, out: str) -> list[Path]:
    """Write every part; returns what was written."""
    place = Path(out)
    if format in FOLDERS:
        for part, rows in records.items():
            _write_folder(rows, format, place, part)
        return [place]
    if [*records] == [""]:
        file = place if place.suffix else place.with_suffix(ENDS[format])
        _writers()[format](records[""], file)
        return [file]
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for part, rows in records.items():
        written.append(place / f"{part}{ENDS[format]}")
        _writers()[format](rows, written[-1])
    return written


def _write_folder(rows: "list[Record]", format: str, place: Path, part: str) -> None:
    from florence2.data.formats.voc import write_voc
    from florence2.data.formats.yolo import write_yolo

    if format == "yolo":
        if part not in ("", "train", "val", "test"):
            raise DataError(f"YOLO has the parts train, val and test; got {part!r}; use --split")
        write_yolo(rows, place, split=part or "train")
    else:
        write_voc(rows, place / part if part else place)


def _writers() -> "Mapping[str, Callable[[Sequence[Record], Path], None]]":
    from florence2.data.formats.coco import write_coco
    from florence2.data.formats.jsonl import write_jsonl
    from florence2.data.formats.parquet import write_parquet
    from florence2.data.formats.prefix_suffix import write_prefix_suffix

    return {
        "coco": write_coco,
        "jsonl": write_jsonl,
        "parquet": write_parquet,
        "prefix_suffix": write_prefix_suffix,
    }
