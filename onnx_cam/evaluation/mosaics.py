"""Which images make up whose mosaic: who takes part, and a draw that does not depend on what else is in the run.

Each image ranks the others by a hash of the seed and of both files, and takes the first three of other classes. So the
draw is the same on every machine and in any order of the images, and another image in the run changes few mosaics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from onnx_cam.image.mosaic import CELLS

__all__ = ["NO_PIXELS", "CellView", "MosaicPlan", "Partner", "draw_mosaics"]

_LEAST_PROBABILITY = 0.5
_LEAST_IMAGES = 8

NO_PIXELS = "a network input (.npy) has no pixels to make a mosaic of"
"""Why there is no mosaic of what is not an image."""

_NOT_RECOGNISED = "the model does not recognise the image at the size of a cell with a probability of 0.5"


@dataclass(frozen=True)
class CellView:
    """What the model sees in an image, and in the same image with the detail that it has in a cell of a mosaic.

    Attributes
    ----------
    predicted : int
        The class that it predicts for the image.
    in_cell : int
        The class that it predicts at a cell's resolution.
    probability : float
        The probability of that class.

    Examples
    --------
    >>> CellView(281, 281, 0.8).qualifies_as(281), CellView(281, 281, 0.8).qualifies_as(282)
    (True, False)
    """

    predicted: int
    in_cell: int
    probability: float

    def qualifies_as(self, target: int) -> bool:
        """Whether the image is recognised in a cell."""
        return self.in_cell == target and self.probability >= _LEAST_PROBABILITY

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; they are the class's own parameters."""
        return asdict(self)


@dataclass(frozen=True)
class Partner:
    """Another image of a mosaic.

    Attributes
    ----------
    path : str
        Where its file lies.
    sha256 : str
        The hash of the file.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class MosaicPlan:
    """The mosaic of an image, or why there is none.

    Attributes
    ----------
    target : int
        The image's class.
    cell : int
        The image's cell, 0 to 3.
    partners : tuple of Partner
        Three images of other classes, in the order of the other cells.
    reason : str
        Why there is no mosaic; empty where there is one.

    Examples
    --------
    >>> plan = MosaicPlan(7, 2, tuple(Partner(f"{name}.jpg", 64 * name) for name in "abc"))
    >>> plan.key
    'class 7 in cell 2 beside aaaaaaaaaaaa bbbbbbbbbbbb cccccccccccc'
    """

    target: int = 0
    cell: int = 0
    partners: tuple[Partner, ...] = ()
    reason: str = ""

    @property
    def key(self) -> str:
        """What the figure of the mosaic is stored under."""
        if self.reason:
            return f"none: {self.reason}"
        return f"class {self.target} in cell {self.cell} beside {' '.join(one.sha256[:12] for one in self.partners)}"


def draw_mosaics(
    paths: Mapping[str, str], views: Mapping[str, CellView], labels: Mapping[str, int | None], seed: int
) -> dict[str, MosaicPlan]:
    """Return the mosaic of each image.

    Parameters
    ----------
    paths : mapping of str to str
        Where each image's file lies, by its hash.
    views : mapping of str to CellView
        What the model sees in the images that may take part, by their hashes.
    labels : mapping of str to int or None
        The class that each of these should be recognised as; None stands for the class predicted for it.
    seed : int

    Examples
    --------
    >>> paths = {f"{i:064x}": f"{i}.jpg" for i in range(8)}
    >>> views = {sha256: CellView(i % 4, i % 4, 0.9) for i, sha256 in enumerate(paths)}
    >>> plans = draw_mosaics(paths, views, dict.fromkeys(paths), seed=0)
    >>> {len(plan.partners) for plan in plans.values()}
    {3}
    >>> {plan.reason for plan in draw_mosaics(paths, views, dict.fromkeys(paths, 0), seed=0).values()}
    {'2 images of 1 class are recognised at the size of a cell; mosaics need 8 images of 4 classes'}
    """
    pool: dict[str, int] = {}
    for sha256, view in views.items():
        label = labels[sha256]
        target = view.predicted if label is None else label
        if view.qualifies_as(target):
            pool[sha256] = target
    kinds = len(set(pool.values()))
    if kinds < CELLS or len(pool) < _LEAST_IMAGES:
        few = f"{len(pool)} image{'s' * (len(pool) != 1)} of {kinds} class{'es' * (kinds != 1)}"
        reason = f"{few} are recognised at the size of a cell; mosaics need {_LEAST_IMAGES} images of {CELLS} classes"
        return {sha256: MosaicPlan(reason=reason) for sha256 in paths}
    recognised = {sha256: MosaicPlan(reason=_NOT_RECOGNISED) for sha256 in paths}
    return recognised | {sha256: _draw(sha256, pool, paths, seed) for sha256 in pool}


def _draw(image: str, pool: Mapping[str, int], paths: Mapping[str, str], seed: int) -> MosaicPlan:
    ranked: Sequence[str] = sorted(pool, key=lambda other: _hash(seed, image, other))
    partners: dict[int, Partner] = {}
    for other in ranked:
        if pool[other] != pool[image]:
            partners.setdefault(pool[other], Partner(paths[other], other))
    return MosaicPlan(pool[image], _hash(seed, image)[0] % CELLS, tuple(partners.values())[: CELLS - 1])


def _hash(seed: int, *images: str) -> bytes:
    return hashlib.sha256(" ".join([str(seed), *images]).encode()).digest()
