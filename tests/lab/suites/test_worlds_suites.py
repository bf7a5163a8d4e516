"""Suites: who knows everything gets everything, who says nothing gets nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from answerers import Oracle, Silent
from florence2.errors import ConfigError
from florence2.evaluation.report import (
    PICTURE_HEIGHT,
    TILE_WIDTH,
    Report,
    draw_sheet,
    markdown,
    run_suites,
)
from florence2.evaluation.suites import Skipped, Suite
from florence2.tasks import Task
from florence2_lab.suites.watch import evaluate_worlds
from florence2_lab.suites.worlds_suites import GROUPS, Materials, build_suites
from florence2_lab.worlds.kit import Kit

COUNT = 6
PERFECT = {"cer": 0.0, "cider": 10.0}  # others are 1
WORST = {"cer": 1.0}  # others are 0


@pytest.fixture(scope="module")
def suites(kit: Kit) -> list[Suite | Skipped]:
    return list(build_suites(Materials(kit, test_styles=kit)))


@pytest.fixture(scope="module")
def perfect(suites: list[Suite | Skipped]) -> Report:
    readers = {"a mute reader": Silent()}
    return run_suites(suites, ("oracle", Oracle()), readers, COUNT)


def test_who_knows_every_answer_gets_one_in_every_suite(perfect: Report) -> None:
    rows = [row for row in perfect.rows if row.answerer == "oracle"]
    wrong = {
        f"{row.group}/{row.material}/{name}": number.value
        for row in rows
        for name, number in row.numbers.items()
        if number.value != pytest.approx(PERFECT.get(name, 1.0))
        # CIDEr of fewer than four words is below 10, however right they are.
        and (row.group, name) != ("region_description", "cider")
    }
    assert wrong == {}
    assert {row.group for row in rows} == {*GROUPS} - {"manuals"}


def test_who_says_nothing_gets_nothing(suites: list[Suite | Skipped]) -> None:
    report = run_suites(suites, ("silent", Silent()), {}, COUNT)
    found = {
        f"{row.group}/{row.material}/{name}": number.value
        for row in report.rows
        for name, number in row.numbers.items()
        # Silence is the right answer to what is not there.
        if name != "absent_silent" and number.value != WORST.get(name, 0.0)
    }
    assert found == {}


def test_every_task_is_asked(perfect: Report) -> None:
    assert list(perfect.malformed) == list(Task)


def test_other_readers_are_asked_where_text_is_read(perfect: Report) -> None:
    asked = {row.group for row in perfect.rows if row.answerer == "a mute reader"}
    assert asked == {"reading", "pages"}


def test_what_has_no_material_is_left_out_with_the_reason(perfect: Report) -> None:
    left_out = {(each.group, each.reason) for each in perfect.skipped}
    assert left_out == {
        ("manuals", "no PDFs were given (--manuals)"),
        ("detection", "no kit was given (--stamps)"),
    }
    assert "Left out: manuals" in markdown(perfect)


def test_the_same_pictures_are_asked_about_every_time(kit: Kit) -> None:
    (suite,) = build_suites(Materials(kit), ["reading"])
    assert isinstance(suite, Suite)
    first, second = suite.records(3), suite.records(5)
    assert [each.source for each in first] == [each.source for each in second[:3]]
    assert all("/val/" in each.source for each in second)


def test_the_report_is_json_and_a_table(perfect: Report) -> None:
    told = json.loads(json.dumps(perfect.to_dict()))
    assert told["rows"][0]["numbers"]["cer"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "| reading | 6 of unseen fonts | oracle | character error rate **0.000**" in markdown(
        perfect
    )


def test_the_sheet_shows_every_suite_from_the_best_to_the_worst(perfect: Report) -> None:
    assert len(perfect.shown) == len({(row.group, row.material) for row in perfect.rows})
    ends = {title: [answers[0], answers[-1]] for title, answers in perfect.shown.items()}
    page = draw_sheet(replace(perfect, shown=ends))  # all six of each take long to draw
    assert page.width > 2 * TILE_WIDTH
    assert page.height > len(ends) * PICTURE_HEIGHT
    assert len(page.getcolors(1 << 24) or []) > 1000  # pictures, not an empty page


def test_an_unknown_suite_is_refused(kit: Kit) -> None:
    with pytest.raises(ConfigError, match="'readings' is unknown; choose among reading"):
        list(build_suites(Materials(kit), ["readings"]))


def test_training_watches_a_few_numbers(kit: Kit) -> None:
    numbers = evaluate_worlds(Oracle(), kit, 3, ("reading", "detection"))
    assert numbers["reading/unseen_fonts/cer"] == 0.0
    assert numbers["detection/held-out_drawings/ap50"] == pytest.approx(1.0)
    assert numbers["detection/styles_of_training/malformed"] == 0.0


@pytest.mark.process
def test_watching_needs_no_library_of_building_and_testing(kit_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('faster_coco_eval', 'fontTools', 'resvg_py', 'pyarrow'):\n"
        "    sys.modules[name] = None\n"  # an import of it fails
        "from florence2_lab.suites.watch import evaluate_worlds\n"
        "from florence2_lab.worlds.kit import Kit\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from answerers import Silent\n"
        f"print(len(evaluate_worlds(Silent(), Kit({str(kit_path)!r}), 2)) > 20)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr
