"""All kinds of pictures under one roof: what makes them, and the records they give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence2.data.records import Record
from florence2.errors import ConfigError, DataError
from florence2.tasks import Task
from florence2_lab.worlds.archive import Archive
from florence2_lab.worlds.describe import LINE_TASKS, PAGE_TASKS, SCENE_TASKS, scene_records
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.lines import LineOptions, line
from florence2_lab.worlds.pages import page
from florence2_lab.worlds.scenes import scene
from florence2_lab.worlds.screen_records import SCREEN_TASKS
from florence2_lab.worlds.screens import screen
from florence2_lab.worlds.webpages import BakedPages, web_cutting

Made = Any  # a Scene, a TextLine, a Page or a Screen: what the functions of one kind share


@dataclass(frozen=True)
class Kind:
    """One kind of pictures; `make` takes what they are made from, seed, index, side and split."""

    make: Callable[[Any, int, int, int, Split], Made]
    tasks: Mapping[Task, Callable[..., Record | None]]
    source: Callable[[Path], Archive] = Kit  # opens what they are made from


def _scene(kit: Kit, seed: int, index: int, side: int, split: Split) -> Made:
    return scene(kit, seed, index, side=side, split=split)


def _line(kit: Kit, seed: int, index: int, side: int, split: Split) -> Made:
    return line(kit, seed, index, split=split, options=LineOptions(side=side))


def _page(kit: Kit, seed: int, index: int, side: int, split: Split) -> Made:
    return page(kit, seed, index, side=side, split=split)


def _screen(kit: Kit, seed: int, index: int, side: int, split: Split) -> Made:
    return screen(kit, seed, index, side=side, split=split)


def _web(pages: BakedPages, seed: int, index: int, side: int, split: Split) -> Made:
    return web_cutting(pages, seed, index, side=side, split=split)


KINDS: Mapping[str, Kind] = {
    "scenes": Kind(_scene, SCENE_TASKS),
    "lines": Kind(_line, LINE_TASKS),
    "pages": Kind(_page, PAGE_TASKS),
    "screens": Kind(_screen, SCREEN_TASKS),
    "web": Kind(_web, PAGE_TASKS, BakedPages),
}


def chosen_kind(name: str, tasks: Sequence[Task]) -> Kind:
    """Return a kind by name, after checking that it answers the tasks."""
    if name not in KINDS:
        raise ConfigError(f"kind {name!r} of pictures is unknown; choose one of {', '.join(KINDS)}")
    for task in tasks:
        if task not in KINDS[name].tasks:
            known = ", ".join(each.name.lower() for each in KINDS[name].tasks)
            raise DataError(
                f"{name} make no records of task {task.name.lower()!r}; choose among {known}"
            )
    return KINDS[name]


def records_of(
    source: Archive,
    name: str,
    seed: int,
    index: int,
    *,
    side: int,
    split: Split,
    tasks: Sequence[Task],
) -> Iterator[Record]:
    """Yield the records of one picture; a picture gives none of a task it offers nothing for.

    Args:
        source: a kit, or what else the kind is made from.
    """
    kind = chosen_kind(name, tasks)
    made = kind.make(source, seed, index, side, split)
    for task in tasks or tuple(kind.tasks):
        if isinstance(source, Kit) and name == "scenes":  # grounding may ask for what is not there
            yield from scene_records(made, (task,), vocabulary=source.categories)
        elif (record := kind.tasks[task](made, task)) is not None:
            yield record
