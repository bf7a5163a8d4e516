"""Names of classes that datasets of the hub keep apart from their rows, which hold numbers."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from florence2.data.files import read_text
from florence2.errors import DataError, Florence2Error

ClassNames = Mapping[tuple[str, ...], tuple[str, ...]]
"""The names of a column, such as `("objects", "category")`, by their numbers."""

# What features are written in, and no name of a column.
_AROUND = ("feature", "sequence", "list", "struct", "dtype", "large_list")


def names_of_readme(root: Path) -> ClassNames:
    """Return the names that `dataset_info` in the head of a README.md tells."""
    try:
        head = read_text(root / "README.md").split("---\n")[1]
        card = yaml.safe_load(head)
    except (Florence2Error, IndexError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    info = card.get("dataset_info") if isinstance(card, dict) else None
    configs = info if isinstance(info, list) else [info]
    found = [dict(_named(each.get("features"))) for each in configs if isinstance(each, dict)]
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    for each in found:
        for column, given in each.items():
            # Two configurations that differ leave open what a number means.
            names[column] = given if names.get(column, given) == given else ()
    return names


def names_of_parquet(metadata: Mapping[bytes, bytes] | None) -> ClassNames:
    """Return the names that the datasets library writes into the schema of a Parquet file."""
    try:
        info = json.loads((metadata or {})[b"huggingface"])["info"]
        return dict(_named(info["features"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _named(features: Any, column: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    if isinstance(features, list):
        for each in features:
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                rest = {key: value for key, value in each.items() if key != "name"}
                yield from _named(rest, (*column, each["name"]))
            else:
                yield from _named(each, column)
    if not isinstance(features, dict):
        return
    for key, value in features.items():
        if key == "class_label" or (key == "names" and features.get("_type") == "ClassLabel"):
            if names := _names(value):
                yield column, names
        elif key in _AROUND:
            yield from _named(value, column)
        elif isinstance(value, dict | list) and isinstance(key, str):
            yield from _named(value, (*column, key))


def _names(given: Any) -> tuple[str, ...]:
    """The names by number; YAML writes `{"0": cat}`."""
    if isinstance(given, dict) and "names" in given:
        given = given["names"]
    if isinstance(given, dict):
        numbers = {str(key): name for key, name in given.items()}
        given = [numbers.get(str(number)) for number in range(len(numbers))]
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return ()
    return tuple(given)


def class_name(cell: Any, column: tuple[str, ...], names: ClassNames, letters: bool) -> Any:
    """Return the name of a class that a row gives; a number is looked up.

    Args:
        cell: what stands in the row; whatever is neither number nor digits is returned as it is.
        column: where.
        names: by column.
        letters: whether digits without a name are a name themselves.

    Raises:
        DataError: the number has no name.
    """
    digits = str(cell).strip()
    if isinstance(cell, bool) or not isinstance(cell, int | str) or not digits.isdecimal():
        return cell
    if given := names.get(column):
        if int(digits) < len(given):
            return given[int(digits)]
        raise DataError(f"class {cell!r} is none of the {len(given)} that have a name")
    if letters:
        return digits
    raise DataError(
        f"class {cell!r} of {'.'.join(column)!r} is a number without a name; write names, or"
        " dataset_info with class_label into README.md"
    )
