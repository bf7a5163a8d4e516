"""Make florence2.json of the model in the package again, after its weights were exported.

python scripts/calibrate_nano.py KIT.zip PHOTOGRAPHS/ [--to FOLDER] [--reading-min-score 0.6]

KIT.zip is that of the training, PHOTOGRAPHS a folder of some hundred photographs; crops of one
picture are named `a--1.jpg`, `a--2.jpg`. The probe of familiarity is fitted on two thirds of the
photographs and on scenes, pages, lines and screens; curves and thresholds on scenes that neither a
training nor `florence2-lab eval` draws. A threshold is the lowest score above which an object is
rather right than wrong, and above which the photographs have 0.1 objects each at most; or a higher
one, as long as that loses 2 % of what is rightly found. Takes five
minutes on one core. What it is worth is then told by the photographs that it left out, and by

    florence2-lab photographs PHOTOGRAPHS/ --kit KIT.zip --test-styles STYLES.zip
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
from export_nano import PACKAGE
from PIL import Image

from florence2 import Florence2, Request, Task
from florence2.answers.defaults import AnswerDefaults, Familiarity, ReadingDefaults, scaled
from florence2.checkpoints.answer_settings import write_answer_settings
from florence2.checkpoints.sources import ANSWERS
from florence2.errors import DataError
from florence2.evaluation.calibration_fit import KINDS, fit, fit_curve
from florence2.geometry import Array
from florence2.processing.images import ImageSource, open_image
from florence2.results import Result
from florence2_lab.suites.familiarity import fit_familiarity
from florence2_lab.suites.photographs import (
    TASKS,
    Found,
    judged,
    nothing_right,
    photographs,
    words_for,
)
from florence2_lab.suites.worlds_suites import LINES, PAGE_SIDE, PAGES, SCENE_SIDE, scenes_of
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.lines import line
from florence2_lab.worlds.pages import page
from florence2_lab.worlds.screens import screen

SEED = 700_001  # neither that of a training nor that of the tables
CROPS = 2  # of each photograph, so that parts of things are photographs too
MAX_LOST = 0.02  # share of what is rightly found that a threshold may cost for being higher
MAX_ON_PHOTOGRAPHS = 0.1  # objects a picture, so that 0.2 holds for others too
NOT_CALIBRATED = {Task.DENSE_REGION_CAPTION}  # no description is right word for word
MAX_ASKED = 120  # photographs that each task is asked of
DIGITS = 6

Seen = tuple[ImageSource, Result]  # a picture, and what was found in it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--to", type=Path, default=PACKAGE, help="the checkpoint's folder")
    parser.add_argument("--count", type=int, default=300, help="scenes of each material")
    parser.add_argument("--reading-min-score", type=float, default=ReadingDefaults.min_score)
    parser.add_argument("--reading-rows", type=int, default=ReadingDefaults.rows)
    arguments = parser.parse_args()
    kit = Kit(arguments.kit)
    model = Florence2.load(str(arguments.to), calibration=None)
    model.engine.rename("nano")
    fitted, held_out = divided(photographs(arguments.photographs))
    probe = familiarity(model, kit, fitted, arguments.count)
    for what, pictures in (("fitted", fitted), ("held out", held_out)):
        known = np.mean([probe(mean_token(model, each)) > 0.5 for each in pictures])
        print(f"{len(pictures)} photographs {what}: {known:.3f} taken for known", file=sys.stderr)
    defaults = AnswerDefaults(
        familiarity=probe,
        reading=ReadingDefaults(arguments.reading_min_score, arguments.reading_rows),
        fingerprint=model.fingerprint,
    )
    for task in TASKS:
        defaults = with_task(defaults, model, kit, fitted, task, arguments.count)
    measured = {"scenes": 2 * arguments.count, "photographs": len(fitted)}
    write_answer_settings(arguments.to / ANSWERS, defaults, measured)


def divided(
    pictures: Sequence[tuple[str, ImageSource]],
) -> tuple[list[ImageSource], list[ImageSource]]:
    """Two thirds and one third of the photographs, crops of one picture on one side."""
    parts: tuple[list[ImageSource], list[ImageSource]] = ([], [])
    for name, image in pictures:
        original = Path(name).stem.partition("--")[0]
        parts[crc32(original.encode()) % 3 == 0].append(image)
    return parts


def mean_token(model: Florence2, image: ImageSource) -> Array:
    return model.encode_image(image).image_tokens.mean()


def familiarity(
    model: Florence2, kit: Kit, pictures: Sequence[ImageSource], count: int
) -> Familiarity:
    """Fit the probe; its weights are rounded, so that the file stays small."""
    known = np.array([mean_token(model, each) for each in known_pictures(kit, count)])
    unknown = np.array([mean_token(model, each) for each in with_crops(pictures)])
    probe = fit_familiarity(known, unknown)
    return Familiarity(probe.weights.round(DIGITS), round(probe.bias, DIGITS))


def known_pictures(kit: Kit, count: int) -> Iterator[ImageSource]:
    """Scenes, lines, pages and screens of a kit."""
    for _, records in scenes_of(kit, None, Task.OD, count, SEED):
        yield from (record.picture() for record in records)
    for index in range(count // 2):
        split: Split = "train" if index % 2 else "val"
        yield line(kit, SEED, index, split=split, options=LINES).image
        yield page(kit, SEED, index, side=PAGE_SIDE, split=split, options=PAGES).image
        yield screen(kit, SEED, index, side=(SCENE_SIDE, PAGE_SIDE)[index % 2], split=split).image


def with_crops(pictures: Iterable[ImageSource]) -> Iterator[Image.Image]:
    """Each picture, and some parts of it."""
    rng = random.Random(SEED)
    for each in pictures:
        picture = open_image(each)
        yield picture
        for _ in range(CROPS):
            width, height = (max(8, int(side * rng.uniform(0.35, 0.9))) for side in picture.size)
            x, y = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
            yield picture.crop((x, y, x + width, y + height))


def with_task(
    defaults: AnswerDefaults,
    model: Florence2,
    kit: Kit,
    pictures: Sequence[ImageSource],
    task: Task,
    count: int,
) -> AnswerDefaults:
    """Add the curves of a task where it can have some, and its threshold."""
    if task is Task.OPEN_VOCABULARY_DETECTION:
        count *= 2  # most of what it is asked for is absent
    records = [each for _, part in scenes_of(kit, None, task, count, SEED) for each in part]
    pictures = pictures[:: -(-len(pictures) // MAX_ASKED)]
    questions = (
        Request(picture, task, words_for(task, kit.categories, at), None, 0.0)
        for at, picture in enumerate(pictures)
    )
    scenes = model.engine.answer(Request(r.image, task, r.text_input, None, 0.0) for r in records)
    photos = model.engine.answer(questions)
    answers = [answer.result for answer in (*scenes, *photos)]
    curves = defaults.calibrations
    if task.answer_kind in KINDS and task not in NOT_CALIBRATED:
        pairs = [(each.result, record.result) for each, record in zip(scenes, records, strict=True)]
        try:
            curve = fit(pairs, model.name, model.fingerprint, task)
        except DataError as error:  # its plain scores have a threshold all the same
            print(f"{task.name.lower()}: no curve: {error}", file=sys.stderr)
        else:
            curves = (*curves, replace(curve, measured={}))
            answers = [curve.apply(result, task) for result in answers]
    probe = defaults.familiarity
    assert probe is not None, "it was fitted before"
    tokens = [answer.image.image_tokens.mean() for answer in (*scenes, *photos) if answer.image]
    results = [scaled(*each) for each in zip(answers, map(probe, tokens), strict=True)]
    least = threshold(
        [judged(*each) for each in zip(results[: len(records)], records, strict=True)],
        list(map(nothing_right, results[len(records) :])),
    )
    print(f"{task.name.lower()}: {least}", file=sys.stderr)
    return replace(defaults, calibrations=curves, min_scores={**defaults.min_scores, task: least})


def threshold(scenes: Sequence[Found], photos: Sequence[Found]) -> float:
    """The lowest score above which objects are rather right, and rare on photographs."""
    scores = np.array([score for each in scenes for score in each.scores])
    right = np.array([verdict for each in scenes for verdict in each.right])
    curve = fit_curve(scores, right)
    grid = np.linspace(0.0, scores.max(), 1001)
    likely = grid[curve(grid) >= 0.5].min(initial=1.0)
    found = sorted((score for each in photos for score in each.scores), reverse=True)
    allowed = int(MAX_ON_PHOTOGRAPHS * len(photos))
    rare = found[allowed] if allowed < len(found) else 0.0
    free = np.quantile(scores[right], MAX_LOST) if right.any() else 0.0
    return float(np.floor(max(likely, rare, free) * 1000) / 1000)


if __name__ == "__main__":
    main()
