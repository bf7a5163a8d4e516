"""Names of 0.4 that have moved; they work until 0.6 and warn of the new name.

The modules of this folder can be imported as they could in 0.4, `florence2.cascades` for one: the
folder is on the package's path.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from florence2.engine import EngineLimits, Request
from florence2.errors import warn_moved
from florence2.generation.options import GenerationOptions
from florence2.pipelines.tiling.grid import Tiles
from florence2.results import Result

if TYPE_CHECKING:
    from florence2.api import Florence2


def Limits(max_running: int = 16, max_begin: int = 4, max_waiting: int = 4096) -> EngineLimits:
    """`EngineLimits` by its old name."""
    warn_moved("Limits(max_begin=)", "EngineLimits(max_prefill=)")
    return EngineLimits(max_running, max_begin, max_waiting)


def run_tiled(
    model: "Florence2",
    request: Request,
    tiles: Tiles | None = None,
    generation: GenerationOptions | None = None,
    batch_size: int = 8,
) -> Result:
    """`florence2.pipelines.tiling.run.run_tiled` with a model in place of an engine."""
    from florence2.pipelines.tiling import run

    warn_moved("run_tiled(model, ...)", "model.run(..., tiles=)")
    asked = replace(request, generation=generation or request.generation)
    return run.run_tiled(model.engine, asked, tiles, batch_size)


def ask_regions(
    model: "Florence2",
    request: Request,
    regions: Sequence[Sequence[float]],
    *,
    windows: bool = False,
    generation: GenerationOptions | None = None,
    batch_size: int = 8,
) -> list[Result]:
    """`Florence2.run_regions` by its old name."""
    warn_moved("ask_regions(model, ...)", "model.run_regions(...)")
    asked = replace(request, generation=generation or request.generation)
    return model.run_regions(asked, regions, windows=windows)
