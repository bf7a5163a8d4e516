"""Examples made on the fly from the worlds: scenes of sprites and printed lines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from florence2.data.records import Record
from florence2.images import preprocess
from florence2.processor import Processor
from florence2.tasks import Task
from florence2.training.batches import Example
from florence2.training.dense import CELLS, COLUMNS
from florence2.training.targets import TargetEncoder
from florence2.worlds.describe import line_records, scene_records
from florence2.worlds.kit import Kit, Split
from florence2.worlds.lines import LineOptions, TextLine, line
from florence2.worlds.scenes import Scene, SceneOptions, scene

STREAM = 11  # keeps the draws of this module apart from those of the makers
LETTERS = "".join(map(chr, range(33, 127)))  # what the letter head tells apart; others are "other"
NUM_LETTERS = len(LETTERS) + 1


@dataclass(frozen=True)
class Mixture:
    """What a run trains on.

    Attributes:
        line_share: share of examples that are printed lines; the rest are scenes.
        scene_tasks: how often each task is asked about a scene.
        scenes, lines: options of the makers.
    """

    line_share: float
    scene_tasks: Mapping[Task, float]
    scenes: SceneOptions
    lines: LineOptions


class WorldExamples(Dataset[Example]):
    """Example `i` is a function of the kit, the mixture, the seed and `i` alone."""

    def __init__(
        self,
        kit: Kit,
        processor: Processor,
        mixture: Mixture,
        *,
        map_side: int,
        seed: int,
        split: Split = "train",
    ):
        self.kit, self.processor, self.mixture = kit, processor, mixture
        self.targets = TargetEncoder(processor.tokenizer)
        self.image_side, self.map_side = processor.image_side, map_side
        self.seed, self.split = seed, split
        self.tasks = tuple(mixture.scene_tasks)
        weights = np.array([mixture.scene_tasks[task] for task in self.tasks], dtype=float)
        self.task_shares = weights / weights.sum()

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index, STREAM])
        if rng.random() < self.mixture.line_share:
            return self._line(index)
        return self._scene(index, self.tasks[int(rng.choice(len(self.tasks), p=self.task_shares))])

    def _scene(self, index: int, task: Task) -> Example:
        made = scene(
            self.kit,
            self.seed,
            index,
            side=self.image_side,
            split=self.split,
            options=self.mixture.scenes,
        )
        # A scene without objects has no region to ask about; detection then answers nothing.
        record = (*scene_records(made, (task,)), *scene_records(made, (Task.OD,)))[0]
        cells = center_samples(made.class_map, CELLS * self.map_side).astype(np.int64)
        return self._example(record, cells=cells, boxes=self._edges(made))

    def _line(self, index: int) -> Example:
        made = line(self.kit, self.seed, index, split=self.split, options=self.mixture.lines)
        (record,) = line_records(made, (Task.OCR,))
        return self._example(record, columns=self._letters(made))

    def _example(
        self,
        record: Record,
        cells: NDArray[np.int64] | None = None,
        columns: NDArray[np.int64] | None = None,
        boxes: NDArray[np.float32] | None = None,
    ) -> Example:
        picture = record.picture()
        return Example(
            pixels=preprocess(picture, self.image_side),
            task=record.task,
            prompt_ids=self.processor.prompt_ids(
                record.task, record.text_input, record.region, picture.size
            ),
            label_ids=self.targets.label_ids(record.task, record.result),
            cells=cells,
            columns=columns,
            boxes=boxes,
        )

    def _edges(self, made: Scene) -> NDArray[np.float32]:
        """Distances to the edges of the object under each position, as shares of the side."""
        numbers = center_samples(made.instance_map, self.map_side)
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


def center_samples(values: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    """Sample a square map at the centres of `count` by `count` equal cells."""
    places = ((np.arange(count) + 0.5) * values.shape[0] / count).astype(int)
    return values[np.ix_(places, places)]
