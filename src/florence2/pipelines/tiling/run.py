"""Ask about large pictures through tiles.

What a task does with a large picture:

    od, dense_region_caption, region_proposal,          every tile and the whole picture; what
    open_vocabulary_detection, phrase grounding,        both saw is kept once (NMS across tiles)
    referring_expression_segmentation                   then every object is verified in a crop
    ocr, ocr_with_region                                its lines, found by their ink, where that is
                                                        the better way (`suits_pieces`); else every
                                                        tile: lines are joined, in reading order
    caption, detailed_caption, more_detailed_caption    the whole picture, no tiles
    region_to_...                                       a window around the region
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

from PIL import Image

from florence2.engine import Answer, Engine, Request, StageTimer
from florence2.errors import TaskError
from florence2.geometry import PixelBox
from florence2.pipelines.ask import BATCH_SIZE, open_picture, results_of
from florence2.pipelines.reading.answer import answer_read, suits_pieces
from florence2.pipelines.reading.order import read_in_order
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.grid import Tile, Tiles, cut
from florence2.pipelines.tiling.merge import merge
from florence2.pipelines.tiling.text_lines import weighted_mean
from florence2.pipelines.tiling.verify import verify_objects
from florence2.results import Quads, Result, Text
from florence2.tasks import AnswerKind, Task

MAX_PLAIN = 12  # levels of 256 between which all of a plain tile lies; JPEG blurs paper so far


def answer_tiled(engine: Engine, request: Request, tiles: Tiles) -> Answer:
    """`run_tiled` with the time that it took."""
    timer = StageTimer()
    result = run_tiled(engine, request, tiles)
    timer.lap("tiles")
    return Answer(result, timer.milliseconds)


def run_tiled(
    engine: Engine,
    request: Request,
    tiles: Tiles | None = None,
    batch_size: int = BATCH_SIZE,
) -> Result:
    """Answer one request about a picture of any size, in full detail.

    Tiles are asked in batches, but for those of one colour, and what they saw is merged across
    their seams. Objects are then verified, each in a window of its own, and are what they are
    there. The result is of the task's own type, in pixels of the whole picture. An object has
    the scores of who was surest of it, a line of text the mean of those of its pieces, weighted
    by letters.

    Args:
        request: `Request("page.png", "ocr")`; its picture must not be encoded already, and its
            `min_score` also leaves out lines of a text.
        tiles: how to cut; None for tiles of the model's own side.
        batch_size: tiles that are answered side by side.
    """
    task = request.parsed_task
    if task is None:
        raise TaskError(
            "an answer to a prompt of your own cannot be put together from tiles; leave the tiles"
            " out, or give the task whose answers it has"
        )
    if task.needs_region and request.region is not None:
        return run_regions(engine, request, [request.region], windows=True)[0]
    picture = open_picture(request.image)
    tiles = tiles or Tiles()
    no_objects = task.answer_kind is AnswerKind.TEXT
    if task is Task.OCR and request.prompt is None:  # a prompt is asked with its own task alone
        no_objects = False
    parts = [] if no_objects else cut(picture.size, engine.processor.image_side, tiles)
    is_page = task in (Task.OCR, Task.OCR_WITH_REGION) and request.prompt is None
    if is_page and tiles.grid is None and suits_pieces(engine, picture):
        return answer_read(engine, picture, task, request.min_score)
    places = [each for each in parts if not _plain(picture.crop(each.box))]
    if len(parts) < 2 or not places:
        return engine.answer([replace(request, image=picture)])[0].result
    if tiles.whole and not task.reads_text:
        places.append(Tile((0, 0, *picture.size)))
    asked = replace(request, min_score=0.0)
    if task is Task.OCR:  # words with places can be joined
        asked = replace(asked, task=Task.OCR_WITH_REGION)

    def ask(parts: Sequence[PixelBox]) -> list[Result]:
        questions = (replace(asked, image=_shown(picture, part)) for part in parts)
        return results_of(engine, questions, batch_size)

    results = ask([each.box for each in places])
    any_label = task is Task.DENSE_REGION_CAPTION  # one thing may be described in two ways
    merged = merge(results, places, picture.size, any_label=any_label)
    if tiles.verify and not task.reads_text:
        known = {place.box: result for place, result in zip(places, results, strict=True)}
        side = engine.processor.image_side
        merged = verify_objects(merged, known, ask, native_side=side, any_label=any_label)
    assert not isinstance(merged, Text), "texts are not merged"
    kept = merged.with_min_score(engine.min_score(request))
    if not isinstance(kept, Quads):
        return kept
    lines, _ = read_in_order(kept)
    return text_of(lines) if task is Task.OCR else lines


def _plain(picture: Image.Image) -> bool:
    """Whether a part of a picture has one colour, so that a model could only invent."""
    extrema = cast(Sequence[tuple[int, int]], picture.getextrema())
    return all(high - low <= MAX_PLAIN for low, high in extrema)


def _shown(picture: Image.Image, box: PixelBox) -> Image.Image:
    """A part of a picture; of a large one no copy is made to show all of it."""
    return picture if box == (0, 0, *picture.size) else picture.crop(box)


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
        repaired=lines.repaired,
    )
