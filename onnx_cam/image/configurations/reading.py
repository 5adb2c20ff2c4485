"""Parse a configuration: a file, JSON or YAML, or a text in a model's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from onnx_cam.errors import PreprocessingError, one_line
from onnx_cam.files import read_small_file
from onnx_cam.image.configurations.values import Config
from onnx_cam.image.configurations.yaml_subset import parse_yaml

__all__ = ["is_configuration_name", "parse_json", "read_configuration"]

_YAML_SUFFIXES = (".yaml", ".yml")
_MAX_YAML_BYTES = 1 << 20  # a configuration needs a few thousand; YAML is slow to parse
_ADVICE = "fix it, or name a preset: --preprocess imagenet"


def is_configuration_name(name: str) -> bool:
    """Tell whether a name is that of a file which may hold a configuration.

    Examples
    --------
    >>> is_configuration_name("inference.yml"), is_configuration_name("imagenet")
    (True, False)
    """
    return name.lower().endswith((".json", *_YAML_SUFFIXES))


def read_configuration(path: Path) -> Config:
    """Return the configuration in a file.

    Raises
    ------
    PreprocessingError
        The file cannot be read or parsed, or holds something else.

    Examples
    --------
    >>> _ = Path("inference.yml").write_text("Global: {model_name: a}")
    >>> read_configuration(Path("inference.yml"))
    {'Global': {'model_name': 'a'}}
    """
    try:
        content = read_small_file(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error, 80)
        raise PreprocessingError(
            f"cannot read the preprocessing '{path}': {reason}; "
            "give a JSON file that describes one, or name a preset: --preprocess imagenet"
        ) from error
    if path.suffix.lower() in _YAML_SUFFIXES:
        return _object(_parse_yaml(content, f"'{path}'"), f"'{path}'")
    return parse_json(content, f"'{path}'")


def parse_json(text: str | bytes, source: str) -> Config:
    """Return the configuration in a JSON text.

    Raises
    ------
    PreprocessingError
        It is not JSON, or not an object.

    Examples
    --------
    >>> parse_json('{"mean": 0.5}', "an example")
    {'mean': 0.5}
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PreprocessingError(f"{source} is not JSON ({one_line(error, 80)}); {_ADVICE}") from None
    return _object(content, source)


def _parse_yaml(content: bytes, source: str) -> object:
    if len(content) > _MAX_YAML_BYTES:
        raise PreprocessingError(f"{source} is larger than {_MAX_YAML_BYTES >> 20} MiB; {_ADVICE}")
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise PreprocessingError(f"{source} is not YAML that can be read ({one_line(error, 80)}); {_ADVICE}") from None


def _object(content: object, source: str) -> Config:
    if not isinstance(content, Mapping):
        raise PreprocessingError(f"{source} is not an object; expected the fields of a preprocessing")
    return content
