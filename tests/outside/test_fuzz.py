"""A sample of `fuzz.py`, which takes any number of cases; docs/LOG.md has the long runs."""

import pytest
from fuzz import run


@pytest.mark.filterwarnings("ignore")
def test_damaged_input_is_taken_or_refused_in_words() -> None:
    outcomes = list(run(count=120, seed=7))
    assert {outcome for _, _, outcome in outcomes} == {"taken", "refused"}
    assert len({(kind, outcome) for kind, _, outcome in outcomes}) >= 7  # answers are always taken
