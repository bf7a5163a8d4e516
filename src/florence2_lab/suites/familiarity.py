"""Fit what tells pictures of a kind that a model knows from photographs, by its image tokens.

A ridge-regularised logistic regression on the mean image token of each picture, by Newton's method;
both kinds weigh the same, however many pictures there are of each.
"""

import numpy as np

from florence2.answers.defaults import Familiarity
from florence2.errors import DataError
from florence2.geometry import Array

RIDGE = 3.0  # against weights of standardised features
MIN_PICTURES = 20  # of each kind
STEPS = 40
TOLERANCE = 1e-8


def fit_familiarity(known: Array, unknown: Array) -> Familiarity:
    """Fit a probe.

    Args:
        known: mean image tokens `(N, D)` of pictures of a kind that the model knows.
        unknown: `(M, D)`, of photographs.

    Raises:
        DataError: there are too few of one kind.
    """
    fewest = min(len(known), len(unknown))
    if fewest < MIN_PICTURES:
        raise DataError(
            f"there are {fewest} pictures of one kind; familiarity needs {MIN_PICTURES} of each"
        )
    features = np.concatenate([known, unknown]).astype(np.float64)
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    rows = np.column_stack([(features - middle) / spread, np.ones(len(features))])
    is_known = np.repeat([1.0, 0.0], [len(known), len(unknown)])
    share = np.repeat([1 / len(known), 1 / len(unknown)], [len(known), len(unknown)])
    weight = share * len(rows) / 2
    ridge = np.diag([RIDGE] * (rows.shape[1] - 1) + [TOLERANCE])
    fitted = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-np.clip(rows @ fitted, -50.0, 50.0)))
        slope = rows.T @ (weight * (said - is_known)) + ridge @ fitted
        bend = (rows * (weight * said * (1 - said))[:, None]).T @ rows + ridge
        step = np.linalg.solve(bend, slope)
        fitted -= step
        if np.abs(step).max() < TOLERANCE:
            break
    weights = fitted[:-1] / spread
    return Familiarity(weights, float(fitted[-1] - weights @ middle))
