"""Find the JSON files beside a model that may describe it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["json_beside"]


def json_beside(model: Path) -> list[Path]:
    """Return the JSON files that may describe a model, the likeliest first.

    Examples
    --------
    >>> _ = Path("config.json").write_text("{}")
    >>> [path.name for path in json_beside(Path("model.onnx"))]
    ['config.json']
    """
    folder = model.resolve().parent
    folders = [folder, folder.parent] if folder.name == "onnx" else [folder]  # Hugging Face keeps models in onnx/
    names = (f"{model.stem}.json", "preprocessor_config.json", "config.json")
    return [f / name for f in folders for name in names if (f / name).is_file()]
