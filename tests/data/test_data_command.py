"""`florence2 data`: what a dataset would teach, in words, as JSON, drawn; and other formats."""

import json
from pathlib import Path

import pytest
from PIL import Image

from florence2.cli.main import main
from florence2.data import open_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three pictures: an object and a crowd, nothing, an object of an unknown class."""
    for number in range(3):
        picture = Image.effect_mandelbrot((60, 40), (-2, -1, 1, 1), 3 + 9 * number).convert("RGB")
        picture.save(tmp_path / f"{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 20, 10]},
            {"id": 2, "image_id": 0, "category_id": 1, "bbox": [30, 2, 20, 10], "iscrowd": 1},
            {"id": 3, "image_id": 2, "category_id": 7, "bbox": [1, 2, 20, 10]},
        ],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    return file


def test_json_tells_what_it_would_teach(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(dataset), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    wanted = {"format": "coco", "pictures": 3, "records": 2, "objects": 1, "negatives": 1}
    assert {name: line[name] for name in wanted} == wanted
    assert (line["ignored"], line["names"], line["parts"]) == (1, {"cat": 1}, {})
    assert line["copies"] == 0
    met = {row["what"]: (row["kind"], row["number"]) for row in line["told"]}
    assert met["objects without a usable class name"] == ("lost", 1)
    assert met["pictures left out, since something in them was lost"] == ("lost", 1)
    assert all(row["reasons"] for row in line["told"])


def test_people_get_lines_and_a_sheet(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["data", str(dataset), "--sheet", str(sheet), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "negatives  1 pictures with nothing in them" in printed
    assert "category_id 7 is no class of this file" in printed
    assert "copies" not in printed  # nobody looked
    with Image.open(sheet) as page:
        assert page.width > 500 and len(page.getcolors(10**6) or []) > 20


def test_damaged_pictures_and_copies_are_told(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (dataset.parent / "0.png").read_bytes()
    (dataset.parent / "1.png").write_bytes(whole[: len(whole) // 2])
    (dataset.parent / "2.png").write_bytes(whole)
    dataset.write_text(dataset.read_text().replace('"category_id": 7', '"category_id": 1'))
    assert main(["data", str(dataset), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["copies"] == 1
    (damaged,) = [row for row in line["told"] if row["what"] == "damaged pictures"]
    assert damaged["number"] == 1 and "1.png" in damaged["reasons"][0]


@pytest.mark.parametrize("format", ["coco", "jsonl", "prefix_suffix", "voc", "yolo"])
def test_it_is_converted(
    dataset: Path, tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = json.loads(dataset.read_text())
    del rows["annotations"][1]  # the crowd
    dataset.write_text(json.dumps(rows))
    assert main(["data", str(dataset), "--quick", "--to", format, str(out)]) == 0
    written = Path(capsys.readouterr().err.split("written", 1)[1].strip())
    again = list(open_dataset(written))
    boxes = [record.result for record in again if getattr(record.result, "labels", ())]
    assert [result.labels for result in boxes] == [("cat",)]
    assert boxes[0].xyxy.round(0).tolist() == [[1, 2, 21, 12]]


def test_parts_are_read_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, count in (("train", 2), ("valid", 1)):
        for number in range(count):
            folder = tmp_path / "set" / part
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 20), (90 * number, len(part), 0)).save(folder / f"{number}.png")
            (folder / f"{number}.txt").write_text(f"a caption of {part} {number}")
    assert main(["data", str(tmp_path / "set"), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["format"], line["pictures"], line["records"]) == ("captions", 3, 3)
    assert line["parts"] == {"train": 2, "val": 1}
    assert line["told"] == []
    assert main(["data", str(tmp_path / "set"), "--json", "--split", "val"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing_here"], "does not exist"),
        (["{data}", "--to", "labelme", "out"], "cannot be written; choose one of coco"),
        (["{data}", "--to", "coco", "no/where/out"], "make it first"),
        (["{data}", "--sheet", "no/where.png"], "make it first"),
        (["{data}", "--format", "coca"], "format 'coca' is unknown"),
    ],
)
def test_mistakes_are_sentences(
    dataset: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *(each.format(data=dataset) for each in arguments)]) == 2
    assert words in capsys.readouterr().err


def test_a_dataset_of_losses_alone_is_told(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.write_text(dataset.read_text().replace('"category_id": 1', '"category_id": 9')
                       .replace('"image_id": 0', '"image_id": null'))  # fmt: skip
    assert main(["data", str(dataset), "--json", "--quick"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["records"] == 0 and "no record" in told.err
