"""Options fail at construction, in one sentence."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from florence2.errors import ConfigError
from florence2.generation.options import GenerationOptions


def test_defaults_are_the_published_ones() -> None:
    options = GenerationOptions()
    assert (options.num_beams, options.no_repeat_ngram_size, options.max_new_tokens) == (3, 3, 1024)
    assert options.early_stopping is True
    assert options.end_loops is False
    assert options.grammar is None  # repairs the answers of tasks, leaves own prompts alone
    assert (options.length_penalty, options.temperature) == (1.0, 0.0)


def test_options_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        GenerationOptions().num_beams = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"num_beams": 0}, id="no-beam"),
        pytest.param({"num_beams": 2.0}, id="float-beams"),
        pytest.param({"num_beams": True}, id="bool-beams"),
        pytest.param({"max_new_tokens": 0}, id="no-token"),
        pytest.param({"max_new_tokens": "9"}, id="text-tokens"),
        pytest.param({"min_new_tokens": -1}, id="negative-minimum"),
        pytest.param({"min_new_tokens": 9, "max_new_tokens": 8}, id="minimum-above-maximum"),
        pytest.param({"no_repeat_ngram_size": -1}, id="negative-ngram"),
        pytest.param({"end_loops": 1}, id="number-loops"),
        pytest.param({"grammar": "always"}, id="unknown-grammar"),
        pytest.param({"length_penalty": float("nan")}, id="nan-penalty"),
        pytest.param({"length_penalty": 10.1}, id="huge-penalty"),
        pytest.param({"length_penalty": "1"}, id="text-penalty"),
        pytest.param({"early_stopping": "always"}, id="unknown-stopping"),
        pytest.param({"early_stopping": None}, id="no-stopping"),
        pytest.param({"early_stopping": 1}, id="number-stopping"),
        pytest.param({"temperature": -0.5, "num_beams": 1}, id="negative-temperature"),
        pytest.param({"temperature": 1e-9, "num_beams": 1}, id="tiny-temperature"),
        pytest.param({"temperature": float("inf"), "num_beams": 1}, id="infinite-temperature"),
        pytest.param({"temperature": float("nan"), "num_beams": 1}, id="nan-temperature"),
        pytest.param({"temperature": 0.7}, id="draws-with-beams"),
        pytest.param({"top_p": 0.0}, id="empty-nucleus"),
        pytest.param({"top_p": 1.5}, id="more-than-all"),
        pytest.param({"seed": -1}, id="negative-seed"),
        pytest.param({"seed": 0.5}, id="float-seed"),
    ],
)
def test_impossible_options_are_refused_by_name_and_value(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        GenerationOptions(**settings)
    name, value = next(iter(settings.items()))
    assert name in str(caught.value)
    assert f"{value!r}" in str(caught.value) or f"{value:g}" in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": "never"},
        {"early_stopping": False, "length_penalty": -1},
        {"num_beams": 1, "temperature": 0.7, "top_p": 0.9, "seed": 2**70},
        {"num_beams": 1, "top_p": 0.9},
        {"min_new_tokens": 8, "max_new_tokens": 8, "no_repeat_ngram_size": 0},
    ],
)
def test_useful_options_are_accepted(settings: dict[str, Any]) -> None:
    options = GenerationOptions(**settings)
    assert all(getattr(options, name) == value for name, value in settings.items())
