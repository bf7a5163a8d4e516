"""The sentences that errors share."""

import doctest

from florence2 import errors
from florence2.checkpoints import layouts


def test_doctests() -> None:
    for module in (errors, layouts):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed
