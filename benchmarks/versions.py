"""The versions that the figures of a benchmark depend on."""

from __future__ import annotations

from onnx_cam.explanation.versions import package_versions

__all__ = ["versions_line"]


def versions_line() -> str:
    """Return the versions as one line of text, to print above a table."""
    return ", ".join(f"{name} {version}" for name, version in package_versions().items())
