"""Where a model's class names may be stated: its metadata, its graph, and the files beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

from onnx_cam.classifier.name_lists import KEYS, NameList, as_key, find_held, names_in
from onnx_cam.classifier.name_texts import decode_names, name_or_index, parse_names
from onnx_cam.errors import one_line
from onnx_cam.files import read_small_file
from onnx_cam.graph.links import files_beside
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.walk_protobuf import find_attribute
from onnx_cam.image.configurations.files_beside import json_beside
from onnx_cam.image.configurations.yaml_subset import parse_yaml

__all__ = ["NameSource", "label_files", "name_sources", "read_name_file"]

_LOOK_UPS = {"Gather", "ArrayFeatureExtractor"}
_TOO_GENERAL = {"label"}  # keys that hold names within a configuration, but something else in a model's metadata
_OPENVINO_KEY = "model_info labels"
"""Where OpenVINO's training tools write the names: separated by spaces, and with underscores for spaces in a name."""

_CONFIGURATIONS = (
    "signature.json",  # Lobe's
    "metadata.json",  # Teachable Machine's
    "metadata.yaml",  # Ultralytics'
    *("inference.yml", "inference.yaml", "infer_cfg.yml", "model.yml"),  # Paddle's
)
_LABEL_FILES = (
    "labels.txt",
    "labels.json",
    "classes.txt",
    "class_names.txt",
    "{stem}.txt",
    "{stem}_labels.txt",
    "{stem}.names",
    "synset.txt",
)
_MAX_YAML = 4 << 20  # characters; YAML is slow to parse


@dataclass(frozen=True)
class NameSource:
    """A place that states class names.

    Attributes
    ----------
    where : str
        The place, for messages.
    read : callable
        Returns the names, as a `NameList`; None where there are none after all. It raises ValueError or OSError where
        what is there cannot be used.
    """

    where: str
    read: Callable[[], NameList | None]


def name_sources(model: ModelFile) -> Iterator[NameSource]:
    """Yield the places that state a model's class names, the likeliest first.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> [source.where for source in name_sources(read_model("model.onnx"))]
    ["the model's metadata, onnx_cam.labels"]
    """
    by_key = {as_key(key): (key, text) for key, text in reversed(model.metadata.items())}
    for wanted in KEYS:
        key, text = by_key.get(wanted, ("", ""))
        if wanted not in _TOO_GENERAL and text.strip() and not text.strip().isdecimal():  # a number counts the classes
            yield NameSource(f"the model's metadata, {key}", partial(parse_names, text))
    if names := model.metadata.get(_OPENVINO_KEY, "").split():
        yield NameSource(f"the model's metadata, {_OPENVINO_KEY}", partial(names_in, names))
    yield from _in_graph(model.proto)
    for path in dict.fromkeys([*json_beside(model.path), *files_beside(model.path, _CONFIGURATIONS)]):
        yield NameSource(str(path), partial(_from_configuration, path))


def label_files(model: Path | None) -> list[Path]:
    """Return the files beside a model whose name says that they hold class names; of which model is not certain.

    Examples
    --------
    >>> [path.name for path in label_files(Path("model.onnx"))]
    ['labels.txt']
    """
    return files_beside(model, _LABEL_FILES)


def read_name_file(path: Path) -> NameList:
    """Read a file of class names.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It holds no names.

    Examples
    --------
    >>> read_name_file(Path("labels.txt")).names
    ('bird', 'cat', 'fish', 'dog')
    """
    text = decode_names(read_small_file(path))
    if path.suffix.lower() != ".json":
        return parse_names(text, lines=True)
    return names_in(_parse_json(text))


def _from_configuration(path: Path) -> NameList | None:
    text = decode_names(read_small_file(path))
    is_yaml = path.suffix in (".yaml", ".yml")
    if is_yaml and len(text) > _MAX_YAML:
        raise ValueError(f"more than {_MAX_YAML >> 20} Mi characters")
    content = parse_yaml(text, name_or_index) if is_yaml else _parse_json(text)
    held = find_held(content) if isinstance(content, Mapping) else None
    return None if held is None else names_in(held)


def _parse_json(text: str) -> object:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {one_line(error, 80)}") from None
    return content


def _in_graph(proto: onnx.ModelProto) -> Iterator[NameSource]:
    """Yield the names in operators that turn scores into names; converters of scikit-learn and Core ML write them."""
    texts = {t.name: t.string_data for t in proto.graph.initializer if t.data_type == onnx.TensorProto.STRING}
    for node in proto.graph.node:
        looked_up = texts.get(next(iter(node.input), ""), ())  # names[index]
        if node.op_type in _LOOK_UPS and len(looked_up) > 1:
            yield NameSource(f"the graph's {node.op_type}", partial(_decoded, list(looked_up)))
        labels = find_attribute(node, "classlabels_strings")
        if labels is not None and labels.strings:
            yield NameSource(f"the graph's {node.op_type}", partial(_decoded, list(labels.strings)))
        keys, values = find_attribute(node, "keys_int64s"), find_attribute(node, "values_strings")
        if node.op_type == "LabelEncoder" and keys is not None and values is not None:
            yield NameSource("the graph's LabelEncoder", partial(_encoded, list(keys.ints), list(values.strings)))


def _decoded(strings: list[bytes]) -> NameList:
    return names_in([text.decode() for text in strings])


def _encoded(keys: list[int], values: list[bytes]) -> NameList:
    return names_in({key: text.decode() for key, text in zip(keys, values, strict=True)})
