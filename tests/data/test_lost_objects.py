"""Every object in the files is in a record or is told, and no lost one leaves a lie behind."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from layouts import LAYOUTS, Layout, write_layout

from florence2.data import open_dataset
from florence2.data.objects import COMPLETE_TASKS
from florence2.errors import Florence2Error
from florence2.tasks import Task

NO_OBJECTS = {"captions", "classes", "prefix_suffix", "ocr_lines", "ocr_regions", None}
OBJECTS = [
    layout
    for layout in LAYOUTS
    if layout.read_as not in NO_OBJECTS and "caption" not in layout.name
]
# Where a row tells its picture by a number, another number is another picture: nobody can see it.
WORDS = re.compile(r"""(?<!"image_id": )(?<!"id": )(?<!frame=')[\w.-]+""")
ROUNDS = 12
JUNK = ("x7", "-7", "1e999", "nan", "0")


def change_a_word(text: str, rng: random.Random) -> str:
    """Put junk in place of one name or number; what stands around it stays."""
    at = rng.choice(list(WORDS.finditer(text)))
    return text[: at.start()] + rng.choice(JUNK) + text[at.end() :]


@pytest.mark.parametrize("layout", OBJECTS, ids=lambda layout: layout.name)
def test_an_object_is_in_a_record_or_told(tmp_path: Path, layout: Layout) -> None:
    rng = random.Random(layout.name)
    labels = [name for name, text in layout.files.items() if text]
    tasks = [*COMPLETE_TASKS, Task.REGION_TO_CATEGORY]
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_layout(layout, folder)
        name = rng.choice(labels)
        text = change_a_word(layout.files[name], rng)
        (folder / name).write_text(text, encoding="utf-8")
        try:
            dataset = open_dataset(folder, layout.read_as, tasks=tasks, split=layout.split)
            records = list(dataset)
        except Florence2Error:
            continue
        asked = Counter(record.task for record in records)
        empty = [
            record
            for record in records
            if record.task is Task.OD and not record.result.labels and not record.ignored
        ]
        assert empty == [], f"{name} with a word changed says that nothing is there: {text}"
        told = sum(dataset.report.counts.values())
        ignored = sum(len(record.ignored.crowds) for record in records if record.ignored)
        assert asked[Task.REGION_TO_CATEGORY] + ignored + told >= layout.records, text
