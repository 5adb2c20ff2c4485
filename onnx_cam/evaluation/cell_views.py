"""What the model sees of the images of a run in the cells of mosaics, before the first of them is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx_cam.errors import ImageError, OutOfMemoryError, ScoreError
from onnx_cam.evaluation.mosaics import CellView
from onnx_cam.evaluation.other_models import OtherModels
from onnx_cam.evaluation.results.results_file import ResultsFile

__all__ = ["view_cells"]


def view_cells(
    paths: Mapping[str, str], models: OtherModels, results: ResultsFile, count: Callable[[int], None]
) -> dict[str, CellView]:
    """Return what the model sees of images in a cell; what the results file holds is not computed again.

    An image that cannot be read, or that the model fails on, is left out: it is listed once it is evaluated.

    Parameters
    ----------
    paths : mapping of str to str
        Where the files lie, by their hashes.
    models : OtherModels
    results : ResultsFile
        Open for writing: what is computed is stored.
    count : callable
        Called with the forward passes of each image.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> models = OtherModels(model, model.layer(), seed=0)
    >>> with ResultsFile("results.sqlite", write=True) as results:
    ...     views = [view_cells({"ab12": "cat.jpg"}, models, results, print) for _ in range(2)]
    1
    >>> views[0] == views[1]
    True
    """
    stored = results.cell_views(scaled=models.mosaics_are_scaled)
    views: dict[str, CellView] = {}
    for sha256, path in paths.items():
        if sha256 in stored:
            views[sha256] = stored[sha256]
            continue
        try:
            views[sha256], passes = models.cell_view(path)
        except OutOfMemoryError:
            raise
        except (ImageError, ScoreError):
            continue
        results.add_cell_view(sha256, views[sha256], scaled=models.mosaics_are_scaled)
        count(passes)
    return views
