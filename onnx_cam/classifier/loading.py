"""A path to a classifier."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import SettingError
from onnx_cam.graph.head import find_head
from onnx_cam.graph.image_input import find_image_input, with_size
from onnx_cam.graph.read import import_graph, read_model
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["load"]

_MAX_THREADS = 512


def load(
    path: str | Path,
    *,
    device: str = "auto",
    labels: str | os.PathLike[str] | Sequence[str] | Mapping[int, str] | None = None,
    label_offset: int | None = None,
    preprocess: str | os.PathLike[str] | Preprocessing = "auto",
    size: tuple[int, int] | None = None,
    input: str | None = None,
    output: str | None = None,
    threads: int | None = None,
) -> Classifier:
    """Load an image classifier.

    Parameters
    ----------
    path : str or Path
        An ``.onnx`` file.
    device : str
        ``auto`` (CUDA where it loads, else the CPU), ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``openvino``.
    labels : str, path, sequence of str or mapping of index to str, optional
        A text or JSON file, ``imagenet``, or the names; by default what the model's metadata says.
    label_offset : int, optional
        The position in the output of the first name.
    preprocess : str, path or Preprocessing
        ``auto``, ``imagenet``, ``tf``, ``caffe``, ``unit``, ``raw``, ``none``, a JSON file, or a Preprocessing.
    size : tuple of int, optional
        ``(H, W)`` of the network's input, where the model leaves it free.
    input, output : str, optional
        The tensors that take the image and give the scores, where more than one would do.
    threads : int, optional
        Threads within an operator.

    Returns
    -------
    Classifier

    Raises
    ------
    ModelError
        The file is missing, damaged, refused by the runtime, or no image classifier.
    LabelsError, PreprocessingError, DeviceError, MissingExtraError, SettingError
        What was asked for cannot be had.
    """
    if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS):
        raise SettingError(f"threads={threads!r}; expected a whole number from 1 to {_MAX_THREADS}")
    file = read_model(path)
    graph = import_graph(file)
    image_input = with_size(find_image_input(file.proto.graph, file.name, input), size, file.name)
    head = find_head(graph, file.name, output)
    return Classifier(
        file,
        graph,
        image_input,
        head,
        preprocess=preprocess,
        labels=labels,
        label_offset=label_offset,
        size=size,
        device=device,
        threads=threads,
    )
