"""Write what the package answers, learns and draws as hashes; or check that it still does.

    python scripts/goldens.py check                         # answers and fine_tuning
    python scripts/goldens.py check makers --kit kit.zip --pages pages.zip
    python scripts/goldens.py write answers

Only commands and their JSON are used, so that the hashes outlive what stands behind them. Answers
are hashed without scores, whose last bits differ with the number of threads; a mean of the scores
stands beside. Hashes of int8 answers hold for processors with the same instructions: the table has
rows for each kind of machine that wrote some. All others hold for the torch of the first line.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from itertools import groupby, product, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from florence2.cli.main import main as florence2
from florence2.tasks import Task

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
EXAMPLES = ROOT / "examples"
PICTURES = sorted(EXAMPLES.glob("*.png"))
BEAMS, PRECISIONS = (1, 3), ("float32", "int8")
TEXTS = {
    Task.CAPTION_TO_PHRASE_GROUNDING: "a red balloon and a fish",
    Task.OPEN_VOCABULARY_DETECTION: "balloon<and>fish<and>tree",
    Task.REFERRING_EXPRESSION_SEGMENTATION: "the balloon",
}
REGIONS = {"line": "2,2,19,16", "scene": "40,50,150,170"}  # lines are small pictures
KINDS, SPLITS = ("scenes", "lines", "pages", "screens", "web"), ("train", "val")
NUM_PICTURES = 200  # of each kind and split
SCORE_TOLERANCE = 2e-4
TOLD_SINCE = ("repaired", "first_answer", "pieces", "text_input")
FINE_TUNING = {"steps": 300, "batch-size": 2, "held-out": 0.34, "workers": 0, "device": "cpu"}
ANY = "any"  # float32 answers have equal ids with AVX2, AVX-512 and AMX
Row = dict[str, str]


def sha(data: Any) -> str:
    """The first 16 hex digits of the hash of bytes, or of a value as JSON."""
    if not isinstance(data, bytes):
        data = json.dumps(data, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def machine() -> str:
    """What decides the last bits of sums: instruction sets and torch's version."""
    vnni = "+VNNI" if torch.cpu._is_vnni_supported() else ""
    amx = "+AMX" if torch.cpu._is_amx_tile_supported() else ""
    return f"{torch.backends.cpu.get_cpu_capability()}{vnni}{amx} torch {torch.__version__}"


def answer_rows(
    tasks: Sequence[Task] = tuple(Task),
    pictures: Sequence[Path] = PICTURES,
    beams: Sequence[int] = BEAMS,
    precisions: Sequence[str] = PRECISIONS,
) -> Iterator[Row]:
    for task, num_beams, precision in product(tasks, beams, precisions):
        for kind, group in groupby(pictures, lambda picture: picture.name.split("-")[0]):
            for line in ask(task, kind, group, num_beams, precision):
                row = {"picture": line["image"], "task": task.name.lower()}
                row |= {"beams": str(num_beams), "precision": precision}
                row["machine"] = machine() if precision == "int8" else ANY
                row["ids"] = sha(line["result"]["token_ids"])
                row["scores"] = f"{take_scores(line['result']):.5f}"
                yield row | {"json": sha(line)}


def ask(
    task: Task, kind: str, pictures: Iterable[Path], beams: int, precision: str
) -> Iterator[dict[str, Any]]:
    """The JSON lines of `florence2 run`, without what is another thing each time."""
    asked = ["--region", REGIONS[kind]] if task.needs_region else []
    asked += ["--text", TEXTS[task]] if task in TEXTS else []
    how = ["--task", task.name.lower(), "--beams", str(beams), "--precision", precision]
    how += ["--min-score", "0", "--quiet"]  # all objects, whatever the checkpoint leaves out
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert florence2(["run", *map(str, pictures), *how, *asked]) == 0
    for text in printed.getvalue().splitlines():
        line = json.loads(text)
        del line["timings_ms"], line["model"]
        for name in TOLD_SINCE:  # the hashes are older
            line.pop(name, None)
            line["result"].pop(name, None)
        yield line | {"image": Path(line["image"]).name}


def take_scores(result: dict[str, Any]) -> float:
    """Take the scores out of a result; their mean, later ones weighing more."""
    scores: list[float] = []
    for name in sorted(result):
        if isinstance(result[name], dict):  # the boxes and polygons of a mixed result
            scores.append(take_scores(result[name]))
        elif "scores" in name:
            scores += (each or 0.0 for each in result.pop(name) or ())
        elif name == "score":
            scores.append(result.pop(name) or 0.0)
    return float(np.average(scores, weights=range(1, len(scores) + 1))) if scores else 0.0


