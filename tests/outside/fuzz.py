"""Damage pictures, checkpoints, data sets and answers at random: never a traceback, a hang, or
memory beyond a bound.

    python tests/outside/fuzz.py 10000 [SEED]

Every input is either taken or refused by a `Florence2Error`; anything else is printed with the seed
that makes it again, and ends with status 1. On Linux, memory is bounded by the system.
"""

import json
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from florence2.answers import parse_answer
from florence2.checkpoints import save_checkpoint
from florence2.checkpoints.loading import load_checkpoint
from florence2.data import open_dataset
from florence2.errors import Florence2Error
from florence2.processing.images import open_image, preprocess
from florence2.tasks import Task

MEMORY = 6 * 1024**3  # bytes of address space
PATIENCE_S = 20.0  # for one input
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, "", "x", " ", "\x00", "é" * 50, "../..", "NaN", -1, 0, 1, 2**31, 2**63, 2**70),
    *(1e308, -1e308, 1e-320, float("nan"), float("inf"), [], {}, [[]], [None], {"": None}, "1e999"),
)
ODD_BYTES = (
    b"",
    b"\x00",
    b"\xff" * 8,
    b"\xef\xbb\xbf",
    b"\r\n",
    b"NaN",
    b"-1",
    b"1e999",
    b'"',
    b"<",
    b"{",
)
CRUMBS = (
    *("<loc_0>", "<loc_999>", "<loc_1000>", "<loc_-1>", "<loc_>", "<poly>", "</poly>", "<sep>"),
    *("<and>", "<s>", "</s>", "<pad>", "a cat", "<", ">", "\n", "é", "\x00", "<OD>", " "),
)
Case = Callable[[random.Random, Path], object]


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes with a few bits, pieces or numbers changed, cut, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 64, 1000))
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = data[at : at + size]
        elif kind == 3:
            data[at:at] = rng.choice(ODD_BYTES)
        elif kind == 4:
            data[at : at + size] = rng.randbytes(size)
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def damaged_json(rng: random.Random, content: Any) -> Any:
    """A value whose parts are replaced, dropped or doubled here and there."""
    if rng.random() < 0.06:
        return rng.choice(ODD_VALUES)
    if isinstance(content, dict):
        changed = {k: damaged_json(rng, v) for k, v in content.items() if rng.random() > 0.02}
        return changed
    if isinstance(content, list) and len(content) < 1000:
        return [
            damaged_json(rng, each)
            for each in content
            for _ in range(rng.choice((1,) * 30 + (0, 2)))
        ]
    return content


def damaged_file(rng: random.Random, path: Path, out: Path) -> None:
    """A damaged copy; JSON is damaged as JSON half of the time."""
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and rng.random() < 0.5:
        lines = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
        content = "\n".join(
            json.dumps(damaged_json(rng, json.loads(line))) for line in lines
        ).encode()
    else:
        content = damaged(rng, content)
    out.write_bytes(content)


# -- what is damaged ---------------------------------------------------------------------------


def make_pictures(folder: Path) -> list[Path]:
    noise = np.random.default_rng(0).integers(0, 256, (24, 36, 4), np.uint8)
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        *(("png", "RGB", {}), ("png", "RGBA", {}), ("png", "P", {}), ("png", "I;16", {})),
        *(("jpg", "RGB", {}), ("jpg", "CMYK", {}), ("jpg", "L", {"progressive": True})),
        *(("gif", "P", {}), ("bmp", "RGB", {}), ("webp", "RGB", {}), ("tiff", "RGB", {})),
        *(("tiff", "RGB", {"compression": "tiff_lzw"}), ("tiff", "F", {}), ("ppm", "RGB", {})),
    ]
    paths = []
    for number, (suffix, mode, options) in enumerate(kinds):
        path = folder / f"{number}.{suffix}"
        picture = Image.fromarray(noise[..., :3])
        if mode == "RGBA":
            picture = Image.fromarray(noise)
        elif mode == "I;16":
            picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
        picture = picture if picture.mode == mode else picture.convert(mode)
        picture.save(path, **options)
        paths.append(path)
    return paths


def picture_case(paths: list[Path]) -> Case:
    def case(rng: random.Random, folder: Path) -> object:
        path = rng.choice(paths)
        out = folder / f"damaged{path.suffix}"
        damaged_file(rng, path, out)
        source = out.read_bytes() if rng.random() < 0.5 else out
        return preprocess(open_image(source), 64)

    return case


def make_checkpoint(folder: Path) -> Path:
    from florence2.model.config import with_vocab_size
    from florence2.model.florence2 import Florence2Model
    from tiny_checkpoints import tiny_tokenizer
    from tiny_models import CONFIG

    tokenizer = tiny_tokenizer()
    model = Florence2Model(with_vocab_size(CONFIG, tokenizer.vocab_size)).eval()
    save_checkpoint(model, folder / "checkpoint", tokenizer=tokenizer)
    return folder / "checkpoint"


