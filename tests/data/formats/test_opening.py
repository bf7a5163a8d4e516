"""The format is found by looking, and the report tells everything."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import SIZE, detected, read, write_lines, write_picture, write_text

from florence2.data import FORMATS, Problem, ReadReport, Severity, detect_format, open_dataset
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.image_files import picture_size
from florence2.errors import DataError, ImageError, TaskError
from florence2.processing.images import open_image

NUMBERS = "0 0.5 0.5 0.5 0.5\n"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        pytest.param({"a.jsonl": '\n{"task": 1, "result": 1}'}, "jsonl", id="jsonl"),
        pytest.param({"a.jsonl": '\n{"prefix": 1, "suffix": 1}'}, "prefix_suffix", id="prefix"),
        pytest.param({"valid/a.jsonl": '{"prefix": 1, "suffix": 1}'}, "prefix_suffix", id="part"),
        pytest.param({"data/a.parquet": ""}, "parquet", id="parquet"),
        pytest.param({"my.yml": "names: [a]"}, "yolo", id="yaml"),
        pytest.param({"classes.txt": "a"}, "yolo", id="classes.txt"),
        pytest.param({"other.yaml": "a: 1", "a.json": "{}"}, "coco", id="another yaml"),
        pytest.param({"annotations/a.json": "{}"}, "coco", id="coco"),
        pytest.param({"train/_annotations.coco.json": "{}"}, "coco", id="roboflow"),
        pytest.param({"Annotations/1.xml": ""}, "voc", id="voc"),
        pytest.param({"1.xml": "", "1.png": ""}, "voc", id="voc beside"),
        pytest.param({"1.png": "", "1.txt": "a cat"}, "captions", id="captions"),
        pytest.param({"cat/1.png": ""}, "classes", id="classes"),
    ],
)
def test_the_format_of_a_folder_is_found(tmp_path: Path, files, wanted) -> None:
    for name, text in files.items():
        write_text(tmp_path / name, text)
    assert detect_format(tmp_path) == wanted


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.JSONL", '{"task": 1, "result": 1}', "jsonl"),
        ("a.json", "", "coco"),
        ("a.parquet", "", "parquet"),
        ("a.yaml", "", "yolo"),
    ],
)
def test_the_format_of_a_file_is_found(tmp_path: Path, name, text, wanted) -> None:
    assert detect_format(write_text(tmp_path / name, text)) == wanted


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"1.png": ""}, id="pictures alone"),
        pytest.param({"a.jsonl": '[1]\n{"text": 1}'}, id="other lines"),
        pytest.param({"a.jsonl": "no JSON"}, id="no lines"),
    ],
)
def test_the_formats_that_are_read_are_told(tmp_path: Path, files) -> None:
    for name, text in files.items():
        write_text(tmp_path / name, text)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    for name in FORMATS:
        assert name in str(caught.value)


def test_a_file_of_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no known format"):
        open_dataset(write_text(tmp_path / "a.csv", ""))


def test_numbers_beside_pictures_are_no_captions(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_text(tmp_path / "1.txt", NUMBERS)
    with pytest.raises(DataError, match=r"looks like YOLO labels .* put data.yaml"):
        open_dataset(tmp_path)
    (record,), _ = read(tmp_path, "captions")
    assert record.result.text == NUMBERS.strip()


def test_bad_arguments_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(tmp_path / "none", "coco")
    with pytest.raises(DataError, match="format 'csv' is unknown; choose one of jsonl"):
        open_dataset(tmp_path, "csv")
    with pytest.raises(TaskError, match="did you mean"):
        open_dataset(tmp_path, "coco", tasks=["odd"])


def test_a_folder_without_a_file_of_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \*\.jsonl or"):
        read(tmp_path, "jsonl")


def test_every_pass_reads_anew_and_reports_anew(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "1.png")
    write_jsonl([detected(picture), detected(picture)], tmp_path / "a.jsonl")
    dataset = open_dataset(tmp_path)
    assert len(list(dataset)) == 2
    first = dataset.report
    next(iter(dataset))
    assert first.num_records.total() == 2
    assert dataset.report.num_records.total() == 1


def test_the_report_tells_the_first_cases_and_counts_the_rest(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", *[{"image": number} for number in range(1200)])
    _, report = read(file, "jsonl")
    assert str(report).splitlines() == [
        "0 records",
        "lost: 1,200 rows that cannot be read",
        "  a.jsonl, line 1: field 'image' is 0; give a text",
        "  a.jsonl, line 2: field 'image' is 1; give a text",
        "  a.jsonl, line 3: field 'image' is 2; give a text",
        "  and 1,197 more",
    ]
    assert (report.count(Severity.LOSS), report.count(Severity.NOTE)) == (1200, 0)


def test_the_report_of_a_clean_dataset_is_one_line(tmp_path: Path) -> None:
    write_jsonl([detected(write_picture(tmp_path / "1.png"))], tmp_path / "a.jsonl")
    _, report = read(tmp_path)
    assert str(report) == "1 records: 1 <OD>"


def test_strict_reading_stops_at_losses_only() -> None:
    report = ReadReport(strict=True)
    for problem in Problem:
        if problem.severity is Severity.LOSS:
            with pytest.raises(DataError, match=r"a\.txt: why \(strict"):
                report.add(problem, "a.txt", "why")
        else:
            report.add(problem, "a.txt", "why")
            assert report.counts[problem] == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_header_tells_the_size_of_the_upright_picture(tmp_path, form, orientation) -> None:
    image = Image.fromarray(np.zeros((20, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "1", form, exif=exif)
    assert picture_size(tmp_path / "1") == open_image(tmp_path / "1").size
    assert picture_size(tmp_path / "1") == (SIZE[::-1] if orientation == 6 else SIZE)


@pytest.mark.parametrize(
    ("size", "words"), [((7, 40), "start at 8"), ((8, 808), "100 times"), (None, "no picture")]
)
def test_pictures_beyond_the_limits_are_refused(tmp_path: Path, size, words) -> None:
    path = tmp_path / "1.png"
    if size is not None:
        write_picture(path, size)
    with pytest.raises(ImageError, match=words):
        picture_size(path)
