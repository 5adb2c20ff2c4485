"""The books of a run: what is left to do, what comes of it, and which images its figures are means over."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from onnx_cam.errors import ImageError, OnnxCamError
from onnx_cam.evaluation.cell_views import view_cells
from onnx_cam.evaluation.datasets import Sample
from onnx_cam.evaluation.datasets.sample_labels import SampleLabels
from onnx_cam.evaluation.engines.local import Engine, LocalEngine, Outcome
from onnx_cam.evaluation.image_evaluator import ImageEvaluator, method_key
from onnx_cam.evaluation.mosaics import NO_PIXELS, MosaicPlan, draw_mosaics
from onnx_cam.evaluation.remaining_passes import RemainingPasses
from onnx_cam.evaluation.results.evaluation import WRONG_CLASS, figure_key
from onnx_cam.evaluation.results.records import MoreFigures, SeenImage
from onnx_cam.evaluation.results.request import Request
from onnx_cam.evaluation.results.results_file import ResultsFile
from onnx_cam.evaluation.task import Task
from onnx_cam.explanation.versions import package_versions
from onnx_cam.image.files import read_image
from onnx_cam.metrics.interval import LEVEL, RESAMPLES
from onnx_cam.runtime.scorer import Progress

__all__ = ["Bookkeeping", "DatasetFacts"]


@dataclass(frozen=True)
class DatasetFacts:
    """Where the images of a run come from, for its record.

    Attributes
    ----------
    dataset, kind : str
        The dataset's path and layout.
    notes : tuple of str
        What reading it left out or assumed.
    shuffled : bool
        Whether the images are drawn at random.
    only_correct : bool
        Whether the images for which the model predicts another class than their label are left out.

    Examples
    --------
    >>> DatasetFacts("photos.csv", "csv", (), shuffled=False, only_correct=True).kind
    'csv'
    """

    dataset: str
    kind: str
    notes: tuple[str, ...]
    shuffled: bool
    only_correct: bool


class Bookkeeping:
    """Keeps the results file in step with the work on the images.

    It finds out what the file lacks, hands that to an engine, and stores what comes back.

    Parameters
    ----------
    evaluator : ImageEvaluator
    results : ResultsFile
        Open for writing.
    labels : mapping of str to SampleLabels
        Of every image of the run, by the sample's name.
    facts : DatasetFacts

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> from onnx_cam.evaluation.datasets.sample_labels import read_labels
    >>> from onnx_cam.evaluation.method_names import choose_named_methods
    >>> from onnx_cam.metrics import choose_metrics
    >>> model, dataset = onnx_cam.load("model.onnx", preprocess="unit"), open_dataset("photos.csv")
    >>> methods, metrics = choose_named_methods("equal"), choose_metrics("specificity")
    >>> evaluator = ImageEvaluator(model, methods, metrics, layer=None, seed=0, batch_size=16)
    >>> labels = read_labels(model, dataset, dataset.samples, ignore=False, needed=False)
    >>> facts = DatasetFacts(dataset.path, dataset.kind, dataset.notes, shuffled=False, only_correct=False)
    >>> with ResultsFile("results.sqlite", write=True) as results:
    ...     books = Bookkeeping(evaluator, results, labels, facts)
    ...     books.work(dataset.samples, LocalEngine(evaluator), progress=None)
    ...     books.finish()
    ...     len(results.measured())
    2
    """

    def __init__(
        self,
        evaluator: ImageEvaluator,
        results: ResultsFile,
        labels: Mapping[str, SampleLabels],
        facts: DatasetFacts,
    ) -> None:
        self._evaluator = evaluator
        self._results = results
        self._labels = labels
        self._facts = facts
        self._keys = {name: method_key(method, evaluator.seed) for name, method in evaluator.methods.items()}
        self._seen = results.images()
        self._hashes: dict[str, str] = {}  # of the images' files, by the sample's name
        self._unreadable: dict[str, str] = {}  # why a sample cannot be used, by its name
        self._mosaics: dict[str, MosaicPlan] = {}  # by the image's hash

    def work(self, samples: Sequence[Sample], engine: Engine, progress: Progress | None) -> None:
        """Have an engine do what is left to do for the samples, and store what comes of it.

        Parameters
        ----------
        samples : sequence of Sample
        engine : Engine
        progress : callable, optional
            Called with the forward passes done and the forward passes expected in all.
        """
        # Read every file once, for its hash. What the results file holds of that hash is not computed again.
        self._hash(samples)
        remaining = RemainingPasses(self._keys, self._results.costs(), self._evaluator, len(samples), progress)
        # Which images make up whose mosaic, where a metric needs one: known before the first image is evaluated.
        if any(metric.needs_mosaic for metric in self._evaluator.metrics):
            self._mosaics = self._draw_mosaics(samples, remaining)
        tasks = list(self._tasks(samples))
        remaining.expect(len(tasks))
        # From here on a reader can tell how far the run has come.
        self._results.begin(self._request(self._images()))
        working_methods = len(self._evaluator.methods)
        self._evaluator.watch = remaining.within_map
        # The engine yields, in any order of the images, first what the model sees in an image and then its maps, or an
        # error. `closing` stops its workers whatever ends this loop.
        with closing(self._outcomes(tasks, engine)) as outcomes:
            for task, delivered in outcomes:
                if (
                    len(self._evaluator.methods) < working_methods
                ):  # one does not work on this model: expect no map of it
                    working_methods = len(self._evaluator.methods)
                    self._results.begin(self._request(self._images()))
                if task.sample.name in self._unreadable:
                    continue
                outcome = self._unchanged(task, delivered)
                if isinstance(outcome, OnnxCamError):
                    self._give_up(task, str(outcome))
                    remaining.give_up(self._hashes[task.sample.name])
                elif isinstance(outcome, SeenImage):
                    self._results.add_image(outcome)
                    self._seen[outcome.sha256] = outcome
                    remaining.start_image(outcome.sha256, self._expected_passes(task, outcome))
                else:
                    if isinstance(outcome, MoreFigures):
                        self._results.add_figures(outcome)
                    else:
                        self._results.add_map(outcome)
                    remaining.count(outcome)

    def finish(self) -> None:
        """Store which images, methods and metrics the figures are about.

        Raises
        ------
        ImageError
            No image can be used.
        """
        images = self._images()
        usable = [sha256 for sha256 in images if not self._leaves_out(self._seen[sha256])]
        if not usable:
            raise ImageError(self._why_none(len(images)))
        left_out = {WRONG_CLASS: len(images) - len(usable)} if self._facts.only_correct else {}
        self._results.finish(self._request(usable, left_out))

    def _hash(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            try:
                self._hashes[sample.name] = read_image(sample.path).sha256
            except ImageError as error:
                self._unreadable[sample.name] = str(error)

    def _each_file(self, samples: Sequence[Sample]) -> dict[str, Sample]:
        """Return the samples that can be read, each file once, by its hash."""
        files: dict[str, Sample] = {}
        for sample in samples:
            if sample.name in self._hashes:
                files.setdefault(self._hashes[sample.name], sample)
        return files

    def _draw_mosaics(self, samples: Sequence[Sample], remaining: RemainingPasses) -> dict[str, MosaicPlan]:
        """Return the mosaic of each image, by its hash."""
        files = self._each_file(samples)
        labels = {sha256: self._labels[sample.name].image for sha256, sample in files.items()}
        paths = {sha256: sample.path for sha256, sample in files.items()}
        if self._evaluator.classifier.preprocessing is None:
            return dict.fromkeys(paths, MosaicPlan(reason=NO_PIXELS))
        views = view_cells(paths, self._evaluator.other_models, self._results, remaining.prepare)
        if self._facts.only_correct:
            views = {sha256: view for sha256, view in views.items() if view.predicted == labels[sha256]}
        return draw_mosaics(paths, views, labels, self._evaluator.seed)

    def _tasks(self, samples: Sequence[Sample]) -> Iterator[Task]:
        """Yield the images with something left to do, each file once."""
        measured = self._results.measured()
        for sha256, sample in self._each_file(samples).items():
            stored = {name: measured[sha256, key] for name, key in self._keys.items() if (sha256, key) in measured}
            task = Task(
                sample,
                *self._labels[sample.name],
                only_correct=self._facts.only_correct,
                mosaic=self._mosaics.get(sha256),
            )
            if not self._is_done(sha256, task, stored):
                maps = {name: self._results.map(sha256, self._keys[name]) for name in stored}
                yield replace(task, maps=maps)

    def _is_done(self, sha256: str, task: Task, stored: Mapping[str, set[str]]) -> bool:
        """Tell whether the results file has every figure of an image, given the metrics stored of each method's map."""
        seen = self._seen.get(sha256)
        if seen is None or not task.agrees_with(seen):
            return False
        if self._leaves_out(seen):
            return True
        needed = {figure_key(metric, seen.facts) for metric in self._evaluator.metrics}
        return all(name in stored and needed <= stored[name] for name in self._keys)

    def _outcomes(self, tasks: Sequence[Task], engine: Engine) -> Generator[tuple[Task, Outcome], None, None]:
        """Yield what comes of the tasks: of the first ones here, until an image works, and of the others by the engine.

        So a method that cannot work on the model is found out at once, before any worker starts.
        """
        here = LocalEngine(self._evaluator)
        for number, task in enumerate(tasks):
            failed = False
            for outcome in here.work([task]):
                failed = failed or isinstance(outcome[1], OnnxCamError)
                yield outcome
            if not failed:
                yield from engine.work(tasks[number + 1 :])
                return

    def _unchanged(self, task: Task, outcome: Outcome) -> Outcome:
        """Return an outcome; an error in its place where the file is not the one that the run began with."""
        if isinstance(outcome, OnnxCamError):
            return outcome
        sha256 = outcome.sha256 if isinstance(outcome, SeenImage) else outcome.image
        if sha256 == self._hashes[task.sample.name]:
            return outcome
        return ImageError(f"the file '{task.sample.path}' was changed during the run; give the same command again")

    def _give_up(self, task: Task, reason: str) -> None:
        """List an image, and every sample that is the same file, as unusable."""
        sha256 = self._hashes[task.sample.name]
        self._unreadable |= {name: reason for name, other in self._hashes.items() if other == sha256}

    def _expected_passes(self, task: Task, seen: SeenImage) -> dict[str, float | None]:
        """Return the methods with something left to do for an image.

        For a map that is stored, with the passes that its further figures take; None for one that is to be made.
        """
        if self._leaves_out(seen):
            return {}
        needed = {figure_key(metric, seen.facts): metric for metric in self._evaluator.metrics}
        expected: dict[str, float | None] = {}
        for name in self._evaluator.methods:
            stored = task.maps.get(name)
            missing = [metric for key, metric in needed.items() if stored is None or key not in stored.figures]
            if stored is None:
                expected[name] = None
            elif missing:
                explanations = sum(metric.explanations for metric in missing)
                scored = sum(metric.passes for metric in missing)
                expected[name] = explanations * stored.record["passes"] + scored
        return expected

    def _leaves_out(self, seen: SeenImage) -> bool:
        return self._facts.only_correct and not seen.facts.is_right

    def _images(self) -> list[str]:
        """Return the hashes of the images that can be used, each once, in the order of the dataset."""
        return list(dict.fromkeys(sha256 for name, sha256 in self._hashes.items() if name not in self._unreadable))

    def _request(self, images: Sequence[str], left_out: Mapping[str, int] | None = None) -> Request:
        """Return what this call measures, for the results file."""
        twins = len(self._hashes) - len(set(self._hashes.values()))
        notes = [f"{twins} images are the same file as another one, and count once"] if twins else []
        notes += [f"{name} left out: {reason}" for name, reason in self._evaluator.left_out.items()]
        facts = {
            "dataset": self._facts.dataset,
            "kind": self._facts.kind,
            "shuffled": self._facts.shuffled,
            "only_correct": self._facts.only_correct,
            "drawn": len(self._labels),
            "seed": self._evaluator.seed,
            "level": LEVEL,
            "resamples": RESAMPLES,
            "versions": package_versions(),
            "unreadable": self._unreadable,
            "left_out": left_out or {},
            "notes": [*self._facts.notes, *notes],
        }
        methods = {name: self._keys[name] for name in self._evaluator.methods}
        return Request(tuple(images), methods, self._evaluator.metrics, facts)

    def _why_none(self, readable: int) -> str:
        if readable:
            return f"the model predicts another class for each of the {readable} images; leave out --only-correct"
        reasons = list(self._unreadable.values())
        return f"none of the {len(reasons)} images can be used, the first because: {reasons[0]}"
