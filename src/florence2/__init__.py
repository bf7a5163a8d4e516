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
    from florence2.answers import format_answer, parse_answer
    from florence2.api import Florence2
    from florence2.checkpoints.inspection import inspect_checkpoint
    from florence2.drawing import draw
    from florence2.engine import Answer, EncodedImage, EngineLimits, Request
    from florence2.errors import (
        AnswerError,
        ConfigError,
        DataError,
        EngineError,
        Florence2Error,
        ImageError,
        TaskError,
        WeightsError,
    )
    from florence2.generation.options import GenerationOptions
    from florence2.pipelines.tiling.grid import Tiles
    from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
    from florence2.tasks import Task

__version__ = "0.4.0"

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
    "results": ("Boxes", "Mixed", "Polygons", "Quads", "Result", "Text"),
    "tasks": ("Task",),
    "pipelines.tiling.grid": ("Tiles",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "AnswerError",
    "Boxes",
    "ConfigError",
    "DataError",
    "EncodedImage",
    "EngineError",
    "EngineLimits",
    "Florence2",
    "Florence2Error",
    "GenerationOptions",
    "ImageError",
    "Mixed",
    "Polygons",
    "Quads",
    "Request",
    "Result",
    "Task",
    "TaskError",
    "Text",
    "Tiles",
    "WeightsError",
    "__version__",
    "draw",
    "format_answer",
    "inspect_checkpoint",
    "parse_answer",
]


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
