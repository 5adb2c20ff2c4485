"""What a trial run tells of a model: whether batches work, and whether its scores are what the graph says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, ScoreError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import Head
from onnx_cam.graph.image_input import EIGHT_BITS, ImageInput
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.scores import numbers
from onnx_cam.runtime.session import Session

__all__ = ["TRIAL_IMAGES", "check_head", "check_scores", "read_quantization", "run_together", "trial_images"]

Floats = NDArray[np.float32]

_TRIAL_BATCHES = (3, 2)  # two: a batch that the file fixes to one of them would work there
TRIAL_IMAGES = sum(_TRIAL_BATCHES)
"""How many images a trial takes."""

_CONTRASTS = (1.0, 0.3, 3.0, 0.1, 2.0)
_SEED = 0
_BLOCKS = 8
_TOLERANCE = 1e-2  # of the difference between two images: a batch that mixes them up differs by all of it
_QUANTIZED_SUM = 0.7  # 8-bit probabilities of 1,000 classes: most are rounded to 0


def trial_images(
    image_input: ImageInput, size: tuple[int, int], count: int, preprocessing: Preprocessing | None
) -> Floats:
    """Return the same images each time, (count, C, H, W) float32: blocks of noise, of different contrast.

    As the preprocessing makes them of pixels, where there is one; else about standard normal, and pixel values where
    the input takes 8-bit integers.
    """
    generator = np.random.default_rng(_SEED)
    coarse = generator.standard_normal((count, image_input.channels, _BLOCKS, _BLOCKS), np.float32)
    rows, columns = (np.arange(side) * _BLOCKS // side for side in size)
    contrast = np.resize(np.array(_CONTRASTS, np.float32), count)[:, None, None, None]
    noise = coarse[:, :, rows][..., columns] * contrast
    pixels = np.clip(128 + 64 * noise, 0, 255)
    if image_input.dtype in EIGHT_BITS:
        return np.asarray(pixels, np.float32)
    if preprocessing is None or image_input.channels not in (1, 3):
        return np.ascontiguousarray(noise, np.float32)
    colours = np.broadcast_to(np.moveaxis(pixels, 1, -1), (count, *size, 3)).astype(np.uint8)
    return np.stack([preprocessing.normalise(image, image_input.channels) for image in colours])


def check_scores(raw: NDArray[Any], head: Head, model: str) -> None:
    """Refuse an output that holds no class scores.

    Parameters
    ----------
    raw : ndarray
        The output `head.output` for several images.
    head : Head
    model : str
        The file's name, for messages.

    Raises
    ------
    ModelError
    """
    kinds = "f" if head.quantizer is None else "fiu"
    if raw.dtype.kind not in kinds or raw.ndim < 2 or raw[0].size > max(raw.shape[1:]):
        raise ModelError(
            f"output {head.output!r} of {model} has shape {raw.shape[1:]} an image, {raw.dtype}; "
            "expected class scores (N, classes): name another with --output"
        )


def read_quantization(head: Head, constants: Constants, model: str) -> Head:
    """Return the head with the scale and zero point of its integers.

    Raises
    ------
    ModelError
        The scale is computed.
    """
    if head.quantizer is None:
        return head
    values = [constants.value(tensor) for tensor in head.quantization]
    if values[0] is None or values[0].size != 1:
        raise ModelError(f"output {head.output!r} of {model} is quantized by a computed scale; expected a constant one")
    zero_point = 0.0 if len(values) < 2 or values[1] is None else float(values[1].reshape(()))
    return replace(head, scale=float(values[0].reshape(())), zero_point=zero_point)


def check_head(raw: NDArray[Any], head: Head, model: str) -> Head:
    """Return the head as the scores of a run confirm or correct it.

    Raises
    ------
    ModelError
        The graph ends in Softmax, but the scores do not sum to 1.
    """
    values = numbers(raw, head)
    total = values.sum(axis=1)
    positive = values.shape[1] > 1 and bool((values >= 0).all())
    if head.kind == "softmax" and not (positive and np.allclose(total, 1, atol=_QUANTIZED_SUM)):
        reason = "the graph ends in Softmax, but a run's scores do not sum to 1 over the classes"
        raise ModelError(f"{model}: {reason}; name the class scores with --output")
    if head.kind == "logits" and positive and np.allclose(total, 1, atol=1e-3):
        return replace(head, kind="softmax", logits="", reason="a run's scores are not negative and sum to 1")
    if head.kind == "logits" and not head.unbounded and positive and bool((values <= 1).all()):
        choice = "the scores of a run all lie between 0 and 1: taken as probabilities, as they are"
        return replace(
            head, kind="sigmoid", logits="", reason=choice, choice="; ".join(filter(None, [head.choice, choice]))
        )
    return head


def run_together(session: Session, head: Head, images: Floats, alone: NDArray[Any]) -> bool:
    """Whether images score in batches as they do alone.

    Parameters
    ----------
    session : Session
        With the logits among its outputs.
    head : Head
    images : ndarray of shape (TRIAL_IMAGES, C, H, W), float32
    alone : ndarray of shape (TRIAL_IMAGES, …)
        The logits (the scores, where the graph has none) of each, run alone.
    """
    try:
        cuts = np.cumsum(_TRIAL_BATCHES)[:-1]
        parts = [session.run(part, [head.logits or head.output])[0] for part in np.split(images, cuts)]
        together = np.concatenate(parts).astype(np.float64)
    except (ScoreError, ValueError):
        return False
    apart = np.ptp(alone.astype(np.float64), axis=0)  # (classes): how far the images differ
    allowed = _TOLERANCE * (apart + 0.01 * apart.max())
    return bool(together.shape == alone.shape and apart.max() > 0 and (np.abs(together - alone) <= allowed).all())
