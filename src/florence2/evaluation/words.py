"""Read words with their places: lines cut into words, each as high as its line."""

import numpy as np

from florence2.evaluation.text import normalized
from florence2.geometry import Array, bounding_box
from florence2.results import Boxes, Quads

Quad = Array  # (4, 2), clockwise from the top left corner


def words_of(lines: Quads) -> Boxes:
    """Return the words of lines, spelt in one way, as labelled boxes.

    A reader of lines does not say where a word begins, so every character of a line, blanks
    included, gets the same share of its length. A line of one word keeps its box.
    """
    texts: list[str] = []
    boxes: list[Array] = []
    for label, quad in zip(lines.labels, lines.quads, strict=True):
        line = normalized(label)
        start = 0
        for word in line.split():
            end = start + len(word)
            boxes.append(bounding_box(part_of_line(quad, start / len(line), end / len(line))))
            texts.append(word)
            start = end + 1
    xyxy = np.array(boxes).reshape(-1, 4)
    return Boxes(image_size=lines.image_size, xyxy=xyxy, labels=tuple(texts))


def part_of_line(line: Quad, start: float, end: float) -> Quad:
    """Return the part of a line between two shares of its length.

    >>> part_of_line(np.array([[0.0, 0], [8, 0], [8, 2], [0, 2]]), 0.25, 0.5).tolist()
    [[2.0, 0.0], [4.0, 0.0], [4.0, 2.0], [2.0, 2.0]]
    """
    top_left, top_right, bottom_right, bottom_left = line
    top, bottom = top_right - top_left, bottom_right - bottom_left
    return np.array(
        [
            top_left + start * top,
            top_left + end * top,
            bottom_left + end * bottom,
            bottom_left + start * bottom,
        ]
    )


def as_high_as_line(word: Quad, line: Quad) -> Quad:
    """Return the part of a line that is as long as one of its words."""
    along = line[1] - line[0]
    shares = (word - line[0]) @ along / (along @ along)
    return part_of_line(line, float(shares.min()), float(shares.max()))
