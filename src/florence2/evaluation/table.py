"""The report as a Markdown table."""

from collections.abc import Sequence

from florence2.evaluation.intervals import Interval
from florence2.evaluation.report import Report, Row

# What numbers are called; those not named here keep their names.
WORDS = {
    "cer": "character error rate",
    "exact": "without an error",
    "f1": "F1",
    "ap": "AP",
    "ap50": "AP50",
    "box_f1": "F1 without names",
    "box_ap": "AP without names",
    "box_ap50": "AP50 without names",
    "absent_silent": "absent ones answered with nothing",
    "mean_iou": "mean IoU",
    "all_iou": "IoU of all pixels",
    "word_f1": "F1 of words",
    "names_precision": "names, precision",
    "names_recall": "names, recall",
}


def markdown(report: Report) -> str:
    """Write a report for people; every number with its 95 % interval."""
    lines = [
        "| what | pictures | answered by | measured (95 % interval) |",
        "|---|---|---|---|",
        *(_line(row) for row in report.rows),
    ]
    if report.malformed:
        lines += ["", "| task | answers that break its grammar |", "|---|---|"]
        lines += [
            f"| `{task.token}` | {_number(share)} |" for task, share in report.malformed.items()
        ]
    lines += _notes(report.rows)
    lines += [
        f"- Left out: {each.group} on {each.material}: {each.reason}." for each in report.skipped
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    numbers = [f"{WORDS.get(name, name)} {_number(each)}" for name, each in row.numbers.items()]
    pictures = f"{row.count} of {row.material}"
    group = row.group.replace("_", " ")
    return f"| {group} | {pictures} | {row.answerer} | {'; '.join(numbers)} |"


def _number(interval: Interval) -> str:
    return f"**{interval.value:.3f}** ({interval.low:.3f}-{interval.high:.3f})"


def _notes(rows: Sequence[Row]) -> list[str]:
    ranked = sorted({row.notes["ranked_by"] for row in rows if "ranked_by" in row.notes})
    return ["", *(f"- AP: boxes ranked by the {way}." for way in ranked)]
