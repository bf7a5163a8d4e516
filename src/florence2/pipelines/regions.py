"""One question about many regions of one picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from florence2.engine import Engine, ImageRequest, Request
from florence2.errors import TaskError
from florence2.pipelines.ask import BATCH_SIZE, open_picture, results_of
from florence2.pipelines.tiling.grid import Tile, window
from florence2.pipelines.tiling.merge import translated
from florence2.results import Result
from florence2.tasks import asked_words


def run_regions(
    engine: Engine,
    request: Request,
    regions: Sequence[Sequence[float]],
    *,
    windows: bool = False,
    batch_size: int = BATCH_SIZE,
) -> list[Result]:
    """Ask one question about many regions of one picture; one result for each, in their order.

    Args:
        request: a region task about a picture, without a region.
        regions: `x_min, y_min, x_max, y_max` in pixels of the picture, each.
        windows: show the model a window around each region, in full detail, for large pictures;
            else the whole picture, which is then encoded only once.
    """
    task = request.parsed_task
    if task is None or not task.needs_region:
        raise TaskError(f"{asked_words(task)} takes no regions; choose one of region_to_...")
    if not windows:
        encoded = engine.submit(ImageRequest(request.image)).result()
        questions = (replace(request, image=encoded, region=tuple(region)) for region in regions)
        return results_of(engine, questions, batch_size)
    picture, processor = open_picture(request.image), engine.processor
    for region in regions:  # refused here, where messages can name the picture's own size
        processor.prompt_ids(task, request.text_input, region, picture.size, request.prompt)
    places = [Tile(window(region, picture.size, processor.image_side)) for region in regions]
    questions = (
        replace(
            request,
            image=picture.crop(place.box),
            region=tuple(np.subtract(region, np.tile(place.box[:2], 2)).tolist()),
        )
        for place, region in zip(places, regions, strict=True)
    )
    results = results_of(engine, questions, batch_size)
    return [translated(*pair, picture.size) for pair in zip(results, places, strict=True)]
