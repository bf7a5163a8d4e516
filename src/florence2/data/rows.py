"""A record as one row of plain values, which JSON lines and Parquet files share."""

from collections.abc import Iterator, Sequence
from typing import Any

from florence2.answers import parse_answer
from florence2.data.files import field_of
from florence2.data.records import Federated, Ignored, Picture, Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Box, Size
from florence2.results import Boxes, Text, from_dict
from florence2.tasks import Task, task_column


def record_row(record: Record) -> dict[str, Any]:
    """Write everything but the picture as JSON values."""
    return {
        "task": None if record.task is None else record.task.token,
        "text_input": record.text_input,
        "region": None if record.region is None else [float(side) for side in record.region],
        "result": record.result.to_dict(),
        "source": record.source,
        "prompt": record.prompt,
    } | {
        name: row
        for name, row in (
            ("ignored", record.ignored and _ignored_row(record.ignored)),
            ("federated", record.federated and _federated_row(record.federated)),
        )
        if row
    }


def _ignored_row(ignored: Ignored) -> dict[str, Any]:
    boxes = ignored.boxes
    return {
        "xyxy": boxes.xyxy.tolist(),
        "labels": list(boxes.labels),
        "crowds": list(ignored.crowds),
    }


def _federated_row(federated: Federated) -> dict[str, Any]:
    return {name: sorted(names) for name, names in vars(federated).items()}


def row_record(row: dict[str, Any], picture: Picture, size: Size, where: str) -> Record:
    """Rebuild a record; the inverse of `record_row`."""
    prompt = None if row.get("prompt") is None else field_of(row, "prompt")
    to_the_letter = prompt is not None and row.get("task") is None
    task = None if to_the_letter else Task.parse(field_of(row, "task"))
    answer = row.get("result")
    if not isinstance(answer, dict):
        raise DataError(f"field 'result' is {answer!r}; give what result.to_dict wrote")
    result = from_dict(answer)
    if result.image_size != size:
        raise DataError(f"the result is for {result.image_size!r} pixels, the picture has {size!r}")
    region = _region(row.get("region"))
    text_input = field_of(row, "text_input", "")
    source = field_of(row, "source", where)
    if to_the_letter and isinstance(result, Text) and not result.pieces:
        result = parse_answer(result.text, None, size)  # its places are told in the text alone
    ignored = _ignored(row.get("ignored"), size)
    federated = _federated(row.get("federated"))
    return Record(picture, task, text_input, region, result, source, prompt, ignored, federated)


def _federated(given: Any) -> Federated | None:
    if given is None:
        return None
    names = given if isinstance(given, dict) else {}
    lists = [names.get(name) for name in ("negatives", "not_exhaustive")]
    if not all(isinstance(each, list) and all(isinstance(n, str) for n in each) for each in lists):
        raise DataError(
            f"field 'federated' is {given!r}; give lists of names as negatives and not_exhaustive,"
            " or null"
        )
    return Federated(*(frozenset(each or ()) for each in lists))


def _ignored(given: Any, size: Size) -> Ignored | None:
    if given is None:
        return None
    try:
        boxes = Boxes(given["xyxy"], given["labels"], image_size=size)
        crowds = tuple(bool(each) for each in given["crowds"])
        if len(crowds) != len(boxes.labels):
            raise ValueError("as many crowds as labels")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"field 'ignored' is {given!r}; give xyxy, labels and crowds, or null ({error})"
        ) from error
    return Ignored(boxes, crowds)


def _region(given: Any) -> Box | None:
    if given is None:
        return None
    try:
        x_min, y_min, x_max, y_max = (float(side) for side in given)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"field 'region' is {given!r}; give x_min, y_min, x_max, y_max in pixels, or null"
        ) from error
    return x_min, y_min, x_max, y_max


def asked_record(
    row: dict[str, Any],
    picture: Picture,
    size: Size,
    where: str,
    tasks: Sequence[Task],
    report: ReadReport,
) -> Iterator[Record]:
    """Yield the record of a row if it is sound and of one of the tasks; count it if not."""
    try:
        record = row_record(row, picture, size, where)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return
    if tasks and record.task not in tasks:
        report.add(Problem.OTHER_TASK, where, task_column(record.task))
        return
    yield from report.accept(record, where)