def fine_tuning_rows() -> Iterator[Row]:
    """Numbers and weights of 300 steps on the scenes of `examples/`."""
    truth = json.loads((EXAMPLES / "truth.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        data, run = Path(name) / "scenes.jsonl", Path(name) / "run"
        with data.open("w") as file:
            for picture, result in truth.items():
                if picture.startswith("scene"):
                    row = {"image": str(EXAMPLES / picture), "task": "<OD>", "result": result}
                    file.write(json.dumps(row) + "\n")
        run_command("florence2", "train", data, output=run, **FINE_TUNING)
        for name, value in numbers(json.loads((run / "results.json").read_text())):
            yield {"name": name, "value": f"{value:.4f}"}
        weights = (run / "model" / "model.safetensors").read_bytes()
        yield {"name": "weights", "value": sha(weights)}


def numbers(content: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in JSON, each with the way to it as its name."""
    if isinstance(content, dict):
        for key in sorted(content):
            yield from numbers(content[key], f"{name}.{key}".strip("."))
    elif isinstance(content, int | float):
        yield name, content


def maker_rows(kit: Path, pages: Path) -> Iterator[Row]:
    """A row for each kind, split and task; the records are of the same pictures."""
    for kind, split in product(KINDS, SPLITS):
        source = pages if kind == "web" else kit
        for task, hashes in sorted(record_hashes(source, kind, split).items()):
            made = {"kind": kind, "split": split, "task": task, "records": str(len(hashes))}
            yield made | {"hash": sha(hashes)}


def record_hashes(source: Path, kind: str, split: str) -> dict[str, list[str]]:
    """Hashes of records with their pixels, by the token of the task."""
    hashes: dict[str, list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        export = ("worlds", "export", source, folder)
        run_command("florence2_lab", *export, kind=kind, split=split, count=NUM_PICTURES)
        for line in (Path(folder) / "records.jsonl").read_text().splitlines():
            record = json.loads(line)
            record["image"] = pixel_hash(Path(folder) / record["image"])
            hashes[record["task"]].append(sha(record))
    return hashes


@cache
def pixel_hash(path: Path) -> str:
    image = np.asarray(Image.open(path))
    return sha(repr(image.shape).encode() + image.tobytes())


def run_command(program: str, *argv: object, **flags: object) -> None:
    """Run a command of ours in a process of its own, on one thread."""
    given = [f"--{name}={value}" for name, value in flags.items()]
    command = [sys.executable, "-m", program, *map(str, argv), *given]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=one_thread, stdout=subprocess.DEVNULL)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows; those of other machines stay."""
    others = [row for row in read_table(path) if row.get("machine", ANY) not in (ANY, machine())]
    every = [*rows, *others]
    cells = [[f"# torch {torch.__version__}"], every[0].keys(), *(row.values() for row in every)]
    path.write_text("".join("\t".join(line) + "\n" for line in cells))


def read_table(path: Path) -> list[Row]:
    with path.open() as file:
        next(file)
        return list(csv.DictReader(file, delimiter="\t"))


def same(golden: Row, row: Row) -> bool:
    """Whether rows are equal, but for the last digits of scores."""
    apart = abs(float(golden.get("scores", 0)) - float(row.get("scores", 0)))
    return apart <= SCORE_TOLERANCE and golden | {"scores": ""} == row | {"scores": ""}


def count_different(what: str, rows: Sequence[Row]) -> int:
    """Print the rows that differ from the table, and return how many they are."""
    table = read_table(GOLDEN / f"{what}.tsv")
    golden = [row for row in table if row.get("machine", ANY) in (ANY, machine())]
    pairs = zip_longest(golden, rows, fillvalue=Row())
    different = [(old, new) for old, new in pairs if not (old and new and same(old, new))]
    for old, new in different:
        print(f"{what}: golden {old}\n{' ' * len(what)}     now {new}")
    return len(different)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("write", "check"))
    parser.add_argument("what", nargs="*", default=["answers", "fine_tuning"], help="or makers")
    parser.add_argument("--kit", type=Path, help="of florence2-lab worlds build")
    parser.add_argument("--pages", type=Path, help="of florence2-lab worlds bake")
    given = parser.parse_args()
    rows = {"answers": answer_rows, "fine_tuning": fine_tuning_rows}
    rows["makers"] = lambda: maker_rows(given.kit, given.pages)
    if given.action == "write":
        for what in given.what:
            write_table(GOLDEN / f"{what}.tsv", list(rows[what]()))
        return 0
    different = sum(count_different(what, list(rows[what]())) for what in given.what)
    print(f"{different} rows differ", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
