"""What tiles find in large pictures, with a model and with eyes that miss nothing in a tile.

    python benchmarks/tiling.py KIT.zip [--model nano] [--count 40] [--suites objects,pages]

Pictures have four times the side that the model sees, of held-out drawings and unseen fonts:
"small" scenes hold 6 to 16 things of 5 to 13 % of the side, "large" ones 1 to 5 things of 20 to
60 %, "pages" 8 to 16 lines. Each is asked at once, through tiles, and through tiles and the whole;
"twice" looks again for every object (with the whole, that is what `run_tiled` does unless told
otherwise). "Perfect eyes" answer every tile with all that is in it, so what they lose is lost by
cutting and merging alone. What limits the rest is the model on a tile.
Prints a table, and JSON as the last line; --draw writes a sheet of first pictures for each suite,
a column for each way.
"""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from common import kit_parser, told
from PIL import Image, ImageOps

from florence2 import Boxes, Florence2, Quads, Request, Result, Task, Tiles, draw
from florence2.data.records import Record
from florence2.evaluation.intervals import Interval
from florence2.evaluation.predict import GREEDY, MAX_ANSWER_TOKENS
from florence2.evaluation.task_metrics import MEASURES
from florence2.evaluation.words import part_of_line
from florence2.pipelines.tiling.grid import Tile, cut
from florence2.pipelines.tiling.merge import merge
from florence2.pipelines.tiling.run import run_tiled
from florence2_lab.suites.worlds_suites import SEED, words_of_page
from florence2_lab.worlds.describe import scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.pages import Page, PageOptions, page
from florence2_lab.worlds.scenes import Scene, SceneOptions, scene

TIMES = 4  # the side of a picture, in sides that the model sees
MIN_SEEN = 0.15  # share of a thing that perfect eyes must see to tell it
SMALL = SceneOptions(min_objects=6, max_objects=16, min_size=0.05, max_size=0.3)
LARGE = SceneOptions()
LETTERS = 0.14, 0.22  # heights of capitals on pages, in sides that the model sees
NUMBERS = ("recall", "precision", "f1", "box_recall")
PERFECT = "perfect eyes"
SHOWN, CELL = 3, 240  # pictures on a sheet, and their largest side there
WAYS = {
    "at once": None,
    "tiles": Tiles(whole=False, verify=False),
    "tiles, twice": Tiles(whole=False),
    "and whole": Tiles(verify=False),
    "and whole, twice": Tiles(),
}


@dataclass(frozen=True)
class Suite:
    """Pictures with a question each, ways to ask it, and what perfect eyes see of a tile."""

    make: Callable[[int], Scene | Page]
    record: Callable[[Scene | Page], Record]
    see: Callable[[Scene | Page, Tile], Result]
    ways: tuple[str, ...] = tuple(WAYS)


def suites(kit: Kit, native_side: int) -> dict[str, Suite]:
    side = TIMES * native_side
    low, high = (share * native_side for share in LETTERS)
    pages = PageOptions(min_lines=8, max_lines=16, min_letter=low, max_letter=high)

    def scenes(options: SceneOptions) -> Suite:
        make = partial(scene, kit, SEED, side=side, split="val", options=options)
        return Suite(make, lambda made: scene_records(made, (Task.OD,))[0], seen_things)

    made_pages = partial(page, kit, SEED, side=side, split="val", options=pages)
    return {
        "small": scenes(SMALL),
        "large": scenes(LARGE),
        "pages": Suite(made_pages, words_of_page, seen_lines, ("at once", "tiles")),
    }


def seen_things(made: Scene, tile: Tile) -> Boxes:
    """Everything in a tile of which enough is in it, with the box of that part."""
    left, top, right, bottom = tile.box
    inside = made.instance_map[top:bottom, left:right]
    boxes, labels = [], []
    for number, thing in enumerate(made.objects, start=1):
        rows, columns = np.nonzero(inside == number)
        if len(rows) and len(rows) >= MIN_SEEN * np.count_nonzero(made.instance_map == number):
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            labels.append(thing.label)
    return Boxes(np.array(boxes), labels, image_size=(right - left, bottom - top))


