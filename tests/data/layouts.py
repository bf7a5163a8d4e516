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
        instead: in the table, what to do.
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


def table(head: str, row: Callable[[str], tuple[object, ...]], divider: str = ",") -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=divider)
    if head:
        writer.writerow(head.split(","))
    writer.writerows(row(name) for name in THREE)
    return file.getvalue()


def listed(row: Callable[[str], dict[str, Any]]) -> str:
    return json.dumps([row(name) for name in THREE])


LLAVA = {"conversations": [{"from": "human", "value": "<image>\nWhat?"}]}
LABELME = {"version": "5", "shapes": [{"label": "cat", "points": [[8, 4], [24, 14]]}]}
RESULT = {"from_name": "label", "to_name": "image", "value": {"x": 20, "rectanglelabels": ["cat"]}}
VIA = {"regions": [{"shape_attributes": {"name": "rect", "x": 8}, "region_attributes": {}}]}
YAML = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: [cat]\n"

READ = (
    Layout("COCO beside its pictures", "a.json, *.png", {**pictures(), "a.json": coco()}, "coco"),
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
        "YOLO with names in place of numbers",
        "*.png, *.txt",
        {**pictures(), **beside("{}.txt", "cat 0.5 0.5 0.2 0.2\nbig dog 0.5 0.5 0.2 0.2")},
        named="class names in place of numbers",
    ),
    Layout(
        "DOTA",
        "images/, labelTxt/",
        {
            **pictures("images/{}.png"),
            **beside("labelTxt/{}.txt", "imagesource:x\ngsd:0.1\n8 4 24 4 24 14 8 14 ship 0"),
        },
        named="DOTA",
    ),
    Layout(
        "KITTI",
        "image_2/, label_2/",
        {
            **pictures("image_2/{}.png"),
            **beside("label_2/{}.txt", "Car 0.00 0 -1.5 8 4 24 14 1.6 1.6 3.9 1.8 1.5 8.4 0.01"),
        },
        named="KITTI",
    ),
    Layout(
        "VisDrone",
        "images/, annotations/*.txt",
        {
            **pictures("images/{}.png"),
            **beside("annotations/{}.txt", "8,4,16,10,1,4,0,0\n1,1,5,5,0,1,0,0"),
        },
        named="VisDrone",
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
        "TensorFlow CSV",
        "_annotations.csv",
        {
            **pictures("images/{}.png"),
            "train_labels.csv": table(
                "filename,width,height,class,xmin,ymin,xmax,ymax",
                lambda name: (f"{name}.png", *SIZE, "cat", *BOX),
            ),
        },
        named="TensorFlow CSV",
    ),
    Layout(
        "RetinaNet CSV",
        "annotations.csv without a head",
        {
            **pictures(),
            "annotations.csv": table("", lambda name: (f"{name}.png", *BOX, "cat")),
        },
        named="a CSV of boxes",
    ),
    Layout(
        "Open Images CSV",
        "train/*.png, *-bbox.csv",
        {
            **pictures("train/{}.png"),
            "train-annotations-bbox.csv": table(
                "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax",
                lambda name: (name, "x", "/m/01yrx", 1, 0.2, 0.6, 0.2, 0.7),
            ),
        },
        named="Open Images CSV",
    ),
    Layout(
        "a table of classes",
        "train.csv with id, label",
        {**pictures("images/{}.png"), "train.csv": table("id,label", lambda name: (name, "cat"))},
        named="a table of pictures and classes",
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
        "Hugging Face image folder, lines",
        "metadata.jsonl",
        {
            **pictures(),
            "metadata.jsonl": lines(lambda name: {"file_name": f"{name}.png", "text": "a cat"}),
        },
        named="Hugging Face image folder",
    ),
    Layout(
        "Hugging Face image folder, parts",
        "train/metadata.csv",
        {
            **pictures("train/{}.png"),
            "train/metadata.csv": table("file_name,text", lambda name: (f"{name}.png", "a cat")),
        },
        named="Hugging Face image folder",
    ),
    Layout(
        "LabelMe",
        "*.png, *.json",
        {**pictures(), **beside("{}.json", json.dumps(LABELME))},
        named="LabelMe",
    ),
    Layout(
        "Label Studio JSON",
        "export.json",
        {
            **pictures(),
            "export.json": listed(
                lambda name: {
                    "data": {"image": f"{name}.png"},
                    "annotations": [{"result": [RESULT]}],
                }
            ),
        },
        named="Label Studio",
    ),
    Layout(
        "CVAT XML",
        "annotations.xml",
        {
            **pictures("images/{}.png"),
            "annotations.xml": "<?xml version='1.0'?><annotations><image id='0' name='a.png'/>"
            "</annotations>",
        },
        named="CVAT XML",
    ),
    Layout(
        "VGG Image Annotator",
        "via_project.json",
        {
            **pictures(),
            "via_region_data.json": json.dumps({f"{name}.png1": VIA for name in THREE}),
        },
        named="VGG Image Annotator",
    ),
    Layout(
        "CreateML",
        "_annotations.createml.json",
        {
            **pictures(),
            "_annotations.createml.json": listed(
                lambda name: {
                    "image": f"{name}.png",
                    "annotations": [{"label": "cat", "coordinates": {"x": 16, "y": 9}}],
                }
            ),
        },
        named="CreateML",
    ),
    Layout(
        "kohya's metadata",
        "meta_cap.json",
        {**pictures(), "meta_cap.json": json.dumps({name: {"caption": "a cat"} for name in THREE})},
        named="kohya",
    ),
    Layout(
        "LLaVA conversations",
        "train.json",
        {**pictures(), "train.json": listed(lambda name: {"image": f"{name}.png", **LLAVA})},
        named="LLaVA",
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
        named="ms-swift",
    ),
    Layout(
        "chat messages",
        "train.jsonl",
        {
            **pictures(),
            "train.jsonl": lines(
                lambda name: {
                    "messages": [{"role": "user", "content": "<image>What?"}],
                    "images": [f"{name}.png"],
                }
            ),
        },
        named="chat messages",
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
        named="questions and answers",
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
        named="a list of prefixes and suffixes; write one object a line",
    ),
    Layout(
        "FUNSD",
        "images/, annotations/*.json",
        {
            **pictures("images/{}.png"),
            **beside("annotations/{}.json", json.dumps({"form": [{"box": BOX, "text": "A"}]})),
        },
        named="FUNSD",
    ),
    Layout(
        "Flickr8k captions",
        "Images/, captions.txt",
        {
            **pictures("Images/{}.png"),
            "captions.txt": "image,caption\n" + "".join(f"{name}.png,a cat\n" for name in THREE),
        },
        named="a table of pictures and texts",
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
LAYOUTS = (*READ, *PHRASES, *MASKS, *OCR, *NAMED)


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
