"""Results on pictures, to look at."""

from florence2.drawing.draw import draw

__all__ = ["draw"]
