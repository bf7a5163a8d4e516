"""Questions that follow from answers, as one call: what people otherwise chain by hand.

ground_caption     caption the picture, then find the phrases of the caption
describe_objects   detect objects, then describe each of their regions
detect_classes     find the classes of a list of any length, a few in each question
ocr_layout         read the lines of a page, then put them into blocks in the order of reading
locate_part        read a screenshot, look at its icons, then tell where to click

All of them encode a picture once, or ask it through tiles, and return `CascadeResult`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from florence2.engine import EncodedImage, Engine, ImageRequest, Request
from florence2.errors import ConfigError, TaskError
from florence2.generation.options import GenerationOptions
from florence2.geometry import box_area, box_iou
from florence2.pipelines.ask import open_picture, results_of
from florence2.pipelines.pointing.locate import MIN_SCORE, Point, click_point, locate
from florence2.pipelines.reading.order import read_in_order
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.grid import Tiles
from florence2.pipelines.tiling.matching import MIN_SAME
from florence2.pipelines.tiling.merge import merged_metadata
from florence2.pipelines.tiling.run import run_tiled, text_of
from florence2.processing.images import ImageSource
from florence2.results import (
    SCORE_COLUMNS,
    Boxes,
    Mixed,
    Quads,
    Result,
    Text,
    as_boxes,
    filled_columns,
)
from florence2.tasks import CAPTION_TASKS, Task, checked_names, join_classes


@dataclass(frozen=True, eq=False)
class CascadeResult:
    """What a chain of questions found about one picture.

    Attributes:
        objects: phrases, objects or lines with their scores; lines in the order of reading.
        text: the caption that was grounded, or all that a page says, with its score.
        descriptions: one for each object, where they were asked for.
        blocks: for each line the number of its block, where there are lines.
        point: `(x, y)` in pixels, where to click for the first of the objects.
    """

    objects: Boxes | Quads
    text: Text | None = None
    descriptions: tuple[Text, ...] = ()
    blocks: tuple[int, ...] = ()
    point: Point | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return lists, strings and numbers only, without what does not apply."""
        content: dict[str, Any] = {"objects": self.objects.to_dict()}
        if self.text is not None:
            content["text"] = self.text.to_dict()
        if self.descriptions:
            content["descriptions"] = [each.to_dict() for each in self.descriptions]
        if self.blocks:
            content["blocks"] = list(self.blocks)
        if self.point is not None:
            content["point"] = list(self.point)
        return content


def ground_caption(
    engine: Engine,
    image: ImageSource | EncodedImage,
    task: Task | str = Task.CAPTION,
    *,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    min_score: float | None = None,
) -> CascadeResult:
    """Caption a picture, and find the phrases of the caption.

    Args:
        task: which caption: `"caption"`, `"detailed_caption"` or `"more_detailed_caption"`.
        tiles: to find the phrases in full detail; the caption is always of the whole.
    """
    if not Task.parse(task).is_caption:
        names = ", ".join(each.name.lower() for each in CAPTION_TASKS)
        raise TaskError(f"task {task!r} writes no caption; choose one of {names}")
    asking = _Asking(engine, image, tiles, generation)
    caption = cast(Text, asking.ask(task))
    if not caption.text:
        return CascadeResult(as_boxes(caption), caption)
    boxes = asking.ask(Task.CAPTION_TO_PHRASE_GROUNDING, caption.text, min_score)
    return CascadeResult(cast(Boxes, boxes), caption)


def describe_objects(
    engine: Engine,
    image: ImageSource | EncodedImage,
    *,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    min_score: float | None = None,
) -> CascadeResult:
    """Detect objects, and describe the region of each that has an area.

    Args:
        tiles: find objects in full detail, and describe each in a window around it.
        min_score: objects of a lower score are not described and left out.
    """
    asking = _Asking(engine, image, tiles, generation)
    found = cast(Boxes, asking.ask(Task.OD, min_score=min_score))
    objects = found.select(np.flatnonzero(box_area(found.xyxy)).tolist())
    described = run_regions(
        engine,
        Request(asking.image, Task.REGION_TO_DESCRIPTION, generation=generation),
        objects.xyxy.tolist(),
        windows=tiles is not None,
    )
    return CascadeResult(objects, descriptions=tuple(cast(Text, each) for each in described))


