"""Ask about large pictures through tiles, and about many regions of one picture.

What a task does with a large picture:

    od, dense_region_caption, region_proposal,          every tile and the whole picture;
    open_vocabulary_detection, phrase grounding,        what both saw is told once
    referring_expression_segmentation                   then everything found is looked at again
    ocr, ocr_with_region                                every tile; lines are joined and put in
                                                        the order of reading
    caption, detailed_caption, more_detailed_caption    the whole picture, no tiles
    region_to_...                                       a window around the region
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
from PIL import Image

from florence2.api import Florence2, Request
from florence2.engine import EncodedImage
from florence2.errors import Florence2Error, TaskError
from florence2.generation.options import GenerationOptions
from florence2.images import ImageSource, open_image
from florence2.results import Quads, Result, Text
from florence2.tasks import AnswerKind, Task
from florence2.tiling.grid import Rect, Tile, Tiles, cut, window
from florence2.tiling.lines import weighted_mean
from florence2.tiling.merging import merge, moved
from florence2.tiling.reading_order import read_in_order
from florence2.tiling.second_look import look_again

BATCH_SIZE = 8
MAX_PLAIN = 12  # levels of 256 between which all of a plain tile lies; JPEG blurs paper so far
READING = (Task.OCR, Task.OCR_WITH_REGION)
DESCRIBING = (Task.DENSE_REGION_CAPTION,)  # one thing may be described in two ways


def run_tiled(
    model: Florence2,
    request: Request,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    batch_size: int = BATCH_SIZE,
) -> Result:
    """Answer one request about a picture of any size, in full detail.

    Tiles are asked in batches, but for those of one colour, and what they saw is merged across
    their seams. Objects are then looked for again, each in a window of its own, and are what they
    are there. The result is of the task's own type, in pixels of the whole picture. An object has
    the scores of who was surest of it, a line of text the mean of those of its pieces, weighted
    by letters.

    Args:
        request: `Request("page.png", "ocr")`; its picture must not be encoded already, and its
            `min_score` also leaves out lines of a text.
        tiles: how to cut; None for tiles of the model's own side.
        batch_size: tiles that are answered side by side.
    """
    task = Task.parse(request.task)
    if task.needs_region and request.region is not None:
        regions = [request.region]
        return ask_regions(model, request, regions, windows=True, generation=generation)[0]
    picture = picture_of(request.image)
    tiles = tiles or Tiles()
    no_objects = task.answer_kind is AnswerKind.TEXT and task is not Task.OCR
    parts = [] if no_objects else cut(picture.size, model.processor.image_side, tiles)
    places = [each for each in parts if not _plain(picture.crop(each.box))]
    if len(parts) < 2 or not places:
        return model.answer([replace(request, image=picture)], generation)[0].result
    if tiles.whole and task not in READING:
        places.append(Tile((0, 0, *picture.size)))
    asked = replace(request, min_score=0.0)
    if task is Task.OCR:
        asked = replace(asked, task=Task.OCR_WITH_REGION)
    ask = partial(_ask_parts, model, asked, picture, generation, batch_size)
    results = ask([each.box for each in places])
    any_label = task in DESCRIBING
    merged = merge(results, places, picture.size, any_label=any_label)
    if tiles.look_twice and task not in READING:
        told = {place.box: result for place, result in zip(places, results, strict=True)}
        side = model.processor.image_side
        merged = look_again(merged, told, ask, native_side=side, any_label=any_label)
    assert not isinstance(merged, Text), "texts are not merged"
    kept = merged.above(request.min_score)
    if not isinstance(kept, Quads):
        return kept
    lines, _ = read_in_order(kept)
    return text_of(lines) if task is Task.OCR else lines


def ask_regions(
    model: Florence2,
    request: Request,
    regions: Sequence[Sequence[float]],
    *,
    windows: bool = False,
    generation: GenerationOptions | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[Result]:
    """Ask one question about many regions of one picture; one result for each, in their order.

    Args:
        request: a region task about a picture, without a region.
        regions: `x_min, y_min, x_max, y_max` in pixels of the picture, each.
        windows: show the model a window around each region, in full detail, for large pictures;
            else the whole picture, which is then encoded only once.
    """
    task = Task.parse(request.task)
    if not task.needs_region:
        raise TaskError(f"task {task.token!r} takes no regions; choose one of region_to_...")
    if not windows:
        seen = model.encode_image(request.image)
        questions = (replace(request, image=seen, region=tuple(region)) for region in regions)
        return answer_all(model, questions, generation, batch_size)
    picture = picture_of(request.image)
    for region in regions:  # refused here, where messages can name the picture's own size
        model.processor.prompt_ids(task, request.text_input, region, picture.size, request.prompt)
    places = [Tile(window(region, picture.size, model.processor.image_side)) for region in regions]
    questions = (
        replace(
            request,
            image=picture.crop(place.box),
            region=tuple(np.subtract(region, np.tile(place.box[:2], 2)).tolist()),
        )
        for place, region in zip(places, regions, strict=True)
    )
    results = answer_all(model, questions, generation, batch_size)
    return [moved(*pair, picture.size) for pair in zip(results, places, strict=True)]


def _plain(picture: Image.Image) -> bool:
    """Whether a part of a picture has one colour, so that a model could only invent."""
    extrema = cast(Sequence[tuple[int, int]], picture.getextrema())
    return all(high - low <= MAX_PLAIN for low, high in extrema)


def _ask_parts(
    model: Florence2,
    request: Request,
    picture: Image.Image,
    generation: GenerationOptions | None,
    batch_size: int,
    parts: Iterable[Rect],
) -> list[Result]:
    """Ask one question about parts of a picture."""
    questions = (replace(request, image=_shown(picture, each)) for each in parts)
    return answer_all(model, questions, generation, batch_size)


def _shown(picture: Image.Image, box: Rect) -> Image.Image:
    """A part of a picture; of a large one no copy is made to show all of it."""
    return picture if box == (0, 0, *picture.size) else picture.crop(box)


def picture_of(image: ImageSource | EncodedImage) -> Image.Image:
    """The picture itself, opened once."""
    if isinstance(image, EncodedImage):
        raise TaskError(
            "tiles and windows are cut out of the picture itself, which an encoded image no longer"
            " holds; give the picture"
        )
    return open_image(image)


def answer_all(
    model: Florence2,
    questions: Iterable[Request],
    generation: GenerationOptions | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[Result]:
    """Answer all questions; the first that cannot be answered raises."""
    results = []
    for result in model.run_many(questions, generation, batch_size):
        if isinstance(result, Florence2Error):
            raise result
        results.append(result)
    return results


def text_of(lines: Quads, blocks: Sequence[int] = ()) -> Text:
    """What lines say, one below the other, with a blank line between blocks, if they are given."""
    numbers = blocks or (0,) * len(lines.labels)
    gaps = ["\n" if before == after else "\n\n" for before, after in pairwise(numbers)]
    words = zip(lines.labels, [*gaps, ""], strict=False)
    return Text(
        "".join(part for pair in words for part in pair),
        score=weighted_mean(lines.label_scores or (), lines.labels),
        image_size=lines.image_size,
        finish_reason=lines.finish_reason,
        malformed=lines.malformed,
    )
