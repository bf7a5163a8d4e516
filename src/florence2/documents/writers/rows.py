"""Numbers of places and scores as JSON holds them: two decimals, no NumPy."""

from florence2.geometry import Array, Box


def box_row(box: Box) -> list[float]:
    """`x_min, y_min, x_max, y_max`.

    >>> box_row((1.234, 0, 5, 6))
    [1.23, 0.0, 5.0, 6.0]
    """
    return [round(float(side), 2) for side in box]


def quad_row(quad: Array) -> list[list[float]]:
    """Four corners of `x, y`."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in quad]


def score_row(score: float | None) -> float | None:
    """A score; None where nobody scored."""
    return None if score is None else round(float(score), 2)
