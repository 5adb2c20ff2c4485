"""A model, a dataset, methods and metrics: the papers' evaluation, which can be stopped and gone on with."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import ImageError, OnnxCamError, SettingError
from onnx_cam.evaluation.datasets import Dataset, Sample, choose, open_dataset
from onnx_cam.evaluation.datasets.sample_labels import SampleLabels, read_labels
from onnx_cam.evaluation.engines.local import Engine, LocalEngine, Outcome
from onnx_cam.evaluation.measuring import Measuring, Task, method_key
from onnx_cam.evaluation.results.evaluation import WRONG_CLASS, Evaluation, figure_key, read_evaluation
from onnx_cam.evaluation.results.outputs import write_outputs
from onnx_cam.evaluation.results.records import SeenImage
from onnx_cam.evaluation.results.request import Request
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from onnx_cam.evaluation.results.shared_facts import record_setup
from onnx_cam.evaluation.work_left import WorkLeft
from onnx_cam.explanation.explaining import check_settings
from onnx_cam.explanation.versions import package_versions
from onnx_cam.files import results_folder
from onnx_cam.graph.find_layers import Layer
from onnx_cam.image.files import read_image
from onnx_cam.methods import METHODS, Method
from onnx_cam.methods.spelling import ALL, read_method
from onnx_cam.metrics import Metric, choose_metrics
from onnx_cam.metrics.interval import LEVEL, RESAMPLES
from onnx_cam.runtime.devices import CPU
from onnx_cam.runtime.scorer import Progress

__all__ = ["choose_named_methods", "evaluate"]

_BATCH = {True: 16, False: 64}
"""On a CPU, or not: fixed, not measured, so that a run that is repeated, or gone on with, gives the same digits."""

_BATCH_BYTES = 32 << 20  # of images, on a CPU


def evaluate(
    model: Classifier | str | Path,
    dataset: Dataset | str | Path,
    *,
    methods: str | Sequence[str | Method] = "scorecam,sscam1,sscam2,sscam-max,iscam",
    metrics: str | Sequence[str | Metric] = "all",
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
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    report: bool = True,
    progress: Progress | None = None,
    **choices: Any,
) -> Evaluation:
    """Explain every image of a dataset by several methods, and measure each map.

    Results are kept as they come, in ``results.sqlite`` in the folder `out`: the same call goes on where it was
    stopped, whatever stopped it. At the end ``summary.json``, ``tables.csv`` and ``tables.json`` are written beside it.

    Parameters
    ----------
    model : Classifier, str or Path
    dataset : Dataset, str or Path
        See :func:`onnx_cam.evaluation.datasets.open_dataset`.
    methods : str, or sequence of str and Method
        Names, each with its variant and settings if need be (``sscam2:paper:sigma=0.5``); ``equal`` is the control
        with all weights equal; ``"all"``: every method that works on this model, the control not among them.
    metrics : str, or sequence of str and Metric
        Names in :data:`onnx_cam.metrics.METRICS`, or ``"all"``.
    out : str or Path
        The run's folder.
    samples : int, optional
        N, of the methods given by name that have one and do not say how many.
    layer, seed
        As for :func:`onnx_cam.explain`.
    batch_size : int, optional
        Inputs a run; by default 16 on a CPU and 64 elsewhere.
    limit : int, optional
        At most this many images.
    shuffle : bool
        Draw them at random, by the seed.
    only_correct : bool
        Leave out the drawn images that the model takes for another class.
    only_boxed : bool
        Draw from the images that have boxes.
    ignore_labels : bool
        Do not read the dataset's labels: for a model of other classes.
    engine : {"local", "ray"}
        Where the work is done; ``ray`` needs the extra of that name. The results are the same.
    workers : int, optional
        Of ``ray``.
    report : bool
        Write ``report.html`` too, where the extra ``report`` is installed.
    progress : callable, optional
        Called with the passes done and the passes expected.
    **choices
        ``score``, ``keep``, ``steps``, ``deletion_baseline``, ``insertion_baseline``, of the metrics: see
        :func:`onnx_cam.metrics.choose_metrics`.

    Returns
    -------
    Evaluation

    Raises
    ------
    OnnxCamError
        As its subclass says; see :mod:`onnx_cam.errors`.
    """
    named = choose_named_methods(methods, samples)
    measured = choose_metrics(metrics, **choices)
    for method in named.values():
        check_settings(method, seed=seed, batch_size=batch_size)
    opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    drawn = choose(opened, limit=limit, shuffle=shuffle, seed=seed, boxed=only_boxed)
    classifier = model if isinstance(model, Classifier) else load(model)
    _check_steps(measured, classifier.size)
    labels = read_labels(classifier, opened, drawn, ignore=ignore_labels, needed=only_correct)
    measuring = Measuring(
        classifier,
        named,
        measured,
        layer=layer,
        seed=seed,
        batch_size=batch_size or _batch_size(classifier),
        lenient=ALL in _words(methods),
    )
    with results_folder(out), ResultsFile(Path(out) / FILE_NAME, write=True) as results:
        record_setup(results, classifier, measuring.layer)
        facts = {"dataset": opened.path, "kind": opened.kind, "shuffled": shuffle, "only_correct": only_correct}
        run = _Run(measuring, results, labels, facts, opened.notes)
        run.work(drawn, _engine(engine, measuring, workers), progress)
        run.finish()
    return write_outputs(read_evaluation(out), report=report)


def choose_named_methods(methods: str | Sequence[str | Method], samples: int | None = None) -> dict[str, Method]:
    """Return methods by their names in tables.

    Raises
    ------
    SettingError
        A method is unknown or said twice.
    """
    words = _words(methods)
    if not words:
        raise SettingError(f"no method to evaluate; expected {ALL}, or some of {', '.join(METHODS)}")
    if ALL in words:  # and perhaps the control, or a method with other settings
        words = [*METHODS, *(word for word in words if word != ALL)]
    named: dict[str, Method] = {}
    for word in words:
        method = read_method(word, samples) if isinstance(word, str) else word
        name = word if isinstance(word, str) else f"{method.name}:{method.variant}"
        if name in named or method in named.values():
            raise SettingError(f"{name} said twice; name each method once")
        named[name] = method
    return named


def _words(methods: str | Sequence[str | Method]) -> list[str | Method]:
    if isinstance(methods, str):
        return [part.strip() for part in methods.split(",") if part.strip()]
    return list(methods)


def _check_steps(metrics: Sequence[Metric], size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    for metric in metrics:
        if metric.parameters.get("steps", 0) > pixels:
            raise SettingError(
                f"steps={metric.parameters['steps']} of {pixels} pixels; expected at most one step a pixel"
            )


def _batch_size(classifier: Classifier) -> int | None:
    if classifier.fixed_batch is not None:
        return None
    on_cpu = classifier.provider == CPU.provider
    bytes_each = 4 * classifier.input.channels * classifier.size[0] * classifier.size[1]
    return max(1, min(_BATCH[on_cpu], _BATCH_BYTES // bytes_each)) if on_cpu else _BATCH[on_cpu]


def _engine(name: Literal["local", "ray"], measuring: Measuring, workers: int | None) -> Engine:
    if name == "local":
        if workers is not None:
            raise SettingError(f"workers={workers}; the local engine has none: leave it out, or take engine ray")
        return LocalEngine(measuring)
    if name == "ray":
        from onnx_cam.evaluation.engines.ray_engine import RayEngine

        return RayEngine(measuring, workers)
    raise SettingError(f"unknown engine {name!r}; expected local or ray")


class _Run:
    """The work of one call, and what came of it."""

    def __init__(
        self,
        measuring: Measuring,
        results: ResultsFile,
        labels: Mapping[str, SampleLabels],
        facts: Mapping[str, Any],
        notes: Sequence[str],
    ) -> None:
        self._measuring = measuring
        self._results = results
        self._labels = labels
        self._facts = facts
        self._notes = notes
        self._only_correct = bool(facts["only_correct"])
        self._keys = {name: method_key(method, measuring.seed) for name, method in measuring.methods.items()}
        self._seen = results.images()
        self._hashes: dict[str, str] = {}  # of the samples, by name
        self._unreadable: dict[str, str] = {}  # by name, with the reason

    def work(self, samples: Sequence[Sample], engine: Engine, progress: Progress | None) -> None:
        """Do what is left to do for these images; those that cannot be used are listed."""
        tasks = list(self._tasks(samples))
        self._results.begin(self._request(self._images()))
        methods = len(self._measuring.methods)
        left = WorkLeft(self._keys, self._results.costs(), self._measuring, len(tasks), progress)
        self._measuring.watch = left.within
        with closing(self._outcomes(tasks, engine)) as outcomes:  # whatever stops it, workers are stopped
            for task, found in outcomes:
                if len(self._measuring.methods) < methods:  # one cannot work on this model: do not wait for its maps
                    methods = len(self._measuring.methods)
                    self._results.begin(self._request(self._images()))
                if task.sample.name in self._unreadable:  # already given up
                    continue
                outcome = self._unchanged(task, found)
                if isinstance(outcome, OnnxCamError):
                    self._give_up(task, str(outcome))
                    left.give_up(self._hashes[task.sample.name])
                elif isinstance(outcome, SeenImage):
                    self._results.add_image(outcome)
                    self._seen[outcome.sha256] = outcome
                    left.image(outcome.sha256, self._methods_left(task, outcome.sha256))
                else:
                    self._results.add_map(outcome)
                    left.map(outcome)

    def finish(self) -> None:
        """Write down what the figures are over.

        Raises
        ------
        ImageError
            There is no image.
        """
        images = self._images()
        usable = [sha256 for sha256 in images if not self._only_correct or self._seen[sha256].facts.is_right]
        if not usable:
            raise ImageError(self._why_none(len(images)))
        left_out = {WRONG_CLASS: len(images) - len(usable)} if self._only_correct else {}
        self._results.finish(self._request(usable, left_out))

    def _images(self) -> list[str]:
        """Return the hashes of the images that can be read, each once, in the order of the dataset."""
        return list(dict.fromkeys(sha256 for name, sha256 in self._hashes.items() if name not in self._unreadable))

    def _request(self, images: Sequence[str], left_out: Mapping[str, int] | None = None) -> Request:
        """Return what this call is about, for the results file."""
        twins = len(self._hashes) - len(set(self._hashes.values()))
        notes = [f"{twins} images are the same file as another one, and count once"] if twins else []
        notes += [f"{name} left out: {reason}" for name, reason in self._measuring.left_out.items()]
        facts = {
            **self._facts,
            "drawn": len(self._labels),
            "seed": self._measuring.seed,
            "level": LEVEL,
            "resamples": RESAMPLES,
            "versions": package_versions(),
            "unreadable": self._unreadable,
            "left_out": left_out or {},
            "notes": [*self._notes, *notes],
        }
        methods = {name: self._keys[name] for name in self._measuring.methods}
        return Request(tuple(images), methods, self._measuring.metrics, facts)

    def _tasks(self, samples: Sequence[Sample]) -> Iterator[Task]:
        """Yield the images with something left to do, each file once."""
        done = self._results.measured()
        begun: set[str] = set()
        for sample in samples:
            try:
                sha256 = read_image(sample.path).sha256
            except ImageError as error:
                self._unreadable[sample.name] = str(error)
                continue
            self._hashes[sample.name] = sha256
            if sha256 in begun:
                continue
            begun.add(sha256)
            known = {name: done[sha256, key] for name, key in self._keys.items() if (sha256, key) in done}
            task = Task(sample, *self._labels[sample.name], only_correct=self._only_correct)
            if not self._is_done(sha256, task, known):
                maps = {name: self._results.map(sha256, self._keys[name]) for name in known}
                yield replace(task, maps=maps)

    def _methods_left(self, task: Task, sha256: str) -> list[str]:
        if task.only_correct and not self._seen[sha256].facts.is_right:
            return []
        return [name for name in self._measuring.methods if name not in task.maps]

    def _unchanged(self, task: Task, outcome: Outcome) -> Outcome:
        """Return an outcome; an error in its place where the file is not the one that the run began with."""
        if isinstance(outcome, OnnxCamError):
            return outcome
        sha256 = outcome.sha256 if isinstance(outcome, SeenImage) else outcome.image
        if sha256 == self._hashes[task.sample.name]:
            return outcome
        return ImageError(f"the file '{task.sample.path}' was changed during the run; give the same command again")

    def _give_up(self, task: Task, reason: str) -> None:
        """List an image, and each that is the same file, as of no use."""
        sha256 = self._hashes[task.sample.name]
        self._unreadable |= {name: reason for name, other in self._hashes.items() if other == sha256}

    def _is_done(self, sha256: str, task: Task, known: Mapping[str, set[str]]) -> bool:
        seen = self._seen.get(sha256)
        if seen is None or not task.says_the_same(seen):
            return False
        if self._only_correct and not self._seen[sha256].facts.is_right:
            return True
        wanted = {figure_key(metric, seen.facts) for metric in self._measuring.metrics}
        return all(name in known and wanted <= known[name] for name in self._keys)

    def _outcomes(self, tasks: Sequence[Task], engine: Engine) -> Generator[tuple[Task, Outcome], None, None]:
        """Yield what comes of the tasks, of the first ones here: a method that cannot work is found at once."""
        here = LocalEngine(self._measuring)
        for number, task in enumerate(tasks):
            failed = False
            for outcome in here.work([task]):
                failed = failed or isinstance(outcome[1], OnnxCamError)
                yield outcome
            if not failed:
                yield from engine.work(tasks[number + 1 :])
                return

    def _why_none(self, readable: int) -> str:
        if readable:
            return f"the model takes each of the {readable} images for another class; nothing is left to evaluate"
        reasons = list(self._unreadable.values())
        return f"no image of {len(reasons)} can be used, the first because: {reasons[0]}"
