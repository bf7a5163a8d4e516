"""Plain rows of COCO files taken many at a time, against one at a time."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import SIZE, read, write_picture

from florence2.data.formats import coco_rows
from florence2.errors import DataError
from florence2.tasks import Task

ODD = [None, True, "", "3", "x", -1, 0, 1e400, [], [1], {"a": 1}, 10**400, "1_0", 0.5]
ids = st.one_of(st.integers(0, 4), st.sampled_from(ODD))
near = st.one_of(
    st.integers(-3, 45),
    st.floats(-3, 45, width=16),
    st.sampled_from([0, 0.25, 0.5, 1, 20, 40]),
)
values = st.one_of(near, near, near, near, near, near, near, st.sampled_from(ODD))
boxes = st.one_of(
    st.lists(near, min_size=4, max_size=4),
    st.lists(values, min_size=4, max_size=4),
    st.sampled_from([None, [], [1, 2, 3], "1 2 3 4", [0.1, 0.2, 0.3, 0.4], [1, 2, 10, 5]]),
)
points = st.lists(st.tuples(near, near), min_size=1, max_size=6).map(
    lambda pairs: [side for pair in pairs for side in pair]
)
polygons = st.one_of(points, points, points, st.lists(values, max_size=9))
runs = st.sampled_from([[20, 20, 760], "d0d0hg0", [1, 2], 4])
outlines = st.one_of(
    st.just([[1, 2, 11, 2, 1, 7]]),
    st.lists(polygons, max_size=3),
    points,
    runs.map(lambda counts: {"size": [20, 40], "counts": counts}),
    st.sampled_from(ODD),
)
flags = st.dictionaries(
    st.sampled_from(["iscrowd", "IsGroupOf", "ignore", "score", "area"]),
    st.sampled_from([0, 1, "0", "1", 0.5, None]),
    max_size=2,
)


@st.composite
def rows(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 30)) == 0:
        return draw(st.sampled_from(ODD))
    row = {"id": draw(ids), "image_id": draw(st.one_of(st.integers(1, 2), ids))}
    row |= {"category_id": draw(st.one_of(st.sampled_from([3, 5]), ids)), "bbox": draw(boxes)}
    if draw(st.booleans()):
        row["segmentation"] = draw(outlines)
    if draw(st.integers(0, 3)) == 0:
        row |= draw(flags)
    if draw(st.integers(0, 9)) == 0:
        row["attributes"] = draw(flags)
    return row


@st.composite
def files(draw: st.DrawFn) -> Any:
    images = [
        {"id": number, "file_name": f"{number}.png", **draw(st.sampled_from(SIZES))}
        for number in draw(st.sampled_from([[1, 2], [1, 2, 2], [2, 1, "1"], [1]]))
    ]
    if draw(st.booleans()):
        images.append({"id": 4, "file_name": "1.png", "width": 40, "height": 20})
    names = st.sampled_from(["cat", " cat ", "", "<loc_3>", "<loc_1000>", "ant"])
    categories = [{"id": 3, "name": draw(names)}, {"id": 5, "name": draw(names)}]
    annotations = draw(st.lists(rows(), max_size=8))
    return {"images": images, "annotations": annotations, "categories": categories}


SIZES = [{"width": 40, "height": 20}] * 4 + [{}, {"width": 41, "height": 20}, {"width": "x"}]
TASKS = [Task.OD, Task.REGION_PROPOSAL, Task.OPEN_VOCABULARY_DETECTION, Task.REGION_TO_CATEGORY]
TASKS += [Task.REFERRING_EXPRESSION_SEGMENTATION, Task.REGION_TO_SEGMENTATION]


def told(file: Path, **options: Any) -> Any:
    """All that a pass gives and tells, in order."""
    try:
        records, report = read(file, **options)
    except DataError as error:
        return str(error)
    given_back = [
        (
            *(record.image, record.task, record.text_input, record.region, record.source),
            record.result.to_dict(),
            record.ignored and (record.ignored.boxes.to_dict(), record.ignored.crowds),
        )
        for record in records
    ]
    return given_back, report.cases, dict(report.counts), report.num_records, str(report)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    for number in (1, 2):
        write_picture(folder / f"{number}.png", SIZE)
    return folder


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(files(), st.lists(st.sampled_from(TASKS), max_size=2), st.booleans(), st.integers(1, 3))
def test_rows_taken_together_are_as_each_by_itself(folder, data, tasks, strict, batch) -> None:
    file = folder / "a.json"
    file.write_text(json.dumps(data))
    options = {"tasks": tasks, "strict": strict}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_rows, "_BATCH", batch)
        together = told(file, **options)
        patch.setattr(coco_rows, "_odd", lambda rows: [True] * len(rows))
        assert together == told(file, **options)


def test_plain_rows_are_taken_together(folder: Path) -> None:
    """Else the test above compared a way with itself."""
    row: dict[str, Any] = {"bbox": [1, 2, 10, 5], "segmentation": [[1, 2, 11, 2, 1, 7]]}
    rows: list[Any] = [{"category_id": 3, **row}, {"category_id": 4, **row}]
    found = coco_rows.PlainRows(rows, [1, 1], {1: SIZE}, {3: "cat"}, outlines=True)
    assert rows[0] is None and rows[1] is not None
    (item,) = found.objects([0])
    assert (item.label, item.box) == ("cat", (1, 2, 11, 7))
    assert [part.tolist() for part in item.parts] == [[[1, 2], [11, 2], [1, 7]]]
