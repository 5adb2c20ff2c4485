"""The evaluation: every image of a dataset explained by several methods, and each map measured.

A run can be interrupted and continued. Its parts are the images and their labels (:mod:`onnx_cam.evaluation.datasets`),
what is done with one image (:mod:`onnx_cam.evaluation.image_evaluator`), the engine that does it with all of them
(:mod:`onnx_cam.evaluation.engines`), and the results file (:mod:`onnx_cam.evaluation.results`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import SettingError
from onnx_cam.evaluation.bookkeeping import Bookkeeping, DatasetFacts
from onnx_cam.evaluation.datasets import Dataset, choose, open_dataset
from onnx_cam.evaluation.datasets.sample_labels import read_labels
from onnx_cam.evaluation.engines.local import Engine, LocalEngine
from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.method_names import choose_named_methods, names_all
from onnx_cam.evaluation.results.evaluation import Evaluation, read_evaluation
from onnx_cam.evaluation.results.outputs import write_outputs
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from onnx_cam.evaluation.results.run_setup import record_setup
from onnx_cam.evaluation.steady_batch import steady_batch_size
from onnx_cam.explanation.explaining import check_settings
from onnx_cam.files import results_folder
from onnx_cam.graph.layer import Layer
from onnx_cam.methods import Method
from onnx_cam.metrics import Metric, choose_metrics
from onnx_cam.metrics.base import CurveMetric
from onnx_cam.runtime.scorer import Progress

__all__ = ["evaluate"]


def evaluate(
    model: Classifier | str | Path,
    dataset: Dataset | str | Path,
    *,
    methods: str | Sequence[str | Method] = "scorecam,sscam1,sscam2,sscam-max,iscam",
    metrics: str | Sequence[str | Metric] = "all",
    controls: bool = True,
    out: str | Path,
    samples: int | None = None,
    layer: str | Layer | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    limit: int | None = None,
    shuffle: bool = False,
    only_correct: bool = False,
    only_boxed: bool = False,
    ignore_labels: bool = False,
    score: str = "probability",
    keep: float = 1.0,
    steps: int = 50,
    deletion_baseline: str = "zero",
    insertion_baseline: str = "blur",
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    report: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Explain every image of a dataset by several methods, and measure each map.

    Each result is stored as soon as it is computed, in ``results.sqlite`` in the folder `out`; maps of few forward
    passes are stored with the others of their image. If the run is interrupted, the same call continues it. At the end
    ``summary.json``, ``tables.csv``, ``tables.json`` and ``report.html`` are written beside it.

    Parameters
    ----------
    model : Classifier, str or Path
        What :func:`onnx_cam.load` returned, or the path of a model.
    dataset : Dataset, str or Path
        See :func:`onnx_cam.evaluation.datasets.open_dataset`.
    methods : str, or sequence of str and Method
        Names, each with a variant and settings if needed (``sscam2:paper:sigma=0.5``). ``"all"`` stands for every
        method that works on this model. ``blurred:METHOD`` is a control: a method's map, blurred.
    metrics : str, or sequence of str and Metric
        Names in :data:`onnx_cam.metrics.METRICS`, or ``"all"``.
    controls : bool
        Whether the controls join the methods: ``equal`` (all weights equal), ``centre`` (a Gaussian in the middle) and
        ``random`` (white noise). They explain nothing: a metric that one of them wins does not measure explanation.
    out : str or Path
        The run's folder.
    samples : int, optional
        N, for the methods given by name that have samples and do not state how many.
    layer : str or Layer, optional
        The layer to explain; as for :func:`onnx_cam.explain`.
    seed : int
        Random seed of the noise, and of the draw of images.
    batch_size : int, optional
        Forward passes that run at once; 16 on a CPU and 64 elsewhere by default.
    limit : int, optional
        Evaluate at most this many images.
    shuffle : bool
        Draw the images at random, with `seed`.
    only_correct : bool
        Leave out the drawn images for which the model predicts another class than their label.
    only_boxed : bool
        Draw only from the images that have boxes.
    ignore_labels : bool
        Do not read the dataset's labels, for a model of other classes.
    score : {"probability", "logit"}
        The score that the metrics measure.
    keep : float
        The share of pixels, above 0 and up to 1, that a map keeps, for the metrics that mask the image by the map.
    steps : int
        The number of steps of the deletion and insertion curves.
    deletion_baseline, insertion_baseline : {"zero", "black", "mean", "blur"}
        The baseline that replaces pixels, and the one that pixels are added to.
    engine : {"local", "ray"}
        What distributes the images. ``ray`` needs the extra of that name. The results are the same.
    workers : int, optional
        The number of workers of ``ray``.
    report : bool
        Write ``report.html``, where the extra ``report`` is installed.
    progress : callable, optional
        Called with the forward passes done and the forward passes expected in all.

    Returns
    -------
    Evaluation

    Raises
    ------
    OnnxCamError
        A subclass of it says what is wrong; see :mod:`onnx_cam.errors`.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam,equal", metrics="specificity", out="run")
    >>> summary = summarise(evaluation)
    >>> summary["equal"]["specificity"]["value"] < summary["scorecam"]["specificity"]["value"]
    True
    """
    # First everything that can be judged without the model: methods, metrics and settings.
    named_methods = choose_named_methods(methods, samples, controls=controls)
    chosen_metrics = choose_metrics(
        metrics,
        score=score,
        keep=keep,
        steps=steps,
        deletion_baseline=deletion_baseline,
        insertion_baseline=insertion_baseline,
    )
    for method in named_methods.values():
        check_settings(method, seed=seed, batch_size=batch_size)

    # Which images: all samples of the dataset, or a draw of them. No image has been opened yet.
    opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    drawn = choose(opened, limit=limit, shuffle=shuffle, seed=seed, boxed=only_boxed)

    # The model, and the dataset's labels as positions in its output.
    classifier = model if isinstance(model, Classifier) else load(model)
    _check_head(classifier)
    _check_steps(chosen_metrics, classifier.size)
    labels = read_labels(classifier, opened, drawn, ignore=ignore_labels, needed=only_correct)
    evaluator = ImageEvaluator(
        classifier,
        named_methods,
        chosen_metrics,
        layer=layer,
        seed=seed,
        batch_size=batch_size or steady_batch_size(classifier),
        lenient=names_all(methods),
    )

    # The work: the engine explains and measures image after image, and each result is stored as it comes. What the file
    # holds from an earlier call is not computed again, provided that it was computed in the same way.
    with results_folder(out), ResultsFile(Path(out) / FILE_NAME, write=True) as results:
        record_setup(results, classifier, evaluator.layer)
        facts = DatasetFacts(opened.path, opened.kind, opened.notes, shuffled=shuffle, only_correct=only_correct)
        books = Bookkeeping(evaluator, results, labels, facts)
        books.work(drawn, _engine(engine, evaluator, workers), progress)
        books.finish()

    # The tables and the report, from the file as anybody else would read it.
    return write_outputs(read_evaluation(out), report=report)


def _check_head(classifier: Classifier) -> None:
    if not classifier.head.kind.gives_probabilities:
        raise SettingError(
            f"{classifier.name} gives numbers that are not probabilities (head {classifier.head.kind}), on which the "
            "metrics are defined; say with --head what the numbers are"
        )


def _check_steps(metrics: Sequence[Metric], size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    for metric in metrics:
        if isinstance(metric, CurveMetric) and metric.steps > pixels:
            raise SettingError(
                f"steps={metric.steps}, but the input has {pixels} pixels; expected at most one step each"
            )


def _engine(name: Literal["local", "ray"], evaluator: ImageEvaluator, workers: int | None) -> Engine:
    if name == "local":
        if workers is not None:
            raise SettingError(f"workers={workers}, but the local engine has none; leave it out, or set engine='ray'")
        return LocalEngine(evaluator)
    if name == "ray":
        from onnx_cam.evaluation.engines.ray_engine import RayEngine

        return RayEngine(evaluator, workers)
    raise SettingError(f"unknown engine {name!r}; expected local or ray")
