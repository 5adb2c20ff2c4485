"""Find the JSON files beside a model that may describe it."""

from __future__ import annotations

from pathlib import Path

from onnx_cam.graph.links import files_beside

__all__ = ["json_beside"]

_NAMES = ("{stem}.json", "preprocessor_config.json", "config.json")


def json_beside(model: Path | None) -> list[Path]:
    """Return the JSON files that may describe a model, the likeliest first; beside links, see `files_beside`.

    Examples
    --------
    >>> _ = Path("config.json").write_text("{}")
    >>> [path.name for path in json_beside(Path("model.onnx"))]
    ['config.json']
    """
    return files_beside(model, _NAMES)
