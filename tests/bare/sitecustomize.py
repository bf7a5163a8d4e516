"""Finds nothing of what is absent, in this process and in those that it starts."""

import os
import sys

ABSENT = frozenset(os.environ["ABSENT"].split())


class Visible:
    """A finder that does not find some packages."""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            return None
        return self.finder.find_spec(name, path, target)


sys.meta_path[:] = map(Visible, sys.meta_path)