def checkpoint_case(whole: Path) -> Case:
    names = [path.name for path in sorted(whole.iterdir()) if path.is_file()]
    header = int.from_bytes((whole / "model.safetensors").read_bytes()[:8], "little") + 8

    def case(rng: random.Random, folder: Path) -> object:
        out = folder / "checkpoint"
        out.mkdir(exist_ok=True)
        victim = rng.choice(names)
        for name in names:
            if name != victim:
                (out / name).write_bytes((whole / name).read_bytes())
            elif name.endswith(".safetensors"):
                content = (whole / name).read_bytes()
                (out / name).write_bytes(damaged(rng, content[:header]) + content[header:])
            else:
                damaged_file(rng, whole / name, out / name)
        return load_checkpoint(out)

    return case


def make_datasets(folder: Path) -> list[Path]:
    """One file or folder for each way of writing the same two pictures."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "gray").save(folder / name)
    coco = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "area": 120,
             "segmentation": [[1, 2, 11, 2, 11, 14]], "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [3, 3, 9, 9], "iscrowd": 1,
             "segmentation": {"size": [30, 40], "counts": [100, 20, 1080]}},
        ],
    }  # fmt: skip
    rows = [
        {"image": "a.png", "prefix": "<OD>", "suffix": "cat<loc_1><loc_2><loc_300><loc_400>"},
        {"image": "b.png", "prefix": "<CAPTION>", "suffix": "a dog"},
    ]
    records = [
        {"image": "a.png", "task": "<OD>", "result": {
            "kind": "boxes", "xyxy": [[1, 2, 11, 14]], "labels": ["cat"], "image_size": [40, 30]}},
    ]  # fmt: skip
    (folder / "coco.json").write_text(json.dumps(coco))
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, records)))
    yolo = folder / "yolo"
    for part in ("images", "labels"):
        (yolo / part).mkdir(parents=True)
    (yolo / "data.yaml").write_text("path: .\ntrain: images\nnames:\n  0: cat\n  1: dog\n")
    (yolo / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.4\n1 0.1 0.1 0.2 0.1 0.2 0.3\n")
    voc = folder / "voc"
    voc.mkdir()
    (voc / "a.xml").write_text(
        "<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>"
        "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11</xmax><ymax>14</ymax>"
        "</bndbox></object></annotation>"
    )
    for place in (yolo / "images", voc):
        (place / "a.png").write_bytes((folder / "a.png").read_bytes())
    return [folder / "coco.json", folder / "rows.jsonl", folder / "records.jsonl", yolo, voc]


def dataset_case(paths: list[Path]) -> Case:
    def case(rng: random.Random, folder: Path) -> object:
        whole = rng.choice(paths)
        root = folder / "data"
        root.mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            (root / name).write_bytes((whole.parent / name).read_bytes())
        files = (
            [whole]
            if whole.is_file()
            else [each for each in sorted(whole.rglob("*")) if each.is_file()]
        )
        victim = rng.choice([each for each in files if each.suffix != ".png"])
        for file in files:
            out = root / file.relative_to(whole.parent)
            out.parent.mkdir(parents=True, exist_ok=True)
            if file == victim:
                damaged_file(rng, file, out)
            else:
                out.write_bytes(file.read_bytes())
        task = rng.choice(("od", "caption", "ocr", "referring_expression_segmentation", ""))
        dataset = open_dataset(root / whole.name, tasks=[task] if task else ())
        return sum(1 for _ in dataset)

    return case


def answer_case() -> Case:
    def case(rng: random.Random, folder: Path) -> object:
        del folder
        text = "".join(rng.choice(CRUMBS) for _ in range(rng.randint(0, 40)))
        size = rng.choice(((1, 1), (640, 480), (1, 20000)))
        result = parse_answer(text, rng.choice(list(Task)), size)
        return json.dumps(result.to_dict())

    return case


# -- the run -----------------------------------------------------------------------------------


def cases(folder: Path) -> dict[str, Case]:
    for name in ("pictures", "weights", "data"):
        (folder / name).mkdir()
    return {
        "pictures": picture_case(make_pictures(folder / "pictures")),
        "checkpoints": checkpoint_case(make_checkpoint(folder / "weights")),
        "data sets": dataset_case(make_datasets(folder / "data")),
        "answers": answer_case(),
    }


def run(count: int, seed: int = 0) -> Iterator[tuple[str, int, str]]:
    """Yields the kind, the number and the outcome of each case: "taken", "refused" or a fault."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        made = cases(Path(name))
        for number in range(count):
            kind = list(made)[number % len(made)]
            with tempfile.TemporaryDirectory(dir=name) as scratch:
                started = time.monotonic()
                try:
                    made[kind](random.Random(f"{seed} {number}"), Path(scratch))
                    outcome = "taken"
                except Florence2Error as error:
                    outcome = "refused" if str(error).strip() else "refused without a word"
                except Exception as error:
                    outcome = f"{type(error).__name__}: {error}"
                if time.monotonic() - started > PATIENCE_S:
                    outcome = f"took {time.monotonic() - started:.0f} s"
            yield kind, number, outcome


def main() -> int:
    count, seed = int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])
    if sys.platform.startswith("linux"):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    outcomes: Counter[str] = Counter()
    faults = 0
    for kind, number, outcome in run(count, seed):
        outcomes[f"{kind}: {outcome if outcome in ('taken', 'refused') else 'fault'}"] += 1
        if outcome not in ("taken", "refused"):
            faults += 1
            print(f"{kind} {number} (seed {seed}): {outcome}"[:300])
    for line, times in sorted(outcomes.items()):
        print(f"{times:>7} {line}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