def detect_classes(
    engine: Engine,
    image: ImageSource | EncodedImage,
    classes: Sequence[str],
    *,
    per_question: int = 1,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    min_score: float | None = None,
) -> CascadeResult:
    """Find the classes of a list of any length, and nothing else.

    A question asks for one class, or for a few, and its answer can name no other one. Where answers
    to different questions are the same box, the surest name is kept.

    Args:
        per_question: most classes in a question; fewer where they are too long for one.
    """
    given = [] if isinstance(classes, str) else checked_names(classes)
    names = [name.strip() for name in dict.fromkeys(given)]
    if not all(names) or not names:
        raise TaskError(f"classes are a list of names; got {classes!r}; give one name or more")
    if per_question < 1:
        raise ConfigError(f"per_question must be 1 or more; got {per_question!r}")
    options = replace(generation or engine.generation, grammar=True)
    asking = _Asking(engine, image, tiles, options)
    questions = list(batch_classes(names, per_question, asking.fits))
    answers = asking.ask_all(Task.OPEN_VOCABULARY_DETECTION, questions, min_score)
    boxes = class_agnostic_nms([cast(Mixed, answer).boxes for answer in answers])
    return CascadeResult(replace(boxes, **merged_metadata(answers)))


def ocr_layout(
    engine: Engine,
    image: ImageSource | EncodedImage,
    *,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    min_score: float | None = None,
) -> CascadeResult:
    """Read a page line by line, and put the lines into blocks and columns as people read them."""
    asking = _Asking(engine, image, tiles, generation)
    lines = cast(Quads, asking.ask(Task.OCR_WITH_REGION, min_score=min_score))
    ordered, blocks = read_in_order(lines)
    return CascadeResult(ordered, text_of(ordered, blocks), blocks=blocks)


def locate_part(
    engine: Engine,
    image: ImageSource | EncodedImage,
    words: str,
    *,
    min_score: float | None = None,
) -> CascadeResult:
    """Find the part of a screenshot that words name; see `pointing.locate.Screen.locate`.

    Args:
        min_score: parts of a lower score are left out; None for the usual threshold.
    """
    found = locate(engine, image, words, min_score=MIN_SCORE if min_score is None else min_score)
    return CascadeResult(found, point=click_point(found))


class _Asking:
    """One picture, encoded once or opened once for its tiles, and how it is asked."""

    def __init__(
        self,
        engine: Engine,
        image: ImageSource | EncodedImage,
        tiles: Tiles | None,
        generation: GenerationOptions | None,
    ) -> None:
        self.engine = engine
        self.tiles = tiles
        self.generation = generation
        self.image: ImageSource | EncodedImage = (
            engine.submit(ImageRequest(image)).result() if tiles is None else open_picture(image)
        )

    def ask(self, task: Task | str, text_input: str = "", min_score: float | None = None) -> Result:
        return self.ask_all(task, [text_input], min_score)[0]

    def ask_all(
        self, task: Task | str, texts: Sequence[str], min_score: float | None
    ) -> list[Result]:
        """Ask one task with several texts, in batches."""
        requests = [
            Request(self.image, task, text, min_score=min_score, generation=self.generation)
            for text in texts
        ]
        if self.tiles is None:
            return results_of(self.engine, requests)
        return [run_tiled(self.engine, each, self.tiles) for each in requests]

    def fits(self, text_input: str) -> bool:
        """Whether a question for these words is short enough for the model."""
        words = Task.OPEN_VOCABULARY_DETECTION.prompt(text_input)
        processor = self.engine.processor
        return len(processor.tokenizer.encode(words)) <= processor.max_prompt_tokens


def batch_classes(
    names: Sequence[str], per_question: int, fits: Callable[[str], bool]
) -> Iterator[str]:
    """Put as many names into each question as may be and fit."""
    asked: list[str] = []
    for name in names:
        if asked and (len(asked) == per_question or not fits(join_classes([*asked, name]))):
            yield join_classes(asked)
            asked = []
        asked.append(name)
    yield join_classes(asked)


def class_agnostic_nms(answers: Sequence[Boxes]) -> Boxes:
    """The boxes of several questions, without those that a surer one of another has."""
    xyxy = np.concatenate([each.xyxy for each in answers])
    question = np.repeat(np.arange(len(answers)), [len(each.labels) for each in answers])
    columns: dict[str, Any] = {
        name: [value for each in answers for value in filled_columns(each)[name]]
        for name in ("labels", *SCORE_COLUMNS)
    }
    scores = columns["scores"]
    kept = np.zeros(len(xyxy), dtype=bool)
    for row in sorted(range(len(xyxy)), key=lambda row: -(scores[row] or 0.0)):
        same = box_iou(xyxy[row], xyxy)[0] >= MIN_SAME
        kept[row] = not (same & kept & (question != question[row])).any()
    boxes = Boxes(xyxy, **columns, image_size=answers[0].image_size)
    return boxes.select(np.flatnonzero(kept).tolist())
