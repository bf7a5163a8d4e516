"""Florence-2, independent and exact: captions, detects, segments, grounds and reads.

    from florence2 import Florence2

    model = Florence2.load()
    boxes = model.detect("street.jpg")
    print(boxes.labels, boxes.xyxy)

Names are bound when they are first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from florence2.answers import format_answer as format_answer
    from florence2.answers import parse_answer as parse_answer
    from florence2.api import Florence2 as Florence2
    from florence2.checkpoints.inspection import inspect_checkpoint as inspect_checkpoint
    from florence2.drawing import draw as draw
    from florence2.engine import Answer as Answer
    from florence2.engine import EncodedImage as EncodedImage
    from florence2.engine import EngineLimits as EngineLimits
    from florence2.engine import Request as Request
    from florence2.errors import AnswerError as AnswerError
    from florence2.errors import ConfigError as ConfigError
    from florence2.errors import DataError as DataError
    from florence2.errors import EngineError as EngineError
    from florence2.errors import Florence2Error as Florence2Error
    from florence2.errors import ImageError as ImageError
    from florence2.errors import TaskError as TaskError
    from florence2.errors import WeightsError as WeightsError
    from florence2.generation.options import GenerationOptions as GenerationOptions
    from florence2.pipelines.tiling.grid import Tiles as Tiles
    from florence2.results import Boxes as Boxes
    from florence2.results import Mixed as Mixed
    from florence2.results import Piece as Piece
    from florence2.results import Points as Points
    from florence2.results import Polygons as Polygons
    from florence2.results import Quads as Quads
    from florence2.results import Result as Result
    from florence2.results import Text as Text
    from florence2.tasks import Task as Task

__version__ = "0.5.0"

_HOMES = {
    "answers": ("format_answer", "parse_answer"),
    "api": ("Florence2",),
    "checkpoints.inspection": ("inspect_checkpoint",),
    "drawing": ("draw",),
    "engine": ("Answer", "EncodedImage", "EngineLimits", "Request"),
    "errors": (
        "AnswerError",
        "ConfigError",
        "DataError",
        "EngineError",
        "Florence2Error",
        "ImageError",
        "TaskError",
        "WeightsError",
    ),
    "generation.options": ("GenerationOptions",),
    "results": ("Boxes", "Mixed", "Piece", "Points", "Polygons", "Quads", "Result", "Text"),
    "tasks": ("Task",),
    "pipelines.tiling.grid": ("Tiles",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]

# What 0.4 had elsewhere can still be imported from there, until 0.6.
__path__ = [*__path__, f"{__path__[0]}/deprecated"]
_DEPRECATED = ("Limits", "ask_regions", "run_tiled")


def __getattr__(name: str) -> Any:
    if name in _DEPRECATED:
        return getattr(import_module("florence2.deprecated"), name)
    if name not in _HOME_OF:
        raise AttributeError(f"module 'florence2' has no attribute {name!r}")
    value = getattr(import_module(f"florence2.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
