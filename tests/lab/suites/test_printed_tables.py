"""Made tables printed as a PDF, found as the command finds them."""

import pytest

from florence2_lab.suites.tables import measure_tables
from florence2_lab.worlds.building.chromium import find_chromium


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="chromium is not installed")
def test_most_cells_of_printed_tables_are_found() -> None:
    shares = measure_tables(8, seed=1, source="printed")
    assert shares.num_cells > 100
    assert shares.ruled > 0.85
    assert shares.unruled > 0.6
    assert shares.num_false == 0
