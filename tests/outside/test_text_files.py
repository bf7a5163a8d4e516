"""Text files of Notepad, Excel and PowerShell: byte order marks, CRLF, UTF-16."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from florence2.cli.main import main
from florence2.data import open_dataset
from florence2.data.files import decode_text

KINDS = {
    "plain": ("utf-8", "\n"),
    "CRLF": ("utf-8", "\r\n"),
    "mark": ("utf-8-sig", "\n"),
    "mark and CRLF": ("utf-8-sig", "\r\n"),
    "UTF-16": ("utf-16", "\r\n"),
    "UTF-32": ("utf-32", "\n"),
}
SHARES = "0 0.5 0.5 0.25 0.25\n"
BOXES = {"type": "boxes", "xyxy": [[1, 2, 30, 40]], "labels": ["Müll"], "image_size": [120, 80]}
COCO = {
    "images": [{"id": 1, "file_name": "0.png", "width": 120, "height": 80}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 29, 38]}],
    "categories": [{"id": 1, "name": "Müll"}],
}
# By format: the text files of a dataset of one picture, 0.png, that shows a "Müll".
DATASETS = {
    "prefix_suffix": {
        "a.jsonl": '\n{"image": "0.png", "prefix": "<OD>", "suffix": "Müll<loc_1><loc_2>'
        '<loc_300><loc_400>"}\n'
    },
    "jsonl": {"a.jsonl": json.dumps({"image": "0.png", "task": "<OD>", "result": BOXES})},
    "coco": {"a.json": json.dumps(COCO, indent=1, ensure_ascii=False)},
    "yolo": {"data.yaml": "train: .\nnames:\n  0: Müll\n", "0.txt": SHARES},
    "yolo with classes": {"classes.txt": "Müll\nx\n", "0.txt": SHARES},
    "yolo with a list": {
        "data.yaml": "train: list.txt\nnames: [Müll]\n",
        "list.txt": "./0.png\n",
        "0.txt": SHARES,
    },
    "captions": {"0.txt": "Müll\n"},
}


def written(text: str, kind: str) -> bytes:
    encoding, ending = KINDS[kind]
    return text.replace("\n", ending).encode(encoding)


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_the_same_however_it_was_saved(kind: str) -> None:
    assert decode_text(written("Müll 1\n\n猫\n", kind)) == "Müll 1\n\n猫\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DATASETS)
def test_datasets_of_every_kind_of_text_are_read(
    name: str, kind: str, picture: Path, tmp_path: Path
) -> None:
    shutil.copy(picture, tmp_path / "0.png")
    for file, text in DATASETS[name].items():
        (tmp_path / file).write_bytes(written(text, kind))
    dataset = open_dataset(tmp_path)
    (record,) = dataset
    assert "Müll" in (*getattr(record.result, "labels", ()), getattr(record.result, "text", ""))
    assert not dataset.report.counts, str(dataset.report)


@pytest.mark.parametrize("kind", KINDS)
def test_regions_of_every_kind_of_text_are_read(
    kind: str,
    tiny_folder: Path,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    regions = tmp_path / "regions.txt"
    regions.write_bytes(written("10,20,100,70\n\n1, 2, 30, 40\n", kind))
    asked = ["run", str(picture), "--task", "region_to_category", "--regions", str(regions)]
    short = ["--model", str(tiny_folder), "--device", "cpu", "--max-new-tokens", "5"]
    assert main([*asked, *short]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["region"] for line in lines] == [[10, 20, 100, 70], [1, 2, 30, 40]]


def test_files_of_a_checkpoint_may_begin_with_a_mark(tiny_folder: Path, tmp_path: Path) -> None:
    from florence2 import Florence2

    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    for path in folder.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with Florence2.load(str(folder), device="cpu") as model:
        model.caption(Image.new("RGB", (40, 40), "navy"))


def test_half_of_a_text_in_utf16_is_one_sentence(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    regions = tmp_path / "regions.txt"
    regions.write_bytes("1,2,3,4".encode("utf-16")[:-1])
    asked = ["run", str(picture), "--task", "region_to_category", "--regions", str(regions)]
    assert main(asked) == 2
    assert "it is no text" in capsys.readouterr().err
