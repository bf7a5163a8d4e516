"""Marks that tools set on objects: crowds, groups and difficult ones."""

import re
from collections.abc import Mapping
from typing import Any

CROWD_FLAGS = frozenset({"iscrowd", "crowd"})
IGNORE_FLAGS = frozenset({"isgroup", "isgroupof", "groupof", "ignore", "ignored", "difficult"})


def flag_names(*rows: Any) -> frozenset[str]:
    """The names of what is set in rows of names and values, in small letters alone.

    >>> sorted(flag_names({"iscrowd": 0, "Is_Group_Of": "1"}, {"difficult": True}, None))
    ['difficult', 'isgroupof']
    """
    given = [pair for row in rows if isinstance(row, Mapping) for pair in row.items()]
    names = (str(name).lower() for name, value in given if _set(value))
    return frozenset(re.sub(r"[\W_]", "", name) for name in names)


def _set(value: Any) -> bool:
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)