def seen_lines(made: Page, tile: Tile) -> Quads:
    """Every letter that is wholly in a tile, as lines; each has the same share of its line."""
    low, high = np.array(tile.box[:2]) - 1, np.array(tile.box[2:]) + 1
    quads, labels = [], []
    for line in made.lines:
        shares = np.linspace(0, 1, len(line.text) + 1)
        letters = [part_of_line(line.quad, *pair) for pair in itertools.pairwise(shares)]
        whole = [
            place
            for place, letter in enumerate(letters)
            if (letter >= low).all() and (letter <= high).all() and line.text[place] != " "
        ]
        if whole:
            part = part_of_line(line.quad, shares[whole[0]], shares[whole[-1] + 1])
            quads.append(part - np.array(tile.box[:2]))
            labels.append(line.text[whole[0] : whole[-1] + 1])
    size = (tile.box[2] - tile.box[0], tile.box[3] - tile.box[1])
    return Quads(np.array(quads), labels, image_size=size)


def perfect(suite: Suite, made: Scene | Page, native_side: int) -> Result:
    """What merging makes of all that tiles show."""
    size = made.image.shape[1::-1]
    tiles = cut(size, native_side, Tiles())
    return merge([suite.see(made, tile) for tile in tiles], tiles, size)


def ask(model: Florence2, record: Record, way: str, batch_size: int) -> Result:
    longest = MAX_ANSWER_TOKENS[record.task.answer_kind]
    options = replace(GREEDY, max_new_tokens=min(GREEDY.max_new_tokens, longest))
    request = Request(Image.fromarray(record.image), record.task, generation=options)
    tiles = WAYS[way]
    if tiles is None:
        return model.engine.submit(request).result().result
    return run_tiled(model.engine, request, tiles, batch_size)


def measured(record_results: Sequence[tuple[Result, Record]]) -> dict[str, Interval]:
    answered = list(record_results)
    numbers = MEASURES[answered[0][1].task](answered).numbers
    if answered[0][1].task is Task.OD:
        numbers["box_recall"] = MEASURES[Task.REGION_PROPOSAL](answered).numbers["recall"]
    return {name: numbers[name] for name in NUMBERS if name in numbers}


def sheet(columns: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Put drawn answers side by side: a column for each way, a row for each picture."""
    shown = [[ImageOps.contain(each, (CELL, CELL)) for each in column] for column in columns]
    page = Image.new("RGB", (CELL * len(shown), CELL * len(shown[0])), "white")
    for column, cells in enumerate(shown):
        for row, cell in enumerate(cells):
            page.paste(cell, (CELL * column, CELL * row))
    return page.quantize(64, dither=Image.Dither.NONE)


def main() -> None:
    parser = kit_parser(__doc__, count=40)
    parser.add_argument("--suites", default="small,large,pages")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--draw", type=Path, help="folder for sheets of first answers")
    arguments = parser.parse_args()
    model = Florence2.load(arguments.model, calibration=None)
    side = model.processor.image_side
    chosen = suites(Kit(arguments.kit), side)
    table: dict[str, dict[str, object]] = {}
    for name in arguments.suites.split(","):
        suite = chosen[name]
        pictures = [suite.make(index) for index in range(arguments.count)]
        records = [suite.record(made) for made in pictures]
        images = [Image.fromarray(record.image) for record in records[:SHOWN]]
        drawn: list[list[Image.Image]] = []
        for way in (*suite.ways, PERFECT):
            started = time.process_time()
            results = [
                perfect(suite, made, side)
                if way == PERFECT
                else ask(model, record, way, arguments.batch_size)
                for made, record in zip(pictures, records, strict=True)
            ]
            seconds = (time.process_time() - started) / len(records)
            numbers = measured(list(zip(results, records, strict=True)))
            print(f"{name:6} {way:16} {told(numbers)}  {seconds:.2f} CPU s a picture", flush=True)
            table[f"{name}, {way}"] = {key: each.to_dict() for key, each in numbers.items()}
            drawn += [[draw(*pair) for pair in zip(images, results, strict=False)]]
        if arguments.draw:
            arguments.draw.mkdir(parents=True, exist_ok=True)
            sheet(drawn).save(arguments.draw / f"{name}.png")
    print(json.dumps({"model": model.name, "count": arguments.count, **table}))


if __name__ == "__main__":
    main()
