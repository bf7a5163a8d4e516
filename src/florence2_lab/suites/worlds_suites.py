"""Suites of pictures that the worlds make and no training has drawn."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.box_metrics import measure_grounding
from florence2.evaluation.measured import Measure
from florence2.evaluation.suites import Skipped, Suite
from florence2.evaluation.task_metrics import MEASURES
from florence2.evaluation.text_metrics import measure_captions
from florence2.evaluation.words import as_high_as_line
from florence2.results import Quads
from florence2.tasks import Task
from florence2_lab.suites.manual_crops import manual_records
from florence2_lab.worlds.describe import line_records, page_records, scene_records
from florence2_lab.worlds.english import plural
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.lines import LineOptions, line
from florence2_lab.worlds.pages import Page, PageOptions, page
from florence2_lab.worlds.scenes import SceneOptions, scene

SEED = 900_001  # no run trains on it
SCENE_SIDE = 256  # pixels; models resize pictures to their own side
PAGE_SIDE = 384  # so that other readers get a sharp picture
SCENES = SceneOptions()
LINES = LineOptions(max_chars=12)
PAGES = PageOptions(min_lines=1, max_lines=4, min_letter=33.0, max_letter=66.0)

SEEN, HELD_OUT = "styles of training", "held-out drawings"
TEST_STYLES, STAMPS = "styles of the test kit", "photographic stamps"
FONTS, MANUALS = "unseen fonts", "unseen manuals"


@dataclass(frozen=True)
class Materials:
    """What pictures can be made of.

    Attributes:
        kit: of the training; its held-out fonts and drawings are used too.
        test_styles: a kit of drawing styles that no training uses.
        stamps: a kit of photographs.
        manuals: PDFs, or folders of them.
    """

    kit: Kit
    test_styles: Kit | None = None
    stamps: Kit | None = None
    manuals: tuple[Path, ...] = ()


# Groups that ask one task about scenes.
SCENE_GROUPS: Mapping[str, Task] = {
    "segmentation": Task.REFERRING_EXPRESSION_SEGMENTATION,
    "grounding": Task.CAPTION_TO_PHRASE_GROUNDING,
    "open_vocabulary": Task.OPEN_VOCABULARY_DETECTION,
    "region_category": Task.REGION_TO_CATEGORY,
    "region_description": Task.REGION_TO_DESCRIPTION,
    "region_segmentation": Task.REGION_TO_SEGMENTATION,
    "proposals": Task.REGION_PROPOSAL,
    "dense_captions": Task.DENSE_REGION_CAPTION,
    "caption": Task.CAPTION,
    "detailed_caption": Task.DETAILED_CAPTION,
    "more_detailed_caption": Task.MORE_DETAILED_CAPTION,
}
GROUPS = ("reading", "pages", "manuals", "detection", *SCENE_GROUPS, "region_reading")


def build_suites(materials: Materials, groups: Iterable[str] = GROUPS) -> Iterator[Suite | Skipped]:
    """Yield the suites of the groups, in the order of `GROUPS`.

    Raises:
        ConfigError: a group is unknown.
    """
    wanted = set(groups)
    if unknown := wanted - set(GROUPS):
        raise ConfigError(f"suite {min(unknown)!r} is unknown; choose among {', '.join(GROUPS)}")
    for group in GROUPS:
        if group in wanted:
            yield from _suites_of(group, materials)


def _suites_of(group: str, materials: Materials) -> Iterator[Suite | Skipped]:
    kit = materials.kit
    match group:
        case "reading":
            yield Suite(group, FONTS, partial(_lines, kit), MEASURES[Task.OCR], True)
        case "pages":
            words = MEASURES[Task.OCR_WITH_REGION]
            yield Suite(group, FONTS, partial(_pages, kit), words, True)
        case "manuals":
            yield _manuals(materials.manuals)
        case "detection":
            yield from _detection(materials)
        case "region_reading":
            read = MEASURES[Task.REGION_TO_OCR]
            yield Suite(group, FONTS, partial(_parts_of_pages, kit), read)
        case _:
            task = SCENE_GROUPS[group]
            measure = _scene_measure(task, kit)
            splits: tuple[tuple[str, Split], ...] = ((SEEN, "train"), (HELD_OUT, "val"))
            for material, split in splits:
                yield Suite(group, material, partial(_scenes, kit, split, task, kit), measure)


def _manuals(paths: tuple[Path, ...]) -> Suite | Skipped:
    if not paths:
        return Skipped("manuals", MANUALS, "no PDFs were given (--manuals)")
    cut = partial(manual_records, paths, seed=SEED)
    return Suite("manuals", MANUALS, cut, MEASURES[Task.OCR_WITH_REGION], True)


def _detection(materials: Materials) -> Iterator[Suite | Skipped]:
    sources: tuple[tuple[str, Kit | None, Split, str], ...] = (
        (SEEN, materials.kit, "train", ""),
        (HELD_OUT, materials.kit, "val", ""),
        (TEST_STYLES, materials.test_styles, "val", "--test-styles"),
        (STAMPS, materials.stamps, "val", "--stamps"),
    )
    for material, kit, split, flag in sources:
        if kit is None:
            yield Skipped("detection", material, f"no kit was given ({flag})")
            continue
        records = partial(_scenes, kit, split, Task.OD, materials.kit)
        yield Suite("detection", material, records, MEASURES[Task.OD])


def _scene_measure(task: Task, kit: Kit) -> Measure:
    if task.is_caption:
        return partial(measure_captions, names={name: plural(name) for name in kit.categories})
    if task is Task.CAPTION_TO_PHRASE_GROUNDING:
        return partial(measure_grounding, phrases_of=caption_parts)
    return MEASURES[task]


def caption_parts(caption: str) -> list[str]:
    """Return the phrases of a caption of the worlds, without its background.

    >>> caption_parts("two red cars, a cat and an owl on a dark background")
    ['two red cars', 'a cat', 'an owl']
    """
    return re.split(r", | and ", caption.partition(" on ")[0])


def scenes_of(
    kit: Kit, test_styles: Kit | None, task: Task, count: int, seed: int = SEED
) -> Iterator[tuple[str, list[Record]]]:
    """Yield each material that scenes are made of with `count` records of a task."""
    yield SEEN, _scenes(kit, "train", task, kit, count, seed)
    yield HELD_OUT, _scenes(kit, "val", task, kit, count, seed)
    if test_styles is not None:
        yield TEST_STYLES, _scenes(test_styles, "val", task, kit, count, seed)


def _scenes(
    kit: Kit, split: Split, task: Task, vocabulary: Kit, count: int, seed: int = SEED
) -> list[Record]:
    """Make records of scenes; one that has nothing to ask about is passed over."""
    records: list[Record] = []
    index = 0
    while len(records) < count:
        made = scene(kit, seed, index, side=SCENE_SIDE, split=split, options=SCENES)
        records += scene_records(made, (task,), vocabulary=vocabulary.categories)
        index += 1
    return records


def _lines(kit: Kit, count: int) -> list[Record]:
    made = (line(kit, SEED, index, split="val", options=LINES) for index in range(count))
    return [record for each in made for record in line_records(each, (Task.OCR,))]


def _made_pages(kit: Kit, count: int) -> Iterator[Page]:
    for index in range(count):
        yield page(kit, SEED, index, side=PAGE_SIDE, split="val", options=PAGES)


def _pages(kit: Kit, count: int) -> list[Record]:
    """Make pages whose truth is words, so that nobody's cutting of lines is taken for true."""
    return [words_of_page(made) for made in _made_pages(kit, count)]


def words_of_page(made: Page) -> Record:
    """Ask for all words of a page with their places."""
    quads = [as_high_as_line(word, each.quad) for each in made.lines for word in each.word_quads]
    texts = [word for each in made.lines for word in each.text.split(" ")]
    result = Quads(np.array(quads), tuple(texts), image_size=made.image.shape[1::-1])
    return Record(made.image, Task.OCR_WITH_REGION, "", None, result, made.source)


def _parts_of_pages(kit: Kit, count: int) -> list[Record]:
    return [
        record
        for made in _made_pages(kit, count)
        for record in page_records(made, (Task.REGION_TO_OCR,))
    ]
