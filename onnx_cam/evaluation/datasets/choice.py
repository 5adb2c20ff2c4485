"""Which images of a data set are evaluated."""

from __future__ import annotations

import numpy as np

from onnx_cam.errors import DatasetError, SettingError
from onnx_cam.evaluation.datasets.sample import Dataset, Sample

__all__ = ["choose"]


def choose(
    dataset: Dataset, *, limit: int | None = None, shuffle: bool = False, seed: int = 0, boxed: bool = False
) -> tuple[Sample, ...]:
    """Return a data set's samples, or some of them; the same ones each time.

    Parameters
    ----------
    dataset : Dataset
    limit : int, optional
        Take the first so many; a larger limit adds to what a smaller one takes.
    shuffle : bool
        Draw at random, as the papers draw 2,000 images: the order depends on the seed and the samples' names alone.
    seed : int
        Of the draw.
    boxed : bool
        Take only samples with boxes.

    Returns
    -------
    tuple of Sample

    Raises
    ------
    SettingError
        A limit below 1, or a negative seed.
    DatasetError
        No sample is left.
    """
    if limit is not None and limit < 1:
        raise SettingError(f"a limit of {limit} images; expected 1 or more")
    if seed < 0:
        raise SettingError(f"seed {seed}; expected 0 or more")
    samples = _shuffled(dataset.samples, seed) if shuffle else dataset.samples
    chosen = tuple(sample for sample in samples if sample.boxes or not boxed)
    if not chosen:
        raise DatasetError(f"no image of '{dataset.path}' has a box; expected one with boxes: leave out --only-boxed")
    return chosen[:limit]


def _shuffled(samples: tuple[Sample, ...], seed: int) -> tuple[Sample, ...]:
    """Return samples in the order of random numbers: Philox's raw ones, which NumPy promises never to change."""
    by_name = sorted(samples, key=lambda sample: sample.name)
    order = np.argsort(np.random.Philox(seed).random_raw(len(by_name)), kind="stable")
    return tuple(by_name[i] for i in order)
