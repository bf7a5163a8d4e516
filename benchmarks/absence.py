"""Is a phrase that is not there told to be absent? Precision and recall of absence.

    python benchmarks/absence.py KIT.zip [--model nano] [--count 400]

Open-vocabulary detection and phrase grounding on held-out scenes, where a part of what is asked
for is not in the picture. Who tells that a phrase is absent?

    silence   nothing is checked: a phrase is absent if the model writes no box for it
    score     its score of presence is below a threshold
    boxed     the same for a model that never is silent, as the published ones, which give every
              phrase a box: ending at once is no evidence, so only what the region shows tells

The form of the score was chosen among others on the first of these scenes; they are passed over,
and what is measured comes behind them. "F1" is that of the boxes, after those of absent phrases are
left out (`min_presence`). "ranked" is how often a phrase that is there has a higher score than one
that is not. Each phrase costs three short passes of the text encoder and some seven of the decoder,
in batches of 16. Prints tables, and JSON as the last line.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from common import kit_parser, told

from florence2 import Boxes, Florence2, GenerationOptions, Request, Task
from florence2.data.records import Record
from florence2.engine.presence import PhraseQuery, PresenceEvidence
from florence2.evaluation.detection import count_boxes
from florence2.evaluation.intervals import Interval, ratio
from florence2.evaluation.suites import Suite
from florence2.pipelines.presence import collect_evidence
from florence2.results import Absent, as_boxes
from florence2.tasks import split_classes
from florence2_lab.suites.worlds_suites import HELD_OUT, Materials, build_suites, caption_parts
from florence2_lab.worlds.kit import Kit

GROUPS = ("open_vocabulary", "grounding")
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CHOSEN_ON = 400  # questions of each task, at most, that the form of the score was chosen on
BATCH = 32
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=150, no_repeat_ngram_size=0)


@dataclass(frozen=True)
class Asked:
    """A phrase of a question: is it there, did it get no box, and what speaks for it?"""

    phrase: str
    is_there: bool
    is_silent: bool
    evidence: PresenceEvidence


@dataclass(frozen=True)
class Answered:
    """A question with its true boxes, those that were found, and its phrases."""

    truth: Boxes
    found: Boxes
    phrases: tuple[Asked, ...]


Tells = Callable[[Asked], bool]  # that a phrase is absent


def phrases_of(record: Record, truth: Boxes) -> list[str]:
    """Return what a question asks for: classes, the phrases of a caption, or a single phrase."""
    if record.task is Task.OPEN_VOCABULARY_DETECTION:
        return split_classes(record.text_input)
    parts = caption_parts(record.text_input)
    return parts if set(truth.labels) & {*parts} else [record.text_input]


def ask(model: Florence2, records: Sequence[Record]) -> Iterator[Answered]:
    """Ask every question as published, and for the presence of each of its phrases."""
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        seen = [model.encode_image(record.picture()) for record in batch]
        pairs = list(zip(seen, batch, strict=True))
        requests = [
            Request(image, record.task, record.text_input, generation=GREEDY)
            for image, record in pairs
        ]
        answers = model.engine.answer(requests)
        for (image, record), answer in zip(pairs, answers, strict=True):
            truth, found = as_boxes(record.result), as_boxes(answer.result)
            phrases = phrases_of(record, truth)
            queries = [PhraseQuery(image, record.task, phrase) for phrase in phrases]
            evidence = collect_evidence(model.engine, queries)
            asked = tuple(
                Asked(phrase, phrase in truth.labels, phrase not in found.labels, its_evidence)
                for phrase, its_evidence in zip(phrases, evidence, strict=True)
            )
            yield Answered(truth, found, asked)


def absence(answered: Sequence[Answered], tells: Tells) -> dict[str, Interval]:
    """Precision and recall of telling absence; intervals over pictures."""
    told = [[each for each in picture.phrases if tells(each)] for picture in answered]
    right = [sum(not each.is_there for each in phrases) for phrases in told]
    absent = [sum(not each.is_there for each in picture.phrases) for picture in answered]
    return {"precision": ratio(right, list(map(len, told))), "recall": ratio(right, absent)}


def box_f1(answered: Sequence[Answered], threshold: float) -> Interval:
    """F1 of boxes with their labels at IoU 0.5, after those of absent phrases are left out."""
    right, either = [], []
    for picture in answered:
        absent = [
            Absent(each.phrase, each.evidence.score)
            for each in picture.phrases
            if each.evidence.score < threshold
        ]
        counts = count_boxes(picture.found.drop_absent(absent), picture.truth)
        right.append(2 * counts.right_boxes)
        either.append(counts.found_boxes + counts.true_boxes)
    return ratio(right, either)


def ranked(answered: Sequence[Answered], score: Callable[[PresenceEvidence], float]) -> float:
    """How often what is there has the higher score, ties counted half."""
    asked = [each for picture in answered for each in picture.phrases]
    there, not_there = (
        np.array([score(each.evidence) for each in asked if each.is_there is wanted])
        for wanted in (True, False)
    )
    above = there[:, None] - not_there[None, :]
    return float(np.mean(above > 0) + np.mean(above == 0) / 2)


def boxed(evidence: PresenceEvidence) -> float:
    """The score where ending at once is no evidence."""
    return PresenceEvidence(0.0, evidence.region_log_odds).score


def measure(answered: Sequence[Answered]) -> dict[str, Any]:
    """All numbers of a task."""
    asked = [each for picture in answered for each in picture.phrases]
    rows = {"silence": absence(answered, lambda each: each.is_silent) | {"F1": box_f1(answered, 0)}}
    for least in THRESHOLDS:
        told = absence(answered, partial(_below, least, lambda evidence: evidence.score))
        rows[f"score < {least}"] = told | {"F1": box_f1(answered, least)}
    for least in THRESHOLDS:
        rows[f"boxed < {least}"] = absence(answered, partial(_below, least, boxed))
    return {
        "pictures": len(answered),
        "phrases": len(asked),
        "absent": sum(not each.is_there for each in asked),
        "rows": {
            name: {what: each.to_dict() for what, each in row.items()} for name, row in rows.items()
        },
        "ranked": {
            "score": ranked(answered, lambda evidence: evidence.score),
            "written": ranked(answered, lambda evidence: evidence.text_log_odds),
            "seen": ranked(answered, lambda evidence: evidence.region_log_odds),
        },
    }


def _below(least: float, score: Callable[[PresenceEvidence], float], asked: Asked) -> bool:
    return score(asked.evidence) < least


def show(group: str, numbers: dict[str, Any]) -> None:
    print(f"{group}: {numbers['phrases']} phrases, {numbers['absent']} of them absent")
    for name, row in numbers["rows"].items():
        print(f"  {name:12}  {told({what: Interval(**each) for what, each in row.items()})}")
    print("  ranked", *(f"{name} {value:.3f}" for name, value in numbers["ranked"].items()))


def main() -> None:
    arguments = kit_parser(__doc__, count=400).parse_args()
    model = Florence2.load(arguments.model, calibration=None)
    table = {}
    for suite in build_suites(Materials(Kit(arguments.kit)), GROUPS):
        if isinstance(suite, Suite) and suite.material == HELD_OUT:
            records = suite.records(CHOSEN_ON + arguments.count)[CHOSEN_ON:]
            table[suite.group] = measure(list(ask(model, records)))
            show(suite.group, table[suite.group])
    print(json.dumps({"model": arguments.model, "count": arguments.count, **table}))


if __name__ == "__main__":
    main()
