"""`florence2.pipelines.cascades` by its place in 0.4, with a model in place of an engine."""

from typing import TYPE_CHECKING, Any

from florence2.errors import warn_moved
from florence2.pipelines import cascades
from florence2.pipelines.cascades import CascadeResult as Cascaded

if TYPE_CHECKING:
    from florence2.api import Florence2

__all__ = ["Cascaded", "describe_objects", "detect_classes", "ground_caption", "read_layout"]


def ground_caption(model: "Florence2", *arguments: Any, **named: Any) -> Cascaded:
    """`Florence2.ground_caption` by its old name."""
    warn_moved("cascades.ground_caption(model, ...)", "model.ground_caption(...)")
    return cascades.ground_caption(model.engine, *arguments, **named)


def describe_objects(model: "Florence2", *arguments: Any, **named: Any) -> Cascaded:
    """`Florence2.describe_objects` by its old name."""
    warn_moved("cascades.describe_objects(model, ...)", "model.describe_objects(...)")
    return cascades.describe_objects(model.engine, *arguments, **named)


def detect_classes(model: "Florence2", *arguments: Any, **named: Any) -> Cascaded:
    """`Florence2.detect_classes` by its old name."""
    warn_moved("cascades.detect_classes(model, ...)", "model.detect_classes(...)")
    return cascades.detect_classes(model.engine, *arguments, **named)


def read_layout(model: "Florence2", *arguments: Any, **named: Any) -> Cascaded:
    """`Florence2.ocr_layout` by its old name."""
    warn_moved("cascades.read_layout(model, ...)", "model.ocr_layout(...)")
    return cascades.ocr_layout(model.engine, *arguments, **named)
