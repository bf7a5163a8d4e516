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

Files = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """A way to lay out a dataset.

    Attributes:
        name: what people call it.
        shape: its files in short, for the table.
        files: texts by path; each path that ends with a suffix of pictures becomes one.
        read_as: the format that it is read as, or `None` if it is named.
        records: of a pass over the part, or over all.
        named: words of the sentence that names it.
        split: the part to read, if it is divided.
        told: pictures that are no record, and told about.
    """

    name: str
    shape: str
    files: Files
    read_as: str | None = None
    records: int = 3
    named: str = ""
    split: str | None = None
    told: int = 0


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


LLAVA = {
    "conversations": [
        {"from": "human", "value": "<image>\nWhat?"},
        {"from": "gpt", "value": "a cat"},
    ]
}
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
        "ODVG",
        "train.jsonl",
        {
            **pictures(),
            "train.jsonl": lines(
                lambda name: {
                    "filename": f"{name}.png",
                    "detection": {"instances": [{"bbox": list(BOX), "category": "cat"}]},
                }
            ),
        },
        named="ODVG",
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
        "TFRecord",
        "*.tfrecord",
        {**pictures("samples/{}.png"), "train.tfrecord": "x"},
        named="TFRecord",
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
            "train.csv": table("image,class", lambda name: (f"{name}.png", "cat"), ";"),
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
        "rows",
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
        "lines of text (Tesseract, OCRopus)",
        "*.png, *.gt.txt",
        {**pictures(), **beside("{}.gt.txt", "Hello")},
        "ocr_lines",
    ),
)
LAYOUTS = (*READ, *OCR, *ROWS, *NAMED)


def write_layout(layout: Layout, folder: Path) -> list[Path]:
    """Write a layout; returns its pictures."""
    made = []
    for number, (name, text) in enumerate(layout.files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
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
