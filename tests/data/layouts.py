"""Layouts of datasets that people have, three tiny pictures each, and what becomes of them.

Each is a row of the table in docs/data.md. A layout is a function that writes into a folder.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = (40, 20)
THREE = ("a", "b", "c")
BOX = (8, 4, 24, 14)
SHARES = "0 0.4 0.45 0.4 0.5"
CORNERS = "8,4,24,4,24,14,8,14"
PADDLE_ROW = 'images/{}.png\t[{{"transcription": "A", "points": [[8,4],[24,4],[24,14],[8,14]]}}]\n'
OUTLINE = "8,4,16,3,24,4,24,14,16,13,8,14"
KEYS = """{
    "company": "BOOK TA .K (TAMAN DAYA) SDN BHD",
    "date": "25/12/2018",
    "address": "NO.53 55,57 & 59",
    "total": "9.00"
}"""

Files = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """A way to lay out a dataset.

    Attributes:
        name: what people call it.
        shape: its files in short, for the table.
        files: texts by path; each path that ends with a suffix of pictures becomes one, a mask
            where the text says so: its mode and value.
        read_as: the format that it is read as, or `None` if it is named.
        records: of a pass over the part, or over all.
        named: words of the sentence that names it.
        split: the part to read, if it is divided.
        told: pictures that are no record, and told about.
        negatives: records that say that nothing is there.
    """

    name: str
    shape: str
    files: Files
    read_as: str | None = None
    records: int = 3
    named: str = ""
    split: str | None = None
    told: int = 0
    negatives: int = 0


def pictures(place: str = "{}.png", names: tuple[str, ...] = THREE) -> dict[str, str]:
    return {place.format(name): "" for name in names}


def beside(place: str, text: str | Callable[[str], str], names: tuple[str, ...] = THREE) -> Files:
    return {place.format(name): text if isinstance(text, str) else text(name) for name in names}


def voc(name: str) -> str:
    box = "".join(
        f"<{side}>{value}</{side}>"
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True)
    )
    return (
        f"<annotation><filename>{name}.png</filename><size><width>40</width><height>20</height>"
        f"</size><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    )


def coco(names: tuple[str, ...] = THREE, **image: Any) -> str:
    images = [
        {"id": number, "file_name": f"{name}.png", "width": 40, "height": 20, **image}
        for number, name in enumerate(names)
    ]
    rows = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [8, 4, 16, 10]}
        for n in range(len(images))
    ]
    categories = [{"id": 1, "name": "cat"}]
    return json.dumps({"images": images, "annotations": rows, "categories": categories})


def lines(row: Callable[[str], dict[str, Any]], names: tuple[str, ...] = THREE) -> str:
    return "".join(json.dumps(row(name)) + "\n" for name in names)


def table(
    head: str,
    row: Callable[[str], tuple[object, ...]],
    names: tuple[str, ...] = THREE,
    divider: str = ",",
) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=divider)
    if head:
        writer.writerow(head.split(","))
    writer.writerows(row(name) for name in names)
    return file.getvalue()


def listed(row: Callable[[str], dict[str, Any]]) -> str:
    return json.dumps([row(name) for name in THREE])


LLAVA = {
    "conversations": [
        {"from": "human", "value": "<image>\nWhat?"},
        {"from": "gpt", "value": "a cat"},
    ]
}
LABELME = {"label": "cat", "shape_type": "rectangle", "points": [[8, 4], [24, 14]]}
RECTANGLE = {"x": 20, "y": 20, "width": 40, "height": 50, "rectanglelabels": ["cat"]}
RESULT = {"id": "r", "type": "rectanglelabels", "from_name": "label", "value": RECTANGLE}
YAML = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: [cat]\n"

READ = (
    Layout(
        "COCO beside its pictures",
        "boxes.json, *.png",
        {**pictures(), "boxes.json": coco()},
        "coco",
    ),
    Layout(
        "COCO as published",
        "annotations/instances_train2017.json, train2017/",
        {
            **pictures("train2017/{}.png"),
            "val2017/d.png": "",
            "annotations/instances_train2017.json": coco(),
            "annotations/instances_val2017.json": coco(("d",)),
        },
        "coco",
        split="train",
        told=1,
    ),
    Layout(
        "COCO of Roboflow",
        "train/_annotations.coco.json, valid/",
        {
            **pictures("train/{}.png"),
            "valid/d.png": "",
            "train/_annotations.coco.json": coco(),
            "valid/_annotations.coco.json": coco(("d",)),
        },
        "coco",
        split="train",
        told=1,
    ),
    Layout(
        "COCO of FiftyOne",
        "labels.json, data/",
        {**pictures("data/{}.png"), "labels.json": coco()},
        "coco",
    ),
    Layout(
        "COCO of Label Studio (names percent-encoded)",
        "result.json, images/",
        {
            "images/my pic+1.png": "",
            "result.json": coco(("my%20pic%2B1",)).replace("my%20", "images/my%20"),
        },
        "coco",
        records=1,
    ),
    Layout(
        "COCO with captions",
        "captions_train2017.json",
        {
            **pictures(),
            "captions.json": json.dumps(
                {
                    "images": json.loads(coco())["images"],
                    "annotations": [{"id": n, "image_id": n, "caption": "a cat"} for n in range(3)],
                }
            ),
        },
        "coco",
    ),
    Layout(
        "LVIS (names only in coco_url)",
        "lvis_v1.json, train2017/",
        {
            **pictures("train2017/{}.png"),
            "lvis_v1_train.json": json.dumps(
                {
                    **json.loads(coco()),
                    "images": [
                        {"id": n, "coco_url": f"http://x.org/train2017/{name}.png"}
                        for n, name in enumerate(THREE)
                    ],
                }
            ),
        },
        "coco",
    ),
    Layout(
        "YOLO of Ultralytics",
        "data.yaml, images/train/, labels/train/",
        {
            **pictures("images/train/{}.png"),
            "images/val/d.png": "",
            **beside("labels/train/{}.txt", SHARES),
            "labels/val/d.txt": SHARES,
            "data.yaml": "train: images/train\nval: images/val\nnames: {0: cat}\n",
        },
        "yolo",
        split="train",
        told=1,
    ),
    Layout(
        "YOLO of Roboflow",
        "data.yaml, train/images/, train/labels/",
        {
            **pictures("train/images/{}.png"),
            "valid/images/d.png": "",
            **beside("train/labels/{}.txt", SHARES),
            "valid/labels/d.txt": SHARES,
            "data.yaml": YAML,
        },
        "yolo",
        split="train",
        told=1,
    ),
    Layout(
        "YOLO of another machine",
        "data.yaml with /content/...",
        {
            **pictures("train/images/{}.png"),
            "valid/images/d.png": "",
            **beside("train/labels/{}.txt", SHARES),
            "data.yaml": YAML.replace("../", "/content/mine/"),
        },
        "yolo",
        split="train",
        told=1,
    ),
    Layout(
        "YOLO of labelImg",
        "classes.txt, *.png, *.txt",
        {**pictures(), **beside("{}.txt", SHARES), "classes.txt": "cat\n"},
        "yolo",
    ),
    Layout(
        "YOLO of Label Studio",
        "classes.txt, images/, labels/",
        {**pictures("images/{}.png"), **beside("labels/{}.txt", SHARES), "classes.txt": "cat\n"},
        "yolo",
    ),
    Layout(
        "YOLO in folders of other names",
        "classes.txt, photos/, boxes/",
        {**pictures("photos/{}.png"), **beside("boxes/{}.txt", SHARES), "classes.txt": "cat\n"},
        "yolo",
    ),
    Layout(
        "YOLO with names in place of numbers",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", "cat 0.5 0.5 0.2 0.2\nbig dog 0.5 0.5 0.2 0.2")},
        "yolo",
    ),
    Layout(
        "YOLO, no parts in the YAML file",
        "data.yaml, images/train/, images/val/",
        {
            **pictures("images/train/{}.png"),
            "images/val/d.png": "",
            **beside("labels/{}.txt", SHARES, ("train/a", "train/b", "train/c", "val/d")),
            "data.yaml": "nc: 1\nnames: [cat]\n",
        },
        "yolo",
        split="train",
        told=1,
    ),
    Layout(
        "YOLO of predictions (a confidence behind)",
        "classes.txt, *.png, *.txt",
        {**pictures(), **beside("{}.txt", SHARES + " 0.9"), "classes.txt": "cat\n"},
        "yolo",
    ),
    Layout(
        "YOLO turned boxes and outlines",
        "data.yaml, images/, labels/",
        {
            **pictures("images/{}.png"),
            **beside("labels/{}.txt", "0 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.6\n" + SHARES),
            "data.yaml": "train: images\nnames: [cat]\n",
        },
        "yolo",
    ),
    Layout(
        "YOLO 1.1 of CVAT (Darknet)",
        "obj.names, obj.data, train.txt, obj_train_data/",
        {
            **pictures("obj_train_data/{}.png"),
            **beside("obj_train_data/{}.txt", SHARES),
            "obj.names": "cat\n",
            "obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n",
            "train.txt": "".join(f"data/obj_train_data/{name}.png\n" for name in THREE),
        },
        "yolo",
    ),
    Layout(
        "YOLO, a folder called dev_board",
        "images/dev_board/",
        {
            **pictures("images/{}.png", ("a", "b")),
            "images/dev_board/c.png": "",
            **beside("labels/{}.txt", SHARES, ("a", "b", "dev_board/c")),
            "classes.txt": "cat\n",
        },
        "yolo",
    ),
    Layout(
        "VOC",
        "Annotations/*.xml, JPEGImages/",
        {**pictures("JPEGImages/{}.png"), **beside("Annotations/{}.xml", voc)},
        "voc",
    ),
    Layout(
        "VOCdevkit with lists",
        "VOC2007/ImageSets/Main/train.txt",
        {
            **pictures("VOC2007/JPEGImages/{}.png", (*THREE, "d")),
            **beside("VOC2007/Annotations/{}.xml", voc, (*THREE, "d")),
            "VOC2007/ImageSets/Main/train.txt": "a\nb\nc\n",
            "VOC2007/ImageSets/Main/test.txt": "d\n",
        },
        "voc",
        split="train",
        told=1,
    ),
    Layout(
        "VOC of Roboflow",
        "train/*.xml, valid/",
        {
            **pictures("train/{}.png"),
            **beside("train/{}.xml", voc),
            "valid/d.png": "",
            "valid/d.xml": voc("d"),
        },
        "voc",
        split="train",
        told=1,
    ),
    Layout(
        "VOC of Kaggle",
        "annotations/*.xml, images/",
        {**pictures("images/{}.png"), **beside("annotations/{}.xml", voc)},
        "voc",
    ),
    Layout(
        "captions of kohya and others",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", "a cat, 2 stripes")},
        "captions",
    ),
    Layout(
        "captions, a folder called test",
        "photos/, test/",
        {
            **pictures("photos/{}.png", ("a", "b")),
            "test/c.png": "",
            **beside("{}.txt", "a cat", ("photos/a", "photos/b", "test/c")),
        },
        "captions",
    ),
    Layout(
        "classes",
        "cat/*.png, dog/*.png",
        {**pictures("cat/{}.png", ("a", "b")), "dog/c.png": ""},
        "classes",
    ),
    Layout(
        "classes in parts",
        "train/cat/*.png, val/cat/",
        {**pictures("train/{}.png", ("cat/a", "cat/b", "dog/c")), "val/cat/d.png": ""},
        "classes",
        split="train",
        told=1,
    ),
    Layout(
        "classes, one called train",
        "bus/, car/, train/",
        pictures("{}.png", ("bus/a", "car/b", "train/c")),
        "classes",
    ),
    Layout(
        "prefixes and suffixes",
        "train.jsonl",
        {
            **pictures(),
            "a.jsonl": lines(
                lambda name: {"image": f"{name}.png", "prefix": "<CAPTION>", "suffix": "a cat"}
            ),
        },
        "prefix_suffix",
    ),
)


def labelme(name: str) -> str:
    return json.dumps({"version": "5", "shapes": [LABELME], "imagePath": f"..\\x\\{name}.png"})


KITTI = "Car 0.00 0 -1.5 8 4 24 14 1.6 1.6 3.9 1.8 1.5 8.4 0.01"
DONT_CARE = "DontCare -1 -1 -10 30 4 38 14 -1 -1 -1 -1000 -1000 -1000 -10"
CALIBRATION = "P0: 7.215377e+02 0 6.095593e+02 0 0 7.215377e+02 1.728540e+02 0 0 0 1 0"
DOTA = "imagesource:x\ngsd:0.1\n8 4 24 4 24 14 8 14 ship 0"


def cvat(names: tuple[str, ...] = THREE, shape: str = "", **image: str) -> str:
    box = (
        '<box label="cat" occluded="0" xtl="8.00" ytl="4.00" xbr="24.00" ybr="14.00" z_order="0"/>'
    )
    more = "".join(f' {key}="{value}"' for key, value in image.items())
    rows = "".join(
        f'<image id="{at}" name="{name}.png" width="40" height="20"{more}>{shape or box}</image>'
        for at, name in enumerate(names)
    )
    return f"<?xml version='1.0' encoding='utf-8'?><annotations>{rows}</annotations>"


TRACK = (
    "<annotations><track id='0' label='cat'>"
    + "".join(
        f"<box frame='{frame}' outside='0' xtl='8' ytl='4' xbr='24' ybr='14'/>"
        for frame in range(3)
    )
    + "</track></annotations>"
)

TF_HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax"


def tf(name: str) -> tuple[object, ...]:
    return (f"{name}.png", *SIZE, "cat", *BOX)


OPEN_IMAGES_HEAD = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)


def open_images(name: str) -> tuple[object, ...]:
    return (name, "xclick", "/m/01yrx", 1, 0.2, 0.6, 0.2, 0.7, 0, 0, 0, 0, 0)


def label_studio(name: str) -> dict[str, Any]:
    return {
        "data": {"image": f"/data/upload/1/0a1b2c3d-{name}.png"},
        "annotations": [{"id": 1, "was_cancelled": False, "result": [RESULT]}],
    }


def via(name: str) -> dict[str, Any]:
    rect = {"name": "rect", "x": 8, "y": 4, "width": 16, "height": 10}
    region = {"shape_attributes": rect, "region_attributes": {"animal": "cat"}}
    return {"filename": f"{name}.png", "size": 9, "regions": [region], "file_attributes": {}}


def createml(name: str) -> dict[str, Any]:
    box = {"x": 16, "y": 9, "width": 16, "height": 10}
    return {"image": f"{name}.png", "annotations": [{"label": "cat", "coordinates": box}]}


TOOLS = (
    Layout(
        "VGG Image Annotator",
        "via_region_data.json",
        {
            **pictures(),
            "via_region_data.json": json.dumps({f"{name}.png9": via(name) for name in THREE}),
        },
        "via",
    ),
    Layout(
        "VGG Image Annotator, a project in parts",
        "train/via_project.json, val/",
        {
            **pictures("train/{}.png"),
            "val/d.png": "",
            "train/via_project.json": json.dumps(
                {"_via_settings": {}, "_via_img_metadata": {name: via(name) for name in THREE}}
            ),
            "val/via_project.json": json.dumps({"_via_img_metadata": {"d": via("d")}}),
        },
        "via",
        split="train",
        told=1,
    ),
    Layout(
        "CreateML",
        "_annotations.createml.json",
        {**pictures(), "_annotations.createml.json": listed(createml)},
        "createml",
    ),
    Layout(
        "CreateML of Roboflow",
        "train/_annotations.createml.json, valid/",
        {
            **pictures("train/{}.png"),
            "valid/d.png": "",
            "train/_annotations.createml.json": listed(createml),
            "valid/_annotations.createml.json": json.dumps([createml("d")]),
        },
        "createml",
        split="train",
        told=1,
    ),
    Layout(
        "Label Studio JSON",
        "export.json, *.png",
        {
            **pictures(),
            "d.png": "",
            "export.json": json.dumps(
                [label_studio(name) for name in THREE]
                + [{"data": {"image": "/data/local-files/?d=d.png"}, "predictions": [{}]}]
            ),
        },
        "label_studio",
        told=1,
    ),
    Layout(
        "Label Studio JSON-MIN",
        "export.json, images/",
        {
            **pictures("images/my {}.png"),
            "export.json": listed(
                lambda name: {
                    "image": f"/data/local-files/?d=set/my%20{name}.png",
                    "label": [RECTANGLE | {"original_width": 40, "original_height": 20}],
                }
            ),
        },
        "label_studio",
    ),
    Layout(
        "Open Images",
        "train-annotations-bbox.csv, class-descriptions-boxable.csv, train/",
        {
            **pictures("train/{}.png"),
            "validation/d.png": "",
            "oidv6-train-annotations-bbox.csv": table(OPEN_IMAGES_HEAD, open_images),
            "validation-annotations-bbox.csv": table(OPEN_IMAGES_HEAD, open_images, ("d",)),
            "class-descriptions-boxable.csv": "/m/01yrx,Cat\n/m/0bt9lr,Dog\n",
        },
        "open_images",
        split="train",
        told=1,
    ),
    Layout(
        "Open Images of FiftyOne",
        "train/data/, train/labels/detections.csv, train/metadata/",
        {
            **pictures("train/data/{}.png"),
            "train/labels/detections.csv": table(OPEN_IMAGES_HEAD, open_images),
            "train/metadata/classes.csv": "/m/01yrx,Cat\n",
        },
        "open_images",
    ),
    Layout(
        "TensorFlow CSV",
        "train_labels.csv, images/",
        {**pictures("images/{}.png"), "train_labels.csv": table(TF_HEAD, tf)},
        "box_csv",
    ),
    Layout(
        "TensorFlow CSV in parts",
        "annotations/train_labels.csv, images/train/",
        {
            **pictures("images/train/{}.png"),
            "images/test/a.png": "",
            "annotations/train_labels.csv": table(TF_HEAD, tf),
            "annotations/test_labels.csv": table(TF_HEAD, tf, names=("a",)),
        },
        "box_csv",
        split="train",
        told=1,
    ),
    Layout(
        "TensorFlow CSV of Roboflow",
        "train/_annotations.csv, valid/",
        {
            **pictures("train/{}.png"),
            "valid/d.png": "",
            "train/_annotations.csv": table(TF_HEAD, tf),
            "valid/_annotations.csv": table(TF_HEAD, tf, names=("d",)),
        },
        "box_csv",
        split="train",
        told=1,
    ),
    Layout(
        "RetinaNet CSV",
        "annotations.csv without a head",
        {**pictures(), "annotations.csv": table("", lambda name: (f"{name}.png", *BOX, "cat"))},
        "box_csv",
    ),
    Layout(
        "RetinaNet CSV called .txt",
        "annotations.txt",
        {**pictures(), "annotations.txt": table("", lambda name: (f"{name}.png", *BOX, "cat"))},
        "box_csv",
    ),
    Layout(
        "VoTT CSV",
        "vott-csv-export/*.csv",
        {
            **pictures("vott-csv-export/{}.png"),
            "vott-csv-export/my-export.csv": table(
                "image,xmin,ymin,xmax,ymax,label", lambda name: (f"{name}.png", *BOX, "cat")
            ),
        },
        "box_csv",
    ),
    Layout(
        "AutoML CSV",
        "TRAIN,gs://bucket/a.png,cat,0.2,0.2,,,0.6,0.7,,",
        {
            **pictures(),
            "import.csv": "".join(
                f"{part},gs://bucket/{name}.png,cat,0.2,0.2,,,0.6,0.7,,\n"
                for part, name in zip(("TRAIN", "TRAIN", "TEST"), THREE, strict=True)
            ),
        },
        "box_csv",
        records=2,
        split="train",
        told=1,
    ),
    Layout(
        "Kaggle CSV, bbox in one cell",
        "train.csv, train/",
        {
            **pictures("train/{}.png"),
            "test/d.png": "",
            "train.csv": table(
                "image_id,width,height,bbox,source", lambda name: (name, *SIZE, "[8, 4, 16, 10]", 1)
            ),
        },
        "box_csv",
        told=1,
    ),
    Layout(
        "a CSV with the column split",
        "boxes.csv with image_path, x_min, ..., split",
        {
            **pictures(),
            "boxes.csv": "image_path;label;split;x_min;y_min;x_max;y_max\n"
            "a.png;cat;train;8;4;24;14\nb.png;cat;train;8;4;24;14\nc.png;cat;test;8;4;24;14\n",
        },
        "box_csv",
        records=2,
        split="train",
        told=1,
    ),
    Layout(
        "CVAT for images",
        "annotations.xml, images/",
        {**pictures("images/{}.png"), "annotations.xml": cvat()},
        "cvat",
    ),
    Layout(
        "CVAT, a project with subsets",
        "annotations.xml, images/train/",
        {
            **pictures("images/train/{}.png"),
            "images/val/d.png": "",
            "annotations.xml": cvat(subset="Train").replace("</annotations>", "")
            + cvat(("d",), subset="Validation").partition("<annotations>")[2],
        },
        "cvat",
        split="train",
        told=1,
    ),
    Layout(
        "CVAT of Datumaro",
        "train.xml, images/",
        {**pictures("images/{}.png"), "train.xml": cvat()},
        "cvat",
    ),
    Layout(
        "CVAT for video, frames as pictures",
        "annotations.xml, images/frame_000000.png",
        {
            **pictures("images/frame_{}.png", ("000000", "000001", "000002")),
            "annotations.xml": TRACK,
        },
        "cvat",
    ),
    Layout(
        "DOTA",
        "images/, labelTxt/",
        {**pictures("images/{}.png"), **beside("labelTxt/{}.txt", DOTA)},
        "dota",
    ),
    Layout(
        "DOTA in parts",
        "train/images/, train/labelTxt/, val/",
        {
            **pictures("train/images/{}.png"),
            **beside("train/labelTxt/{}.txt", DOTA),
            "val/images/d.png": "",
            "val/labelTxt/d.txt": DOTA,
        },
        "dota",
        split="train",
        told=1,
    ),
    Layout(
        "KITTI",
        "image_2/, label_2/",
        {
            **pictures("image_2/{}.png"),
            **beside("label_2/{}.txt", KITTI + "\n" + DONT_CARE),
        },
        "kitti",
    ),
    Layout(
        "KITTI as published",
        "training/image_2/, training/label_2/, testing/image_2/",
        {
            **pictures("training/image_2/{}.png"),
            **beside("training/label_2/{}.txt", KITTI),
            **beside("training/calib/{}.txt", CALIBRATION),
            "testing/image_2/d.png": "",
            "testing/calib/d.txt": CALIBRATION,
        },
        "kitti",
        split="train",
        told=1,
    ),
    Layout(
        "VisDrone",
        "images/, annotations/*.txt",
        {
            **pictures("images/{}.png"),
            **beside("annotations/{}.txt", "8,4,16,10,1,4,0,0\n1,1,5,5,0,0,0,0,"),
        },
        "visdrone",
    ),
    Layout(
        "VisDrone as published",
        "VisDrone2019-DET-train/images/, annotations/",
        {
            **pictures("VisDrone2019-DET-train/images/{}.png"),
            **beside("VisDrone2019-DET-train/annotations/{}.txt", "8,4,16,10,1,4,0,0"),
            "VisDrone2019-DET-val/images/d.png": "",
            "VisDrone2019-DET-val/annotations/d.txt": "8,4,16,10,1,4,0,0",
        },
        "visdrone",
        split="train",
        told=1,
    ),
    Layout("LabelMe", "*.png, *.json", {**pictures(), **beside("{}.json", labelme)}, "labelme"),
    Layout(
        "LabelMe in folders",
        "images/, labels/*.json",
        {**pictures("images/{}.png"), **beside("labels/{}.json", labelme)},
        "labelme",
    ),
    Layout(
        "LabelMe in parts",
        "train/*.json, val/",
        {
            **pictures("train/{}.png"),
            **beside("train/{}.json", labelme),
            "val/d.png": "",
            "val/d.json": labelme("d"),
        },
        "labelme",
        split="train",
        told=1,
    ),
)


def listed_row() -> str:
    return json.dumps([RECTANGLE])


NAMED = (
    Layout(
        "YOLO without class names",
        "images/, labels/",
        {**pictures("images/{}.png"), **beside("labels/{}.txt", SHARES)},
        named="YOLO labels without class names; put data.yaml or classes.txt there",
    ),
    Layout(
        "YOLO, the first label empty",
        "*.png, *.txt",
        {**pictures(), "a.txt": "", **beside("{}.txt", SHARES, ("b", "c"))},
        named="YOLO labels without class names",
    ),
    Layout(
        "YOLO outlines without class names",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", "1 0.1 0.1 0.5 0.1 0.5 0.6 0.2 0.7")},
        named="YOLO labels without class names",
    ),
    Layout(
        "MOT",
        "img1/, gt/gt.txt",
        {**pictures("img1/{}.png"), "gt/gt.txt": "1,1,8,4,16,10,1,1,0.5\n2,1,8,4,16,10,1,1,0.5\n"},
        named="MOT",
    ),
    Layout(
        "boxes in pixels, a class first",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", "cat 8 4 24 14")},
        named="labels of numbers",
    ),
    Layout(
        "boxes in a CSV without a head, a class first",
        "boxes.csv",
        {**pictures(), "boxes.csv": table("", lambda name: (f"{name}.png", "cat", *BOX))},
        named="a CSV of boxes; begin it with the line filename,class",
    ),
    Layout(
        "VGG Image Annotator, CSV",
        "via_region_data.csv",
        {
            **pictures(),
            "via.csv": table(
                "filename,file_size,region_shape_attributes", lambda name: (f"{name}.png", 1, "{}")
            ),
        },
        named="VGG Image Annotator",
    ),
    Layout(
        "masks as pictures",
        "images/*.png, masks/*.png",
        {**pictures("images/{}.png"), **pictures("masks/{}.png")},
        named="masks as pictures",
    ),
    Layout(
        "masks beside pictures",
        "*.png, *_mask.png",
        {**pictures(), **pictures("{}_mask.png")},
        named="masks as pictures",
    ),
    Layout(
        "YOLO key points without class names",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", SHARES + " 0.1 0.1 2 0.3 0.3 1")},
        named="YOLO labels without class names",
    ),
    Layout(
        "Labelbox",
        "export.json",
        {
            **pictures(),
            "export.json": listed(lambda name: {"Labeled Data": f"{name}.png", "Label": {}}),
        },
        named="Labelbox",
    ),
    Layout(
        "LabelMe of old (XML)",
        "Images/, Annotations/*.xml",
        {
            **pictures("Images/{}.png"),
            **beside(
                "Annotations/{}.xml",
                "<annotation><filename>a.png</filename><object><name>cat</name><polygon><pt>"
                "<x>8</x><y>4</y></pt></polygon></object></annotation>",
            ),
        },
        named="XML of the old LabelMe",
    ),
    Layout(
        "Label Studio CSV",
        "result.csv",
        {
            **pictures(),
            "result.csv": table(
                "annotation_id,image,label", lambda name: (1, f"{name}.png", listed_row())
            ),
        },
        named="a CSV of Label Studio; export it as JSON",
    ),
    Layout(
        "Datumaro",
        "annotations/default.json, images/",
        {
            **pictures("images/{}.png"),
            "annotations/default.json": json.dumps(
                {
                    "categories": {"label": {"labels": [{"name": "cat"}]}},
                    "items": [{"id": "a", "annotations": [{"type": "bbox", "bbox": [8, 4, 9, 9]}]}],
                }
            ),
        },
        named="Datumaro",
    ),
    Layout(
        "Cityscapes",
        "leftImg8bit/, gtFine/*_polygons.json",
        {
            **pictures("leftImg8bit/train/{}_leftImg8bit.png"),
            **beside(
                "gtFine/train/{}_gtFine_polygons.json",
                json.dumps({"imgHeight": 20, "imgWidth": 40, "objects": []}),
            ),
        },
        named="Cityscapes",
    ),
    Layout(
        "VoTT",
        "vott.json",
        {**pictures(), "vott.json": json.dumps({"tags": [{"name": "cat"}], "assets": {}})},
        named="VoTT; export it as CSV",
    ),
    Layout(
        "IBM Cloud Annotations",
        "_annotations.json",
        {
            **pictures(),
            "_annotations.json": json.dumps(
                {"version": "1.0", "type": "localization", "labels": ["cat"], "annotations": {}}
            ),
        },
        named="IBM Cloud Annotations",
    ),
    Layout(
        "SageMaker",
        "*.png, output.manifest",
        {**pictures("photos/{}.png"), "output.manifest": '{"source-ref": "a.png"}\n'},
        named="manifests of SageMaker",
    ),
    Layout(
        "CUB classes",
        "classes.txt, images/001.x/",
        {
            **pictures("images/001.cat/{}.png"),
            "classes.txt": "1 001.cat\n",
            "images.txt": "1 001.cat/a.png\n",
        },
        named="no known format",
    ),
    Layout(
        "COCO panoptic",
        "panoptic_train2017.json, panoptic_train2017/",
        {
            **pictures("train2017/{}.png"),
            **pictures("annotations/panoptic_train2017/{}.png"),
            "annotations/panoptic_train2017.json": coco().replace(
                '"category_id": 1', '"segments_info": [{"id": 7, "category_id": 1}]'
            ),
        },
        named="COCO panoptic",
    ),
    Layout(
        "TFRecord",
        "*.tfrecord",
        {**pictures("samples/{}.png"), "train.tfrecord": "x"},
        named="TFRecord",
    ),
)

OCR = (
    Layout(
        "ICDAR 2015",
        "images/, gt/gt_*.txt",
        {**pictures("images/{}.png"), **beside("gt/gt_{}.txt", CORNERS + ",Genaxis")},
        "ocr_regions",
    ),
    Layout(
        "SROIE",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", CORNERS + ",TOTAL 2.50\n" + CORNERS + ",7")},
        "ocr_regions",
    ),
    Layout(
        "ICDAR 2013",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", '8 4 24 14 "Hello"')},
        "ocr_regions",
    ),
    Layout(
        "PaddleOCR",
        "Label.txt",
        {
            **pictures(),
            "Label.txt": "".join(
                f'{name}.png\t[{{"transcription": "A", "points": [[8,4],[24,4],[24,14],[8,14]]}}]\n'
                for name in THREE
            ),
        },
        "ocr_regions",
    ),
    Layout(
        "PaddleOCR in parts",
        "train_label.txt, test_label.txt, images/",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            "train_label.txt": "".join(PADDLE_ROW.format(name) for name in THREE),
            "test_label.txt": PADDLE_ROW.format("d"),
        },
        "ocr_regions",
        split="train",
        told=1,
    ),
    Layout(
        "ICDAR MLT (a script before the text)",
        "images/, gt/gt_*.txt",
        {**pictures("images/{}.png"), **beside("gt/gt_{}.txt", CORNERS + ",Latin,Hello, you")},
        "ocr_regions",
    ),
    Layout(
        "RCTW (a mark before the text)",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", CORNERS + ',0,"金氏"')},
        "ocr_regions",
    ),
    Layout(
        "CTW1500",
        "images/, labels/*.txt",
        {**pictures("images/{}.png"), **beside("labels/{}.txt", OUTLINE + ",####Hello, you")},
        "ocr_regions",
    ),
    Layout(
        "Total-Text",
        "images/, gt/poly_gt_*.txt",
        {
            **pictures("images/{}.png"),
            **beside(
                "gt/poly_gt_{}.txt",
                "x: [[ 8 16 24 24 16  8]], y: [[ 4  3  4 14 13 14]], ornt: [u'c'], "
                "transcriptions: [u'Hello']",
            ),
        },
        "ocr_regions",
    ),
    Layout(
        "SROIE with its key information",
        "img/, box/*.txt, key/*.json, a_key/*.txt",
        {
            **pictures("img/{}.png"),
            **beside("box/{}.txt", CORNERS + ",TOTAL 2.50"),
            **beside("key/{}.json", KEYS),
            **beside("a_key/{}.txt", KEYS),
        },
        "ocr_regions",
    ),
    Layout(
        "SROIE's key information alone",
        "img/, key/*.json",
        {**pictures("img/{}.png"), **beside("key/{}.json", KEYS)},
        named="the key information of SROIE; which is no OCR",
    ),
    Layout(
        "SROIE's key information beside pictures",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", KEYS)},
        named="JSON for each picture",
    ),
    Layout(
        "PaddleOCR, lines of text",
        "rec/rec_gt_train.txt, rec/train/, rec/test/",
        {
            **pictures("rec/train/{}.png"),
            "rec/test/d.png": "",
            "rec/rec_gt_train.txt": "".join(f"my/rec/train/{n}.png\tHello 1 2\n" for n in THREE),
            "rec/rec_gt_test.txt": "my/rec/test/d.png\tHello\n",
        },
        "ocr_list",
        split="train",
        told=1,
    ),
    Layout(
        "lines of text (Tesseract, OCRopus)",
        "*.png, *.gt.txt",
        {**pictures(), **beside("{}.gt.txt", "Hello")},
        "ocr_lines",
    ),
)
ODVG_OBJECTS = {"instances": [{"bbox": list(BOX), "label": 0, "category": "cat"}]}
ODVG_PHRASES = {"caption": "a cat sleeps", "regions": [{"bbox": [list(BOX)], "phrase": "A cat"}]}


def odvg(key: str, value: dict[str, Any], names: tuple[str, ...] = THREE) -> str:
    size = {"width": SIZE[0], "height": SIZE[1]}
    return lines(lambda name: {"filename": f"{name}.png", **size, key: value}, names)


def outlined_coco(names: tuple[str, ...] = THREE) -> str:
    data = json.loads(coco(names))
    for row in data["annotations"]:
        row["segmentation"] = [[8, 4, 24, 4, 24, 14, 8, 14]]
    return json.dumps(data)


def refs_row(number: int, **row: Any) -> dict[str, Any]:
    return {
        "ref_id": number,
        "ann_id": number,
        "image_id": number,
        "file_name": f"COCO_train2014_00_{number}.jpg",
        "split": "train" if number < 3 else "testA",
        "sentences": [{"sent": "the left cat", "raw": "the LEFT cat"}],
        **row,
    }


def mdetr(source: str, names: tuple[str, ...] = THREE) -> str:
    data = json.loads(outlined_coco(names))
    for image, row in zip(data["images"], data["annotations"], strict=True):
        image |= {"caption": "a cat sleeps", "dataset_name": source, "tokens_negative": [[0, 12]]}
        image |= {"width": "40", "height": "20"}
        row["tokens_positive"] = [[0, 1], [2, 5]]
    return json.dumps(data)


ENTITIES = (
    "[/EN#1/animals A cat] sits with [/EN#2/people two men] on [/EN#3/scene a beach] .\n"
    "[/EN#2/people They] have [/EN#0/notvisual no time] for [/EN#1/animals it] .\n"
)


def entities(name: str) -> str:
    first, second = voc(name).split("<name>cat</name>")
    other = "<object><name>2</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax>"
    return (
        f"{first}<name>1</name><name>2</name>{second.removesuffix('</annotation>')}"
        f"{other}<ymax>9</ymax></bndbox></object><object><name>3</name><scene>1</scene>"
        "<nobndbox>0</nobndbox></object></annotation>"
    )


PHRASES = (
    Layout(
        "ODVG of objects (Grounding DINO)",
        "train.jsonl",
        {**pictures(), "train.jsonl": odvg("detection", ODVG_OBJECTS)},
        "odvg",
    ),
    Layout(
        "ODVG of objects with numbers alone",
        "train_odvg.jsonl, label_map.json, images/",
        {
            **pictures("images/{}.png"),
            "train_odvg.jsonl": odvg("detection", {"instances": [{"bbox": list(BOX), "label": 0}]}),
            "label_map.json": json.dumps({"0": "cat"}),
        },
        "odvg",
    ),
    Layout(
        "ODVG of captions",
        "train_vg.jsonl, val_vg.jsonl, images/",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            "train_vg.jsonl": odvg("grounding", ODVG_PHRASES),
            "val_vg.jsonl": odvg("grounding", ODVG_PHRASES, ("d",)),
        },
        "odvg",
        split="train",
        told=1,
    ),
    Layout(
        "RefCOCO as JSON",
        "refs.json, instances.json, images/",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            "refs.json": json.dumps([refs_row(n) for n in range(4)]),
            "instances.json": outlined_coco((*THREE, "d")),
        },
        "refcoco",
        records=6,
        split="train",
        told=1,
    ),
    Layout(
        "gRefCOCO as JSON",
        "grefs(unc).json, instances.json",
        {
            **pictures(),
            "grefs(unc).json": json.dumps(
                [refs_row(0, ann_id=[0]), refs_row(1, ann_id=[-1], no_target=True), refs_row(2)]
            ),
            "instances.json": outlined_coco(),
        },
        "refcoco",
        records=6,
        negatives=2,
    ),
    Layout(
        "RefCOCO as a pickle",
        "refs(unc).p, instances.json",
        {**pictures(), "refs(unc).p": "(lp0\n.", "instances.json": outlined_coco()},
        named="RefCOCO as a pickle; a pickle can run programs and is never loaded",
    ),
    Layout(
        "MDETR's RefCOCO",
        "finetune_refcoco_train.json, images/",
        {
            **pictures("images/{}.png"),
            "finetune_refcoco_train.json": mdetr("refcoco"),
        },
        "mdetr",
        records=6,
    ),
    Layout(
        "MDETR's Flickr30k",
        "final_flickr_separateGT_train.json, *_val.json",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            "final_flickr_separateGT_train.json": mdetr("flickr"),
            "final_flickr_separateGT_val.json": mdetr("flickr", ("d",)),
        },
        "mdetr",
        split="train",
        told=1,
    ),
    Layout(
        "Flickr30k Entities",
        "Sentences/, Annotations/, flickr30k-images/",
        {
            **pictures("flickr30k-images/{}.png"),
            **beside("Annotations/{}.xml", entities),
            **beside("Sentences/{}.txt", ENTITIES),
        },
        "flickr30k",
        records=6,
    ),
    Layout(
        "Flickr30k Entities with lists",
        "Sentences/, Annotations/, train.txt, val.txt",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            **beside("Annotations/{}.xml", entities, (*THREE, "d")),
            **beside("Sentences/{}.txt", ENTITIES, (*THREE, "d")),
            "train.txt": "a\nb\nc\n",
            "val.txt": "d\n",
        },
        "flickr30k",
        records=6,
        split="train",
        told=1,
    ),
)
CLASSES = {"classes.txt": "background\ncat\n"}
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
CAT_RGB = "mask RGB 250 50 83"

MASKS = (
    Layout(
        "masks of classes",
        "images/, masks/, classes.txt",
        {**pictures("images/{}.png"), **beside("masks/{}.png", "mask L 1"), **CLASSES},
        "masks",
    ),
    Layout(
        "masks in black and white",
        "images/, masks/, classes.txt with one name",
        {
            **pictures("images/{}.png"),
            **beside("masks/{}.png", "mask L 255"),
            "classes.txt": "polyp",
        },
        "masks",
    ),
    Layout(
        "masks of Carvana",
        "train/, train_masks/*_mask.png, classes.txt",
        {
            **pictures("train/{}.png"),
            **beside("train_masks/{}_mask.png", "mask 1 1"),
            "classes.txt": "car",
        },
        "masks",
    ),
    Layout(
        "masks of Roboflow",
        "train/*_mask.png, train/_classes.csv, valid/",
        {
            **pictures("train/{}.png"),
            **beside("train/{}_mask.png", "mask L 1"),
            "train/_classes.csv": "Pixel Value, Class\n0, background\n1, cat\n",
            "valid/d.png": "",
            "valid/d_mask.png": "mask L 1",
            "valid/_classes.csv": "Pixel Value, Class\n0, background\n1, cat\n",
        },
        "masks",
        split="train",
        told=1,
    ),
    Layout(
        "masks of CVAT",
        "labelmap.txt, JPEGImages/, SegmentationClass/, SegmentationObject/",
        {
            **pictures("JPEGImages/{}.png"),
            **beside("SegmentationClass/{}.png", CAT_RGB),
            **beside("SegmentationObject/{}.png", "mask RGB 128 0 0"),
            "labelmap.txt": LABELMAP,
            "ImageSets/Segmentation/default.txt": "a\nb\nc\n",
        },
        "masks",
    ),
    Layout(
        "masks of VOC with lists",
        "JPEGImages/, SegmentationClass/, SegmentationObject/, classes.txt",
        {
            **pictures("VOC2012/JPEGImages/{}.png", (*THREE, "d")),
            **beside("VOC2012/SegmentationClass/{}.png", "mask P 1", (*THREE, "d")),
            **beside("VOC2012/SegmentationObject/{}.png", "mask P 3", (*THREE, "d")),
            "VOC2012/ImageSets/Segmentation/train.txt": "a\nb\nc\n",
            "VOC2012/ImageSets/Segmentation/val.txt": "d\n",
            **CLASSES,
        },
        "masks",
        split="train",
        told=1,
    ),
    Layout(
        "masks of Cityscapes",
        "leftImg8bit/train/x/, gtFine/train/x/*_labelIds.png, classes.txt",
        {
            **pictures("leftImg8bit/train/x/{}_leftImg8bit.png"),
            "leftImg8bit/val/y/d_leftImg8bit.png": "",
            **beside("gtFine/train/x/{}_gtFine_labelIds.png", "mask L 1"),
            **beside("gtFine/train/x/{}_gtFine_color.png", "mask RGB 1 2 3"),
            "gtFine/val/y/d_gtFine_labelIds.png": "mask L 1",
            **CLASSES,
        },
        "masks",
        split="train",
        told=1,
    ),
    Layout(
        "masks of ADE20K",
        "images/training/, annotations/training/, classes.txt",
        {
            **pictures("images/training/{}.png"),
            "images/validation/d.png": "",
            **beside("annotations/training/{}.png", "mask L 2"),
            "annotations/validation/d.png": "mask L 2",
            "classes.txt": "other\nwall\nbuilding\n",
        },
        "masks",
        split="train",
        told=1,
    ),
    Layout(
        "masks, a file for each object",
        "*.png, *_mask_0.png, *_mask_1.png, classes.txt",
        {
            **pictures(),
            **beside("{}_mask_0.png", "mask L 255"),
            **beside("{}_mask_1.png", "mask L 255"),
            "classes.txt": "cat",
        },
        "masks",
    ),
    Layout(
        "masks of the Data Science Bowl",
        "ID/images/ID.png, ID/masks/*.png, classes.txt",
        {
            **pictures("stage1/{0}/images/{0}.png"),
            **beside("stage1/{}/masks/4f2.png", "mask L 255"),
            **beside("stage1/{}/masks/9c1.png", "mask L 255"),
            "classes.txt": "nucleus",
        },
        "masks",
    ),
    Layout(
        "masks, a folder for each class",
        "images/, masks/cat/, masks/dog/",
        {
            **pictures("images/{}.png"),
            **beside("masks/cat/{}.png", "mask L 255", ("a", "b")),
            **beside("masks/dog/{}.png", "mask L 255", ("b", "c")),
        },
        "masks",
        records=4,
    ),
)
ROWS = (
    Layout(
        "a table of classes",
        "train.csv with id, label",
        {**pictures("images/{}.png"), "train.csv": table("id,label", lambda name: (name, "cat"))},
        "rows",
    ),
    Layout(
        "Hugging Face image folder, lines",
        "metadata.jsonl",
        {
            **pictures(),
            "metadata.jsonl": lines(lambda name: {"file_name": f"{name}.png", "text": "a cat"}),
        },
        "image_folder",
    ),
    Layout(
        "Hugging Face image folder, parts",
        "train/metadata.csv",
        {
            **pictures("train/{}.png"),
            "train/metadata.csv": table("file_name,text", lambda name: (f"{name}.png", "a cat")),
        },
        "image_folder",
    ),
    Layout(
        "kohya's metadata",
        "meta_cap.json",
        {**pictures(), "meta_cap.json": json.dumps({name: {"caption": "a cat"} for name in THREE})},
        "kohya",
    ),
    Layout(
        "LLaVA conversations",
        "train.json",
        {**pictures(), "train.json": listed(lambda name: {"image": f"{name}.png", **LLAVA})},
        "rows",
    ),
    Layout(
        "ms-swift queries",
        "train.jsonl",
        {
            **pictures(),
            "train.jsonl": lines(
                lambda name: {"query": "What?", "response": "a cat", "images": [f"{name}.png"]}
            ),
        },
        "rows",
    ),
    Layout(
        "chat messages",
        "train.jsonl",
        {
            **pictures(),
            "train.jsonl": lines(
                lambda name: {
                    "messages": [
                        {"role": "user", "content": "<image>What?"},
                        {"role": "assistant", "content": "a cat"},
                    ],
                    "images": [f"{name}.png"],
                }
            ),
        },
        "rows",
    ),
    Layout(
        "questions and answers",
        "qa.jsonl",
        {
            **pictures(),
            "qa.jsonl": lines(
                lambda name: {"image": f"{name}.png", "question": "What?", "answer": "a cat"}
            ),
        },
        "rows",
    ),
    Layout(
        "prefixes and suffixes in a list",
        "annotations.json",
        {
            **pictures(),
            "annotations.json": listed(
                lambda name: {"image": f"{name}.png", "prefix": "<CAPTION>", "suffix": "a cat"}
            ),
        },
        "prefix_suffix",
    ),
    Layout(
        "FUNSD",
        "images/, annotations/*.json",
        {
            **pictures("images/{}.png"),
            **beside("annotations/{}.json", json.dumps({"form": [{"box": BOX, "text": "A"}]})),
        },
        "funsd",
    ),
    Layout(
        "Flickr8k captions",
        "Images/, captions.txt",
        {
            **pictures("Images/{}.png"),
            "captions.txt": "image,caption\n" + "".join(f"{name}.png,a cat\n" for name in THREE),
        },
        "rows",
    ),
    Layout(
        "Hugging Face image folder, one file",
        "metadata.jsonl, train/, test/",
        {
            **pictures("train/{}.png"),
            "test/d.png": "",
            "metadata.jsonl": lines(
                lambda name: {"file_name": f"{name}.png", "text": "a cat"},
                ("train/a", "train/b", "train/c", "test/d"),
            ),
        },
        "image_folder",
        split="train",
        told=1,
    ),
    Layout(
        "Hugging Face image folder, objects",
        "metadata.jsonl, README.md",
        {
            **pictures("data/{}.png"),
            "data/metadata.jsonl": lines(
                lambda name: {
                    "file_name": f"{name}.png",
                    "objects": {"bbox": [[8, 4, 16, 10]], "categories": [0]},
                }
            ),
            "README.md": "---\ndataset_info:\n  features:\n  - name: objects\n    sequence:\n"
            "    - name: categories\n      dtype: {class_label: {names: {'0': cat}}}\n---\n",
        },
        "image_folder",
    ),
    Layout(
        "a list of captions (BLIP)",
        "train.json, val.json, images/",
        {
            **pictures("images/{}.png", (*THREE, "d")),
            "train.json": listed(lambda name: {"image": f"images/{name}.png", "caption": "a cat"}),
            "val.json": json.dumps([{"image": "images/d.png", "caption": "a cat"}]),
        },
        "rows",
        split="train",
        told=1,
    ),
    Layout(
        "chat messages of OpenAI",
        "chat.jsonl",
        {
            **pictures(),
            "chat.jsonl": lines(
                lambda name: {
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "What?"},
                                {
                                    "type": "image_url",
                                    "image_url": {"url": f"file:///x/{name}.png"},
                                },
                            ],
                        },
                        {"role": "assistant", "content": "a cat"},
                    ]
                }
            ),
        },
        "rows",
    ),
    Layout(
        "ms-swift objects",
        "swift.jsonl",
        {
            **pictures(),
            "swift.jsonl": lines(
                lambda name: {
                    "messages": [
                        {"role": "user", "content": "<image><OD>"},
                        {"role": "assistant", "content": "<ref-object><bbox>"},
                    ],
                    "images": [f"/data/{name}.png"],
                    "objects": {"ref": ["cat"], "bbox": [list(BOX)]},
                }
            ),
        },
        "rows",
    ),
    Layout(
        "TextVQA",
        "TextVQA_0.5.1_train.json, train_images/",
        {
            **pictures("train_images/{}.png"),
            "TextVQA_0.5.1_train.json": json.dumps(
                {
                    "dataset_name": "textvqa",
                    "data": [
                        {"question": "What?", "image_id": name, "answers": ["a cat"] * 10}
                        for name in THREE
                    ],
                }
            ),
        },
        "rows",
    ),
    Layout(
        "DocVQA",
        "train_v1.0.json, documents/",
        {
            **pictures("documents/{}.png"),
            "train_v1.0.json": json.dumps(
                {
                    "dataset_name": "docvqa",
                    "data": [
                        {
                            "questionId": 1,
                            "question": "What?",
                            "image": f"documents/{name}.png",
                            "answers": ["a cat"],
                        }
                        for name in THREE
                    ],
                }
            ),
        },
        "rows",
    ),
    Layout(
        "VQA v2",
        "*_questions.json, *_annotations.json",
        {
            **pictures("train2014/COCO_train2014_{}.png", ("000000000001", "2", "3")),
            "v2_OpenEnded_mscoco_train2014_questions.json": json.dumps(
                {
                    "questions": [
                        {"image_id": n, "question": "What?", "question_id": n} for n in (1, 2, 3)
                    ]
                }
            ),
            "v2_mscoco_train2014_annotations.json": json.dumps(
                {
                    "annotations": [
                        {
                            "question_type": "what",
                            "answers": [{"answer": "a cat", "answer_id": 1}],
                            "image_id": n,
                            "question_id": n,
                        }
                        for n in (1, 2, 3)
                    ]
                }
            ),
        },
        "vqa",
    ),
    Layout(
        "kohya's metadata, paths of another machine",
        "meta_lat.json, img/",
        {
            **pictures("img/{}.png"),
            "meta_lat.json": json.dumps(
                {f"/content/img/{name}": {"tags": "cat", "caption": "a cat"} for name in THREE}
            ),
        },
        "kohya",
    ),
    Layout(
        "prefixes and suffixes in an object",
        "annotations.json",
        {
            **pictures("images/{}.png"),
            "annotations.json": json.dumps(
                {
                    "version": 1,
                    "data": [
                        {"image": f"{name}.png", "prefix": "<CAPTION>", "suffix": "a cat"}
                        for name in THREE
                    ],
                }
            ),
        },
        "prefix_suffix",
    ),
    Layout(
        "Flickr8k tokens",
        "Flicker8k_Dataset/, Flickr8k.token.txt",
        {
            **pictures("Flicker8k_Dataset/{}.png"),
            "Flickr8k.token.txt": "".join(
                f"{name}.png#{n}\ta cat lies there .\n" for name in THREE for n in range(2)
            ),
        },
        "rows",
        records=6,
    ),
    Layout(
        "Flickr30k captions",
        "flickr30k_images/, results.csv",
        {
            **pictures("flickr30k_images/{}.png"),
            "results.csv": "image_name| comment_number| comment\n"
            + "".join(f"{name}.png| 0| a cat, big .\n" for name in THREE),
        },
        "rows",
    ),
    Layout(
        "a table of classes, in parts",
        "train.csv, train/, test/",
        {
            **pictures("train/{}.png"),
            "test/d.png": "",
            "train.csv": table("image,class", lambda name: (f"{name}.png", "cat"), divider=";"),
            "test.csv": "image\nd.png\n",
        },
        "rows",
        told=1,
    ),
    Layout(
        "a table of words",
        "images/, words.csv",
        {
            **pictures("images/{}.png"),
            "words.csv": table("filename,words", lambda name: (f"{name}.png", "A, B")),
        },
        "rows",
    ),
    Layout(
        "ICDAR words",
        "gt.txt",
        {**pictures(), "gt.txt": "".join(f'{name}.png, "Genaxis"\n' for name in THREE)},
        "rows",
    ),
    Layout(
        "classes of Roboflow",
        "train/_classes.csv, valid/",
        {
            **pictures("train/{}.png"),
            "valid/d.png": "",
            "train/_classes.csv": table("filename, cat, dog", lambda name: (f"{name}.png", 0, 1)),
            "valid/_classes.csv": "filename, cat, dog\nd.png, 1, 0\n",
        },
        "rows",
        split="train",
        told=1,
    ),
    Layout(
        "prefixes and suffixes of Roboflow",
        "train/_annotations.train.jsonl, valid/",
        {
            **pictures("train/{}.png"),
            "valid/d.png": "",
            "train/_annotations.train.jsonl": lines(
                lambda name: {"image": f"{name}.png", "prefix": "<CAPTION>", "suffix": "a cat"}
            ),
            "valid/_annotations.valid.jsonl": json.dumps(
                {"image": "d.png", "prefix": "<CAPTION>", "suffix": "a cat"}
            ),
        },
        "prefix_suffix",
        split="train",
        told=1,
    ),
    Layout(
        "FUNSD as published",
        "dataset/training_data/annotations/, images/",
        {
            **pictures("dataset/training_data/images/{}.png"),
            "dataset/testing_data/images/d.png": "",
            **beside(
                "dataset/training_data/annotations/{}.json",
                json.dumps({"form": [{"box": BOX, "text": "A", "words": []}]}),
            ),
            "dataset/testing_data/annotations/d.json": json.dumps({"form": []}),
        },
        "funsd",
        split="train",
        told=1,
    ),
    Layout(
        "GQA",
        "images/, questions.json",
        {
            **pictures("images/{}.png"),
            "questions.json": json.dumps(
                {
                    f"0{name}": {"question": "What?", "imageId": name, "answer": "a cat"}
                    for name in THREE
                }
            ),
        },
        "rows",
    ),
    Layout(
        "IAM",
        "lines/a01/, lines.txt",
        {
            **pictures("lines/a01/a01-000{}-00.png"),
            "lines.txt": "# of the IAM database\n"
            + "".join(f"a01-000{name}-00 ok 154 9 40 74 166 89 A|MOVE|to\n" for name in THREE),
        },
        "rows",
    ),
    Layout(
        "lines of PaddleOCR",
        "train/, rec_gt_train.txt",
        {
            **pictures("train/{}.png"),
            "rec_gt_train.txt": "".join(f"train/{name}.png\tHello you\n" for name in THREE),
        },
        "ocr_list",
    ),
)

LAYOUTS = (*READ, *TOOLS, *PHRASES, *MASKS, *OCR, *ROWS, *NAMED)


def draw_mask(path: Path, mode: str, *value: str) -> None:
    """Draw the box with a value on 0."""
    image = Image.new(mode, SIZE)
    if mode == "P":
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    colour = tuple(map(int, value))
    image.paste(colour if len(colour) > 1 else colour[0], BOX)
    image.save(path)


def write_layout(layout: Layout, folder: Path) -> list[Path]:
    """Write a layout; returns its pictures, without masks."""
    made = []
    for number, (name, text) in enumerate(layout.files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("mask"):
            draw_mask(path, *text.split()[1:])
        elif path.suffix == ".png":
            Image.new("RGB", SIZE, (number, 60, 120)).save(path)
            made.append(path)
        else:
            path.write_text(text, encoding="utf-8")
    return made


def rows_of_table() -> str:
    """The table in docs/data.md."""
    rows = ["| layout | files | what becomes of it |", "|---|---|---|"]
    for layout in LAYOUTS:
        if layout.read_as:
            what = f"read as `{layout.read_as}`"
        else:
            what = f"named: {layout.named.partition(';')[0]}"
        rows.append(f"| {layout.name} | `{layout.shape}` | {what} |")
    return "\n".join(rows)
