"""The comparison of two builds of one model: what they predict, and where they look.

Its parts are the old side (:mod:`onnx_cam.builds.old_side`) and the new build (:mod:`onnx_cam.builds.build`), what
corresponds in them (:mod:`onnx_cam.builds.matching`), the images (:mod:`onnx_cam.builds.images`), the figures
(:mod:`onnx_cam.builds.figures`) and the gates (:mod:`onnx_cam.builds.gates`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_cam.builds.along_images import check_runs, compare_images_along
from onnx_cam.builds.baseline import Baseline
from onnx_cam.builds.comparing import Comparing
from onnx_cam.builds.figures import measure
from onnx_cam.builds.gates import DEFAULT_GATES, judge, read_gates
from onnx_cam.builds.images import read_image_set
from onnx_cam.builds.matching import match_classes, match_layer
from onnx_cam.builds.notes import check_labels, notes_on
from onnx_cam.builds.opening import map_settings, open_build, open_classifier, open_old_side, suffixes_for
from onnx_cam.builds.outputs import write_outputs
from onnx_cam.builds.progress_file import open_progress
from onnx_cam.builds.result import Diff
from onnx_cam.files import results_folder

if TYPE_CHECKING:
    from onnx_cam.builds.images import Images
    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.graph.layer import Layer
    from onnx_cam.graph.read import ModelSource
    from onnx_cam.image.preprocessing import Preprocessing
    from onnx_cam.methods import Method
    from onnx_cam.runtime.scorer import Progress

__all__ = ["diff"]


def diff(
    old: Classifier | Baseline | ModelSource,
    new: Classifier | ModelSource,
    images: Images,
    *,
    method: str | Method | None = None,
    layer: str | Layer | None = None,
    new_layer: str | Layer | None = None,
    variant: str | None = None,
    samples: int | None = None,
    sigma: float | None = None,
    budget: int | float | str | None = None,
    tolerance: float | None = None,
    seed: int | None = None,
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    new_preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    maps: int | None = None,
    layers: bool = False,
    fail_if: Sequence[str] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Diff:
    """Compare two builds of one model on the same images: their predictions, and where they look.

    No labels are needed. For each image both builds explain the class that the old one predicts, and the distance of
    the two maps is set against the noise floor: how far the old build's map moves under noise that nobody can see.

    Parameters
    ----------
    old : Classifier, model, or path of a baseline
        The build to compare with: what :func:`onnx_cam.load` takes or returned, or what
        :func:`onnx_cam.save_baseline` kept of it.
    new : Classifier or model
        The build to judge.
    images : Dataset, image or sequence of images
        Paths, folders and patterns, or images as for :func:`onnx_cam.explain`. One path may also be a dataset, as
        :func:`onnx_cam.evaluation.evaluate` takes it: its labels give the negative flips.
    method : str or Method, optional
        ``gradcam`` by default, which takes one forward and one backward pass for a map.
    layer, new_layer : str or Layer, optional
        The old build's default layer, and the one of the new build that corresponds to it by name or shape.
    variant, samples, sigma, budget, tolerance : optional
        The method's settings, as for :func:`onnx_cam.explain`.
    seed : int, optional
        Of the noise and of the draw of images; 0 by default.
    preprocess : str, path or Preprocessing, optional
        Of both builds, in place of what each has or what is found beside it.
    new_preprocess : str, path or Preprocessing, optional
        Of the new build, where it differs.
    maps : int, optional
        On how many images maps are compared, 100 by default. Of more images, half as many are drawn at random, and the
        figures on maps are over those; the other half, whose scores moved most, are for the report.
    layers : bool
        Also compare the activations at every tensor that both builds have, on up to 16 of the drawn images: where along
        the network they diverge.
    fail_if : sequence of str, optional
        The gates, such as ``flips>5%`` or ``maps>3``, which are also the default. A gate fails where the whole 95 %
        interval of its figure is past the limit.
    out : str or Path, optional
        The folder for ``diff.json``, ``images.csv``, ``junit.xml``, ``summary.md`` and ``report.html``. A comparison
        that was stopped goes on there.
    progress : callable, optional
        Called with the steps done and the steps expected in all.

    Returns
    -------
    Diff

    Raises
    ------
    OnnxCamError
        A subclass of it says what is wrong; see :mod:`onnx_cam.errors`.

    Examples
    --------
    >>> import onnx_cam
    >>> result = onnx_cam.diff("model.onnx", "model.onnx", "photos.csv", out="diff")
    >>> result
    <Diff of model.onnx and model.onnx on 2 images: no gate failed>
    >>> result.figures["maps"].value, result.notes[0]
    (0.0, 'the two files are equal: ...')
    """
    # First everything that can be judged without a model: the gates, the method and its settings.
    gates = read_gates(DEFAULT_GATES if fail_if is None else fail_if)
    requested = map_settings(
        method,
        variant=variant,
        samples=samples,
        sigma=sigma,
        budget=budget,
        tolerance=tolerance,
        seed=seed,
        maps=maps,
    )

    # The old side, which is a build or a baseline of one, and the new build; then which layer and which classes of the
    # two correspond.
    side, settings = open_old_side(old, requested, layer=layer, preprocess=preprocess)
    running = check_runs(side) if layers else None
    classifier, preprocessing = open_classifier(new, preprocess if new_preprocess is None else new_preprocess)
    classes = match_classes(side.labels, classifier.labels)
    matched, layer_notes = match_layer(side.layer, classifier) if new_layer is None else (new_layer, ())
    build = open_build(classifier, preprocessing, matched)
    build.prepare(settings)

    # The images, each file once, and which of them get maps. None has been decoded yet.
    image_set = read_image_set(images, side.labels, suffixes_for(build))
    check_labels(gates, image_set.images)
    draw = side.draw(image_set.images)

    # The work: image after image, each stored as it comes. What was stored by an earlier call is not done again.
    comparing = Comparing(side, build, classes, settings)
    with results_folder(out) if out is not None else nullcontext(), open_progress(out, comparing.describe()) as done:
        compared, unreadable = comparing.work(image_set.images, draw, done, progress)

        # Where along the network the builds diverge; then the figures with their intervals, the gates, and the files.
        along = compare_images_along(running.build, build, compared, settings.seed) if running else None
        figures = measure(compared)
        result = Diff(
            figures=figures,
            gates=judge(gates, figures),
            images=compared,
            old=side.describe(),
            new=build.describe(),
            old_labels=side.labels,
            new_labels=build.classifier.labels,
            settings={**settings.describe(), "maps": len(draw.drawn) + draw.others, "drawn": len(draw.drawn)},
            left_out={**image_set.left_out, **unreadable},
            notes=(
                *_equal(side.describe(), build.describe()),
                *image_set.notes,
                *classes.notes,
                *layer_notes,
                *notes_on(compared),
            ),
            along=along,
        )
        return result if out is None else write_outputs(result, out)


def _equal(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    if any(old[name] != new[name] for name in ("sha256", "weights_sha256")):
        return ()
    return ("the two files are equal: only their preprocessing, layers or devices can differ",)
