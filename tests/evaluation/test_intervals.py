"""Intervals by drawing the pictures again."""

import numpy as np
import pytest

from florence2.evaluation.intervals import Interval, bootstrap, mean, ratio


def test_nothing_measured_is_zero() -> None:
    assert ratio([], []) == Interval(0.0, 0.0, 0.0)


def test_a_ratio_is_of_the_sums() -> None:
    assert ratio([1, 0], [1, 3]).value == 0.25


def test_a_whole_of_zero_is_no_division() -> None:
    assert ratio([0.0], [0.0]).value == 0.0


def test_the_same_numbers_give_the_same_interval() -> None:
    values = np.random.default_rng(3).random(50).tolist()
    assert mean(values) == mean(values)


def test_the_interval_is_that_of_a_share() -> None:
    """400 tosses of a fair coin: 0.5 plus or minus 1.96 standard errors of 0.025."""
    found = mean([0.0, 1.0] * 200)
    assert found.value == 0.5
    assert found.low == pytest.approx(0.451, abs=0.006)
    assert found.high == pytest.approx(0.549, abs=0.006)


def test_a_statistic_of_all_pictures_agrees_with_the_ratio() -> None:
    values = np.random.default_rng(4).random(60)
    (found,) = bootstrap(lambda rows: [float(values[rows].mean())], 60, 1000)
    same = mean(values.tolist())
    assert found.value == pytest.approx(same.value)
    assert (found.low, found.high) == pytest.approx((same.low, same.high), abs=0.01)
