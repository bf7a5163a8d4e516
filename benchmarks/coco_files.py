"""How long a COCO file takes to read, and how much memory, beside pycocotools on the same file.

    pip install pycocotools
    python benchmarks/coco_files.py
    python benchmarks/coco_files.py --pictures 20000 --objects 1000000 --rounds 1

makes a file of polygons with its pictures in a temporary folder: hard links of a small JPEG. It
is read by `pycocotools.coco.COCO(file)`, which looks at no picture, and by a pass over
`open_dataset(file, tasks=["od"])`, which finds and opens every picture, cuts objects to it and
makes records. Both alternate, each time in a process of its own, in seconds of processor time and
peak memory. The pass may take at most 1.5 times as much of either.
"""

import argparse
import contextlib
import io
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

SIZE = (640, 480)
CLASSES = 80
POINTS = (8, 40)  # of a polygon
MOST = 1.5


def make(folder: Path, num_pictures: int, num_objects: int, seed: int = 0) -> Path:
    """Write pictures and a COCO file of polygons, as many rows as objects."""
    rng = random.Random(seed)
    first = folder / "images" / "000000.jpg"
    first.parent.mkdir()
    Image.new("RGB", SIZE, "navy").save(first)
    names = [f"{number:06d}.jpg" for number in range(num_pictures)]
    for name in names[1:]:
        os.link(first, first.with_name(name))
    width, height = SIZE
    images = [
        {"id": number, "file_name": name, "width": width, "height": height}
        for number, name in enumerate(names, start=1)
    ]
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    file = folder / "instances.json"
    with file.open("w") as written:
        start = {"images": images, "categories": categories}
        written.write(json.dumps(start)[:-1] + ', "annotations": [')
        for number in range(1, num_objects + 1):
            row = {"id": number, "image_id": rng.randint(1, num_pictures), **polygon(rng)}
            written.write((", " if number > 1 else "") + json.dumps(row))
        written.write("]}")
    return file


def polygon(rng: random.Random) -> dict[str, object]:
    """A blob inside of a picture."""
    width, height = SIZE
    x, y, radius = rng.uniform(100, width - 100), rng.uniform(100, height - 100), rng.uniform(9, 90)
    count = rng.randint(*POINTS)
    points: list[float] = []
    for step in range(count):
        angle, reach = 2 * math.pi * step / count, radius * rng.uniform(0.7, 1)
        points += [round(x + reach * math.cos(angle), 2), round(y + reach * math.sin(angle), 2)]
    left, top = min(points[::2]), min(points[1::2])
    sides = [round(max(points[::2]) - left, 2), round(max(points[1::2]) - top, 2)]
    box = {"bbox": [left, top, *sides], "area": round(0.7 * sides[0] * sides[1], 2), "iscrowd": 0}
    return {"category_id": rng.randint(1, CLASSES), "segmentation": [points], **box}


def read_with(tool: str, file: Path) -> None:
    """Read a file once and print seconds of processor time and mebibytes at the peak."""
    if tool == "pycocotools":
        from pycocotools.coco import COCO

        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            kept = COCO(str(file))
        num_read = len(kept.anns)
    else:
        from florence2.data import open_dataset

        start = time.process_time()
        num_read = sum(len(record.result.labels) for record in open_dataset(file, tasks=["od"]))
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "objects": num_read}))
    sys.stdout.flush()
    os._exit(0)  # leave without freeing, which is no part of reading


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--read", nargs=2, metavar=("TOOL", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_with(options.read[0], Path(options.read[1]))
    if find_spec("pycocotools") is None:
        raise SystemExit("pycocotools is not installed: pip install pycocotools")
    found: dict[str, list[dict[str, float]]] = {"pycocotools": [], "florence2": []}
    with TemporaryDirectory() as folder:
        file = make(Path(folder), options.pictures, options.objects)
        print(f"{file.stat().st_size / 2**20:,.0f} MiB, {options.objects:,} polygons")
        for _ in range(options.rounds):
            for tool, runs in found.items():
                command = [sys.executable, __file__, "--read", tool, str(file)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                runs.append(json.loads(run.stdout))
    assert len({run["objects"] for runs in found.values() for run in runs}) == 1
    medians = {}
    for tool, runs in found.items():
        medians[tool] = [statistics.median(run[key] for run in runs) for key in ("seconds", "peak")]
        print(f"{tool:12} {medians[tool][0]:6.2f} s  {medians[tool][1]:8,.0f} MiB")
    pairs = zip(medians["florence2"], medians["pycocotools"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"ratio        {ratios[0]:6.2f}    {ratios[1]:8.2f}      (at most {MOST})")


if __name__ == "__main__":
    main()
