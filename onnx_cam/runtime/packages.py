"""Which packages of ONNX Runtime are installed: exactly one may be, because they unpack into the same folder."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["package_conflict"]

_PACKAGES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
    *("onnxruntime-qnn", "onnxruntime-rocm", "onnxruntime-migraphx", "onnxruntime-training"),
)


def package_conflict() -> str | None:
    """Return what is wrong and what to do where several packages of ONNX Runtime are installed, else None.

    What is imported then is a mixture of them, whose devices and version depend on the order of installation.

    Examples
    --------
    >>> package_conflict() is None
    True
    """
    installed = [f"{package} {found}" for package in _PACKAGES if (found := _version(package))]
    if len(installed) < 2:
        return None
    return (
        f"{' and '.join(installed)} are installed together and overwrite each other's files: "
        f"uninstall all of them, then install one"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
