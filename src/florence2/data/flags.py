"""Marks that tools set on objects: crowds, groups and difficult ones."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

CROWD_FLAGS = frozenset({"iscrowd", "crowd"})
IGNORE_FLAGS = frozenset({"isgroup", "isgroupof", "groupof", "ignore", "ignored", "difficult"})


def flag_names(*rows: Any) -> frozenset[str]:
    """The flags that rows of names and values set, in small letters alone.

    Other names are left out.

    >>> sorted(flag_names({"iscrowd": 0, "Is_Group_Of": "1"}, {"difficult": True}, None))
    ['difficult', 'isgroupof']
    """
    return frozenset(
        _plain(name)
        for row in rows
        if isinstance(row, Mapping)
        for name in flags_among(tuple(row))
        if _is_set(row[name])
    )


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]", "", str(name).lower())


@lru_cache(maxsize=256)
def flags_among(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of the names of a row that are flags; most rows of a file have the same names."""
    return tuple(name for name in names if _plain(name) in CROWD_FLAGS | IGNORE_FLAGS)


def _is_set(value: Any) -> bool:
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)
