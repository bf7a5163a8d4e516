"""Intervals by drawing the pictures again."""

import numpy as np
import pytest

from florence2.evaluation.intervals import NO_NUMBER, Interval, bootstrap, mean, ratio


def test_nothing_measured_is_no_number() -> None:
    assert ratio([], []) == mean([]) == NO_NUMBER
    assert bootstrap(lambda rows: [np.nan], 0, 9) == [NO_NUMBER]
    assert NO_NUMBER.to_dict() == {"value": None, "low": None, "high": None}


def test_a_ratio_is_of_the_sums() -> None:
    assert ratio([1, 0], [1, 3]).value == 0.25


def test_a_whole_of_zero_is_zero_only_where_something_is_true() -> None:
    assert ratio([0.0], [0.0]) == NO_NUMBER
    assert ratio([0.0], [0.0], truths=[1.0]) == Interval(0.0, 0.0, 0.0)
    assert ratio([0.0], [5.0], truths=[0.0]) == NO_NUMBER


def test_resamples_in_which_nothing_is_true_are_left_out() -> None:
    """Of two pictures one has the only true box; a quarter of the draws leave it out."""
    found = ratio([1.0, 0.0], [1.0, 0.0])
    assert found == Interval(1.0, 1.0, 1.0)
    (same,) = bootstrap(lambda rows: [1.0 if 0 in rows else np.nan], 2, 100)
    assert same == found


def test_a_picture_is_drawn_with_all_its_rows() -> None:
    """Ten answers about each of 40 pictures, all alike, told as much as 400 pictures."""
    values = np.repeat(np.random.default_rng(5).random(40), 10)
    pictures = np.repeat(np.arange(40), 10).tolist()
    found = mean(values.tolist(), pictures=pictures)
    assert found.to_dict() == mean(values[::10].tolist()).to_dict()
    rows = mean(values.tolist())
    assert found.high - found.low > 2.5 * (rows.high - rows.low)


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
