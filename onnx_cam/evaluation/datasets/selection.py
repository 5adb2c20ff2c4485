"""Which images of a dataset are evaluated."""

from __future__ import annotations

import numpy as np

from onnx_cam.errors import DatasetError, SettingError
from onnx_cam.evaluation.datasets.sample import Dataset, Sample

__all__ = ["choose"]


def choose(
    dataset: Dataset, *, limit: int | None = None, shuffle: bool = False, seed: int = 0, boxed: bool = False
) -> tuple[Sample, ...]:
    """Return a dataset's samples, or some of them. The same arguments always give the same samples.

    Parameters
    ----------
    dataset : Dataset
    limit : int, optional
        Return at most this many samples. A larger limit adds samples to those of a smaller one.
    shuffle : bool
        Draw the samples at random, as the papers draw 2,000 images. The draw depends only on the seed and on the
        samples' names.
    seed : int
        Random seed of the draw.
    boxed : bool
        Return only samples with boxes.

    Returns
    -------
    tuple of Sample

    Raises
    ------
    SettingError
        The limit is below 1, or the seed is negative.
    DatasetError
        No sample has a box, with `boxed`.

    Examples
    --------
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> dataset = open_dataset("photos.csv")
    >>> [sample.name for sample in choose(dataset, limit=1, shuffle=True, seed=0)]
    ['cat.jpg']
    """
    if limit is not None and limit < 1:
        raise SettingError(f"limit={limit}; expected at least 1 image")
    if seed < 0:
        raise SettingError(f"seed={seed}; expected at least 0")
    samples = _shuffled(dataset.samples, seed) if shuffle else dataset.samples
    candidates = tuple(sample for sample in samples if sample.boxes or not boxed)
    if not candidates:
        raise DatasetError(f"no image of '{dataset.path}' has boxes; leave out --only-boxed, or choose another dataset")
    return candidates[:limit]


def _shuffled(samples: tuple[Sample, ...], seed: int) -> tuple[Sample, ...]:
    """Return samples in the order of Philox's raw random numbers, which NumPy promises never to change."""
    by_name = sorted(samples, key=lambda sample: sample.name)
    order = np.argsort(np.random.Philox(seed).random_raw(len(by_name)), kind="stable")
    return tuple(by_name[i] for i in order)
