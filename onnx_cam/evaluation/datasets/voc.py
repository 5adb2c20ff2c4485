"""Pascal VOC: an XML file for each image."""

from __future__ import annotations

import os
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from onnx_cam.errors import DatasetError, one_line
from onnx_cam.evaluation.datasets.annotation_file import (
    check_count,
    quoted,
    read_box,
    read_bytes,
    stated_size,
    valid_boxes,
)
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, image_label, read_label
from onnx_cam.evaluation.datasets.image_paths import ImagePaths
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample
from onnx_cam.image.files import SUFFIXES

__all__ = ["is_voc", "parse_xml", "read_voc"]

_ANNOTATIONS, _IMAGES = "Annotations", "JPEGImages"
_MAX_BYTES = 16 << 20
_MAX_DEPTH = 32
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FROM_0 = "ILSVRC"  # ImageNet's boxes come in the same layout, counted from 0
_ENDINGS = (".jpg", ".JPEG", ".jpeg", ".png", ".JPG", *(s for s in SUFFIXES if s not in (".jpg", ".jpeg", ".png")))


def is_voc(path: str) -> bool:
    """Tell whether a folder holds XML files, itself or in ``Annotations``.

    Examples
    --------
    >>> is_voc(".")
    False
    """
    return os.path.isdir(path) and bool(_files(_annotations(path)))


def read_voc(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read a folder with ``Annotations/*.xml`` and ``JPEGImages``, or of XML files.

    Boxes are pixels counted from 1, both ends included. Objects marked ``difficult`` are kept.

    Parameters
    ----------
    path : str
    images : str or None
        The folder of the images, where they do not lie where Pascal VOC puts them.
    classes : ClassList or None

    Raises
    ------
    DatasetError

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("cat.xml").write_text(
    ...     "<annotation><filename>cat.jpg</filename><object><name>cat</name><bndbox><xmin>9</xmin><ymin>5</ymin>"
    ...     "<xmax>36</xmax><ymax>28</ymax></bndbox></object></annotation>"
    ... )
    >>> read_voc(".", None, None).samples[0].boxes
    (Box(x0=8.0, y0=4.0, x1=36.0, y1=28.0, label='cat'),)
    """
    folder = _annotations(path)
    names = _files(folder)
    if not names:
        raise DatasetError(f"no XML file in '{folder}'; expected Pascal VOC's annotations")
    check_count(len(names), folder)
    root = os.path.dirname(folder) or "." if os.path.basename(folder) == _ANNOTATIONS else folder
    paths = ImagePaths(root, images, (_IMAGES, "", "images"))
    samples: dict[str, Sample] = {}
    for name in names:
        file = os.path.join(folder, name)
        add_sample(samples, _sample(file, paths, classes), f"'{file}'")
    paths.check(len(samples), path)
    in_order = tuple(samples.values())
    return Dataset(path, "voc", in_order, classes.names if classes else _class_names(in_order))


def _annotations(path: str) -> str:
    path = path.rstrip("/") or path
    below = os.path.join(path, _ANNOTATIONS)
    return below if os.path.isdir(below) else path


def _files(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise DatasetError(f"cannot read the folder '{folder}': {one_line(error)}") from error
    return sorted(name for name in names if name.lower().endswith(".xml") and not name.startswith("."))


def _class_names(samples: tuple[Sample, ...]) -> tuple[str, ...] | None:
    return tuple(sorted({box.label for s in samples for box in s.boxes if isinstance(box.label, str)})) or None


def _sample(path: str, paths: ImagePaths, classes: ClassList | None) -> Sample:
    where = f"'{path}'"
    root = parse_xml(read_bytes(path, _MAX_BYTES), where)
    if root.tag != "annotation":
        raise DatasetError(f"{where}: the root is <{quoted(root.tag)}>; expected an <annotation> of Pascal VOC")
    size = stated_size(*(_whole(root.findtext(f"size/{side}")) for side in ("width", "height")))
    start = 0 if (root.findtext("source/database") or "").startswith(_FROM_0) else 1
    boxes = valid_boxes((_box(item, start, where, classes) for item in root.findall("object")), where, size)
    image, name = paths.find(_names(root, path), where)
    return Sample(image, name, image_label(boxes), boxes, size)


def _names(root: Element, path: str) -> list[str]:
    """Return what the image may be called: as the annotation states, or like its file; the ending may be missing."""
    stem = os.path.splitext(os.path.basename(path))[0]
    stated = (root.findtext("filename") or "").strip()
    names = []
    for name in (stated, stem) if stated else (stem,):
        names += [name] if name.lower().endswith(SUFFIXES) else [name + ending for ending in _ENDINGS]
    return names


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() and len(text) < 10 else None


def _box(item: Element, start: int, where: str, classes: ClassList | None) -> Box:
    edges = [item.findtext(f"bndbox/{edge}") for edge in _EDGES]
    if None in edges:
        raise DatasetError(f"{where}: an <object> has no <bndbox>; expected one with xmin, ymin, xmax and ymax")
    label = read_label(item.findtext("name"), classes, where)
    x0, y0, x1, y1 = read_box(edges, where, as_text=True)
    return Box(x0 - start, y0 - start, x1 + 1 - start, y1 + 1 - start, label)


def parse_xml(content: bytes, where: str) -> Element:
    """Return an XML document's root element. Document types, and entities with them, are refused.

    The same parser refuses and reads, since expat itself calls the builder.

    Parameters
    ----------
    content : bytes
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        The document is damaged, nested too deeply, or declares a document type.

    Examples
    --------
    >>> parse_xml(b"<annotation><filename>cat.jpg</filename></annotation>", "'cat.xml'").findtext("filename")
    'cat.jpg'
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise DatasetError(f"{where}: the XML is nested too deeply; expected an annotation of Pascal VOC")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise DatasetError(f"{where}: the XML declares a document type or an entity; remove the declaration")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse  # type: ignore[assignment]
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise DatasetError(f"{where}: damaged XML: {one_line(error)}") from None
