"""Examples made on the fly from the worlds: scenes of sprites, printed lines and pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from florence2.data.records import Record
from florence2.geometry import rasterize
from florence2.pipelines.reading.stacks import stacked
from florence2.processing.processor import Processor
from florence2.results import Boxes, Mixed, Polygons, Text
from florence2.tasks import Task
from florence2.training.batches import Example
from florence2.training.mixtures import ExampleMaker
from florence2.training.targets import TargetEncoder
from florence2_lab.pretraining.dense_heads import CELLS, COLUMNS, GLYPHS, dense_targets
from florence2_lab.worlds.colours import recoloured
from florence2_lab.worlds.describe import line_records, page_records, scene_records
from florence2_lab.worlds.icon_crops import icon_crop
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.lines import LineOptions, TextLine, line
from florence2_lab.worlds.outlines import evenly
from florence2_lab.worlds.pages import CUTTINGS, Page, PageOptions, page
from florence2_lab.worlds.pixels import as_pixels
from florence2_lab.worlds.scan_lines import scan_line
from florence2_lab.worlds.scenes import Scene, SceneOptions, scene
from florence2_lab.worlds.screen_records import SCREEN_TASKS
from florence2_lab.worlds.screens import MIN_SIDE, screen
from florence2_lab.worlds.webpages import BakedPages, web_cutting

STREAM = 11  # keeps the draws of this module apart from those of the makers
LETTERS = "".join(map(chr, range(33, 127)))  # what the letter head tells apart; others are "other"
NUM_LETTERS = len(LETTERS) + 1
# Questions about names and places alone: colours may be turned without making the answer wrong.
COLOURLESS = frozenset(
    {
        Task.OD,
        Task.OPEN_VOCABULARY_DETECTION,
        Task.REGION_PROPOSAL,
        Task.REGION_TO_CATEGORY,
        Task.REGION_TO_SEGMENTATION,
    }
)
# Questions about a place that the picture and the words tell together.
PLACED = frozenset(
    {
        Task.CAPTION_TO_PHRASE_GROUNDING,
        Task.OPEN_VOCABULARY_DETECTION,
        Task.REFERRING_EXPRESSION_SEGMENTATION,
        Task.REGION_TO_SEGMENTATION,
    }
)
PAGE_SIDE = 256  # pixels; cuttings are printed larger than they are seen, as scans are
SCAN_ROWS = (0.35, 0.5, 0.15)  # shares of pictures with one, two, three pieces of lines
WEB_SHARE = 0.5  # of the pages, where there are web pages


@dataclass(frozen=True)
class WorldMixture:
    """What a run trains on.

    Attributes:
        line_share, scan_share, page_share, screen_share, icon_share: shares of examples that are
            printed lines, pieces of lines as scans show them, cuttings of pages, screens and
            single icons; the rest are scenes.
        scene_tasks, page_tasks, screen_tasks: how often each task is asked.
        scenes, lines, pages: options of the makers; letters of pages are measured in pictures of
            128 pixels.
        recolour: share of the scenes whose colours are turned or bleached, so that things are
            known by their form.
        outline_points: an outline's largest part alone, written as so many points equally far
            apart, from the topmost; None for all parts, each with the points that it needs. Of
            16 points, the mean IoU with the mask is 0.85; they are 2 times fewer than needed for
            0.96, and the model learns where the next one comes.
        max_answer: tokens of the longest answer about a scene; the question is replaced by
            detection where it would be longer.
    """

    line_share: float
    scene_tasks: Mapping[Task, float]
    scenes: SceneOptions
    lines: LineOptions
    page_share: float = 0.0
    scan_share: float = 0.0
    screen_share: float = 0.0
    icon_share: float = 0.0
    page_tasks: Mapping[Task, float] = field(default_factory=lambda: {Task.OCR_WITH_REGION: 1.0})
    screen_tasks: Mapping[Task, float] = field(default_factory=lambda: {Task.OD: 1.0})
    pages: PageOptions = CUTTINGS
    recolour: float = 0.0
    outline_points: int | None = None
    max_answer: int = 140


class WorldExamples(Dataset[Example]):
    """Example `i` is a function of the kit, the mixture, the seed and `i` alone."""

    def __init__(
        self,
        kit: Kit,
        processor: Processor,
        mixture: WorldMixture,
        *,
        map_side: int,
        seed: int,
        split: Split = "train",
        web: BakedPages | None = None,
    ):
        self.web = web
        self.kit, self.mixture = kit, mixture
        self.maker = ExampleMaker(processor, TargetEncoder(processor.tokenizer))
        self.image_side, self.map_side = processor.image_side, map_side
        self.seed, self.split = seed, split
        grown = PAGE_SIDE / 128
        self.page_options = replace(
            mixture.pages,
            min_letter=mixture.pages.min_letter * grown,
            max_letter=mixture.pages.max_letter * grown,
        )

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index, STREAM])
        mixture = self.mixture
        makers = (
            (mixture.line_share, self._line),
            (mixture.scan_share, self._scan),
            (mixture.page_share, self._page),
            (mixture.screen_share, self._screen),
            (mixture.icon_share, self._icon),
        )
        draw = rng.random()
        for share, make in makers:
            if draw < share:
                return make(index, rng)
            draw -= share
        return self._scene(index, rng, drawn(rng, mixture.scene_tasks))

    def _scene(self, index: int, rng: np.random.Generator, task: Task) -> Example:
        made = scene(
            self.kit,
            self.seed,
            index,
            side=self.image_side,
            split=self.split,
            options=self.mixture.scenes,
        )
        # A scene without objects has no region to ask about; detection then answers nothing.
        asked = scene_records(made, (task,), vocabulary=self.kit.categories)
        short = (each for each in asked if self._length(each) <= self.mixture.max_answer)
        record = (*short, *scene_records(made, (Task.OD,)))[0]
        if record.task in COLOURLESS and rng.random() < self.mixture.recolour:
            record = replace(record, image=recoloured(rng, made.image))
        if self.mixture.outline_points and isinstance(record.result, Polygons):
            record = replace(record, result=_even(record.result, self.mixture.outline_points))
        cells = center_samples(made.class_map, (CELLS * self.map_side,) * 2).astype(np.int64)
        referents = answer_map(record, CELLS * self.map_side)
        return self._example(record, cells=cells, boxes=self._edges(made), referents=referents)

    def _page(self, index: int, rng: np.random.Generator) -> Example:
        task = drawn(rng, self.mixture.page_tasks)
        make = partial(page, self.kit)
        if self.web is not None and rng.random() < WEB_SHARE:
            make = partial(web_cutting, self.web)
        options = self.page_options
        made = make(self.seed, index, side=PAGE_SIDE, split=self.split, options=options)
        (record,) = page_records(made, (task,))
        return self._example(record, glyphs=self._glyphs(made))

    def _screen(self, index: int, rng: np.random.Generator) -> Example:
        """A part of a screen, larger than it is seen, and a question about its elements."""
        side = int(rng.integers(MIN_SIDE, 2 * MIN_SIDE))
        made = screen(self.kit, self.seed, index, side=side, split=self.split)
        task = drawn(rng, self.mixture.screen_tasks)
        asked = (SCREEN_TASKS[each](made, each) for each in (task, Task.OD))  # some lack the part
        return self._example(next(record for record in asked if record))

    def _icon(self, index: int, rng: np.random.Generator) -> Example:
        """What an icon shows."""
        made = icon_crop(self.kit, self.seed, index, split=self.split)
        size = made.image.shape[1], made.image.shape[0]
        name = Text(f"{made.shows} icon", image_size=size)
        task = Task.REGION_TO_CATEGORY
        return self._example(Record(made.image, task, "", made.box_xyxy, name, made.source))

    def _line(self, index: int, rng: np.random.Generator) -> Example:
        made = line(self.kit, self.seed, index, split=self.split, options=self.mixture.lines)
        (record,) = line_records(made, (Task.OCR,))
        return self._example(record, columns=self._letters(made))

    def _scan(self, index: int, rng: np.random.Generator) -> Example:
        """One or more pieces in a picture, a row each, as a reader of pages shows them."""
        rows = 1 + int(np.searchsorted(np.cumsum(SCAN_ROWS), rng.random(), side="right"))
        made = [
            scan_line(self.kit, self.seed, 4 * index + row, split=self.split) for row in range(rows)
        ]
        image = made[0].image
        if rows > 1:
            greys = [np.asarray(Image.fromarray(each.image).convert("L")) for each in made]
            image = as_pixels(np.asarray(stacked(greys, self.image_side)))
        size = image.shape[1], image.shape[0]
        text = Text("\n".join(each.text for each in made), image_size=size)
        return self._example(Record(image, Task.OCR, "", None, text, made[0].source))

    def _example(self, record: Record, **known: NDArray[Any] | None) -> Example:
        example = self.maker.example(record, record.picture())
        return replace(example, extras=dense_targets(self.map_side, **known))

    def _length(self, record: Record) -> int:
        return len(self.maker.targets.label_ids(record.task, record.result))

    def _edges(self, made: Scene) -> NDArray[np.float32]:
        """Distances to the edges of the object under each position, as shares of the side."""
        numbers = center_samples(made.instance_map, (self.map_side,) * 2)
        centres = (np.arange(self.map_side) + 0.5) / self.map_side
        y, x = np.meshgrid(centres, centres, indexing="ij")
        edges = np.full((4, self.map_side, self.map_side), np.nan, np.float32)
        for number, each in enumerate(made.objects, start=1):
            inside = numbers == number
            x_min, y_min, x_max, y_max = np.array(each.box_xyxy) / self.image_side
            distances = np.stack((x - x_min, y - y_min, x_max - x, y_max - y))
            edges[:, inside] = distances[:, inside]
        return edges

    def _letters(self, made: TextLine) -> NDArray[np.int64]:
        """Letter over the centre of each column, 0 between letters."""
        count = COLUMNS * self.map_side
        columns = np.zeros(count, np.int64)
        width = made.image.shape[1]
        centres = (np.arange(count) + 0.5) * width / count
        for letter, (left, right) in zip(made.text, made.char_extents, strict=True):
            if letter != " ":
                columns[(centres >= left) & (centres < right)] = LETTERS.find(letter) + 1 or (
                    NUM_LETTERS
                )
        return columns

    def _glyphs(self, made: Page) -> NDArray[np.int64]:
        """Letter at the centre of each cell of a page, 0 between letters."""
        codes = center_samples(
            made.letter_map, (GLYPHS[0] * self.map_side, GLYPHS[1] * self.map_side)
        )
        return np.asarray(LETTER_OF_CODE[codes])


# Code point to its number among the letters; 0 stays 0.
LETTER_OF_CODE = np.array(
    [0, *(LETTERS.find(chr(code)) + 1 or NUM_LETTERS for code in range(1, 256))]
)


def drawn(rng: np.random.Generator, shares: Mapping[Task, float]) -> Task:
    """Draw a task by its share."""
    bounds = np.cumsum(list(shares.values()))
    return list(shares)[int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))]


def _even(outlines: Polygons, count: int) -> Polygons:
    return replace(
        outlines, polygons=tuple((evenly(parts[0], count),) for parts in outlines.polygons)
    )


def answer_map(record: Record, count: int) -> NDArray[np.float32] | None:
    """Where the answer to a question lies: 1.0 at the centres of so many cells a side that are in
    one of its boxes or polygons, 0.0 elsewhere; None for a question about the whole picture.
    """
    if record.task not in PLACED:
        return None
    result = record.result
    boxes = result.boxes.xyxy if isinstance(result, Mixed) else np.zeros((0, 4))
    boxes = result.xyxy if isinstance(result, Boxes) else boxes
    width, height = record.picture().size
    y, x = (np.arange(count) + 0.5)[:, None] / count, (np.arange(count) + 0.5) / count
    inside = np.zeros((count, count), bool)
    for x_min, y_min, x_max, y_max in boxes / (width, height, width, height):
        inside |= (x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max)
    if isinstance(result, Polygons):
        scale = (count / width, count / height)
        for parts in result.polygons:
            inside |= rasterize([part * scale for part in parts], (count, count))
    return inside.astype(np.float32)


def center_samples(values: NDArray[np.generic], counts: tuple[int, int]) -> NDArray[np.generic]:
    """Sample a map at the centres of so many rows and columns of equal cells."""
    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(int)
        for count, side in zip(counts, values.shape, strict=True)
    )
    return values[np.ix_(rows, columns)]


class Alternating(Dataset[Example]):
    """Batches of one kind after another, in a cycle: row `i` is row `i` of the kind of its batch.

    A batch is padded to its longest answer, so long answers travel in batches of their own.
    """

    def __init__(self, cycle: Sequence[Dataset[Example]], batch_size: int):
        self.cycle, self.batch_size = tuple(cycle), batch_size

    def __getitem__(self, index: int) -> Example:
        return self.cycle[index // self.batch_size % len(self.cycle)][index]
