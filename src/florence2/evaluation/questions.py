"""Which records ask the same: a question is asked once and may have several references.

Captions of COCO come five to a picture. Each is a record; all are one question.
"""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from florence2.data.records import Record
from florence2.evaluation.text import composed
from florence2.results import Result, Text


def picture_of(record: Record) -> Hashable:
    """Equal for records of one picture: one file, or arrays of the same pixels.

    A Parquet file holds a picture once for each of its captions.
    """
    if isinstance(record.image, Path):
        return str(record.image)
    pixels = np.ascontiguousarray(record.image)
    return pixels.shape, hashlib.blake2b(pixels.data, digest_size=16).digest()


def question_of(record: Record) -> Hashable:
    """Equal for records that ask the same about one picture, in whatever form of Unicode."""
    region = None if record.region is None else tuple(map(float, record.region))
    prompt = None if record.prompt is None else composed(record.prompt)
    return picture_of(record), record.task, composed(record.text_input), region, prompt


def numbered(keys: Iterable[Hashable]) -> list[int]:
    """Number equal keys alike, from 0, in the order in which they come.

    >>> numbered("abac")
    [0, 1, 0, 2]
    """
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def pictures_of(records: Iterable[Record]) -> list[int]:
    """The number of the picture of each record, from 0."""
    return numbered(map(picture_of, records))


@dataclass(frozen=True)
class Asked:
    """A question about a picture with an answer in words.

    Attributes:
        found: the answer.
        references: true answers, one or more; one is empty only if all are.
        picture: its number, from 0.
        rows: of the given pairs, those that ask this and are answered so.
    """

    found: Text
    references: tuple[Text, ...]
    picture: int
    rows: tuple[int, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is true."""
        return not any(each.text.strip() for each in self.references)


def text_questions(answered: Sequence[tuple[Result, Record]]) -> list[Asked]:
    """Gather answers in words with their records to questions, each with all its references."""
    records = [record for _, record in answered]
    questions = list(map(question_of, records))
    references: dict[Hashable, dict[str, Text]] = {}
    rows: dict[tuple[Hashable, str], list[int]] = {}
    for row, ((found, record), question) in enumerate(zip(answered, questions, strict=True)):
        truth = cast(Text, record.result)
        references.setdefault(question, {}).setdefault(composed(truth.text), truth)
        rows.setdefault((question, cast(Text, found).text), []).append(row)
    pictures = pictures_of(records)
    asked = []
    for (question, _), its_rows in rows.items():
        texts = tuple(references[question].values())
        told = tuple(each for each in texts if each.text.strip())
        first = its_rows[0]
        found = cast(Text, answered[first][0])
        asked.append(Asked(found, told or texts, pictures[first], tuple(its_rows)))
    return asked
