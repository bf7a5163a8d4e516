#!/usr/bin/env bash
# datumaro 1.13.12: a dataset whose objects are outlines (Polygon), exported as "yolo" or as
# "yolo_ultralytics", gets a label file for each picture with nothing in it, without an error or a
# warning. To every trainer of YOLO an empty label file says that the picture shows no object, so the
# set teaches that nothing is there. Boxes come out right.
#
#   yolo              Bbox     0 0.400000 0.450000 0.400000 0.500000
#   yolo              Polygon  (empty)
#   yolo_ultralytics  Bbox     0 0.400000 0.450000 0.400000 0.500000
#   yolo_ultralytics  Polygon  (empty)
#
# So: turn polygons into boxes before the export (transform "shapes_to_boxes"), and look whether all
# label files of an exported set are empty.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12
cat >"$folder/export.py" <<'PY'
import tempfile
import warnings
from pathlib import Path

import numpy as np
from datumaro.components.annotation import Bbox, Polygon
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

OBJECTS = {
    "Bbox": Bbox(8, 4, 16, 10, label=0),
    "Polygon": Polygon([8, 4, 24, 4, 24, 14, 8, 14], label=0),
}
WANTED = {"Bbox": ["0 0.400000 0.450000 0.400000 0.500000"] * 2, "Polygon": ["", ""]}


def labels(format, item):
    picture = Image.from_numpy(np.zeros((20, 40, 3), np.uint8))
    items = [
        DatasetItem(f"picture-{part}", media=picture, annotations=[item], subset=part)
        for part in ("train", "val")
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
        Dataset.from_iterable(items, categories=["cat"]).export(folder, format, save_media=True)
        texts = [file.read_text().strip() for file in sorted(Path(folder).rglob("picture-*.txt"))]
    assert not [each for each in warned if "olygon" in str(each.message)], "it warns now"
    return texts


for format in ("yolo", "yolo_ultralytics"):
    for kind, item in OBJECTS.items():
        found = labels(format, item)
        print(f"{format:17} {kind:8} {found[0] or '(empty)' if found else 'no label file'}")
        assert found == WANTED[kind], (format, kind, found)
PY
"$folder/venv/bin/python" "$folder/export.py"
