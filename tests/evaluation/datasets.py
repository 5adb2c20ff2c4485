"""Tiny datasets on disk. Their images are files whose content nobody opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOC_OBJECT = """<object><name>{name}</name><difficult>1</difficult>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def images(folder: Path, *names: str) -> Path:
    """Put files of those names into a folder, which is returned."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not opened")
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def voc_xml(*objects: tuple[str, tuple[Any, ...]], filename: str = "a.jpg", size: str = "", database: str = "") -> str:
    """Return an annotation in Pascal VOC's layout."""
    described = "".join(VOC_OBJECT.format(*edges, name=name) for name, edges in objects)
    size = size or "<size><width>100</width><height>80</height><depth>3</depth></size>"
    source = f"<source><database>{database}</database></source>"
    return f"<annotation><filename>{filename}</filename>{source}{size}{described}</annotation>"


def coco(**changes: Any) -> dict[str, Any]:
    """Return a COCO file of two images, the first with a cat and a larger dog."""
    content: dict[str, Any] = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 2, "file_name": "b.jpg", "width": 100, "height": 80},
        ],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 17, "bbox": [10, 20, 5.5, 6], "iscrowd": 0},
            {"id": 8, "image_id": 1, "category_id": 18, "bbox": [0, 0, 50, 40], "iscrowd": 0},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
    }
    return content | changes
