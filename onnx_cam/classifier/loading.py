"""From a path to a classifier: the file is read, its graph searched, and what it suggests checked by runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.conclude_head import features_note
from onnx_cam.classifier.facts import ModelFacts
from onnx_cam.classifier.guesses import choose_size, guesses, resolve_preprocessing
from onnx_cam.classifier.labels import GivenLabels, Labels, find_labels
from onnx_cam.classifier.problem_type import stated_kind
from onnx_cam.classifier.reloading import Reload, as_absolute
from onnx_cam.classifier.run_key import run_key
from onnx_cam.classifier.sessions import ModelSessions, SessionOpener
from onnx_cam.classifier.trial import Trial, run_trial
from onnx_cam.errors import LabelsError, SettingError, did_you_mean
from onnx_cam.graph.built_in import find_built_in
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import find_heads
from onnx_cam.graph.heads import HEADS, HeadKind
from onnx_cam.graph.inline import inline_layers
from onnx_cam.graph.inputs.image_input import describe_image_input, with_size
from onnx_cam.graph.inputs.prepare import prepare_inputs
from onnx_cam.graph.read import ModelFile, ModelSource, import_graph, read_model
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.names import PREPROCESSINGS
from onnx_cam.runtime.cores import threads_to_use
from onnx_cam.runtime.custom_operators import operator_libraries
from onnx_cam.runtime.memory import names_lack_of_memory

__all__ = ["load"]

_MAX_THREADS = 512


@names_lack_of_memory()
def load(
    path: ModelSource,
    *,
    device: str = "auto",
    labels: str | os.PathLike[str] | Sequence[str] | Mapping[int, str] | None = None,
    label_offset: int | None = None,
    preprocess: str | os.PathLike[str] | Preprocessing = "auto",
    size: tuple[int, int] | None = None,
    input: str | None = None,
    output: str | None = None,
    head: str = "auto",
    constants: Mapping[str, object] | None = None,
    custom_ops: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    threads: int | None = None,
) -> Classifier:
    """Load an image classifier from an ONNX file.

    What the graph suggests about batch and head is checked by running the model, or by what such runs gave before: that
    is kept in the user's cache folder, unless ``ONNX_CAM_NO_CACHE`` is set to 1. What had to be guessed is in the
    result's `notes`.

    Parameters
    ----------
    path : str, path, bytes or onnx.ModelProto
        An ``.onnx`` file, its bytes, or the model itself. Beside a model in memory nothing is looked for: no class
        names, no preprocessing, no weights.
    device : str
        ``auto`` (CUDA where it loads, else the CPU), ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``openvino``.
    labels : str, path, sequence of str or mapping of index to str, optional
        A text or JSON file, ``imagenet``, or the class names themselves; by default what the model's metadata, or a
        configuration file beside it, says.
    label_offset : int, optional
        The position in the output of the first name, e.g. 1 where class 0 is an unnamed background.
    preprocess : str, path or Preprocessing
        ``auto``, ``imagenet``, ``tf``, ``caffe``, ``unit``, ``raw``, ``none``, a JSON file, or a Preprocessing.
    size : tuple of int, optional
        ``(H, W)`` of the network's input in pixels, where the model leaves it free.
    input, output : str, optional
        The names of the input that takes the image and of the output that holds the scores, where there are several.
        An output may also be another tensor of the graph, e.g. one of several heads that are joined to one output.
    head : str
        What the output's numbers already are: ``logits`` (a softmax makes probabilities of them), ``softmax``,
        ``log-softmax``, ``sigmoid``, ``multi-label`` (logits that have a sigmoid each), ``percent``, ``complement``
        (1 − p), ``negated`` (−p), ``negative-log``, or ``raw`` (no probabilities: the number itself is explained, as
        of a regression). ``auto`` concludes it from the graph and from the scores of a few images.
    constants : mapping of str to value, optional
        The values of the inputs beside the image, by their names: a bool, a number, a list, an array, or a string as
        on the command line (``"32,32"``, or the path of a ``.npy`` file). They become constants of the graph; a value
        for one image is repeated for each image of a batch.
    custom_ops : path or sequence of paths, optional
        Shared libraries of custom operators, to be registered with ONNX Runtime. They run as code of this process:
        only name libraries that you trust.
    threads : int, optional
        The cores to use, of those that this process may use: all of them by default.

    Returns
    -------
    Classifier

    Raises
    ------
    ModelError
        The file is missing, damaged, refused by the runtime, or no image classifier.
    LabelsError, PreprocessingError, DeviceError, MissingExtraError, SettingError
        The labels, the preprocessing, the device or a setting cannot be used.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", device="cpu")
    >>> model.input.layout, model.head.kind.name, model.classes
    ('NCHW', 'logits', 4)
    """
    if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS):
        raise SettingError(f"invalid threads={threads!r}: expected a whole number from 1 to {_MAX_THREADS}")
    libraries = operator_libraries(custom_ops)
    # Read the file, and leave a graph whose only input takes an image (N, C, H, W) or (N, H, W, C); nothing is run yet.
    original = read_model(path)
    file = inline_layers(original)
    prepared = prepare_inputs(file, input, constants)
    graph = import_graph(prepared.file)
    image_input = with_size(describe_image_input(prepared), size, file.name)
    # Find the scores in it.
    kind = _head_kind(head)
    values = Constants(prepared.file)
    heads = find_heads(graph, values, file.name, output)
    # Settle how an image becomes the input: what the graph does itself, then the preprocessing and the size.
    built_in = find_built_in(graph, values, image_input.name, image_input.layout)
    preprocessing = resolve_preprocessing(preprocess, file, image_input, built_in)
    input_size, size_notes = choose_size(size, image_input, preprocessing, file.name)
    # Run it on five synthetic images: how many classes, which batches work, whether the scores are what the graph says.
    usable_threads, thread_notes = threads_to_use(threads)
    opener = SessionOpener(file.name, image_input, device, usable_threads, file.weights, libraries)
    key = run_key(prepared, heads, opener, size=input_size, preprocessing=preprocessing, kind=kind)
    trial = run_trial(
        prepared.file, graph, heads, opener, size=input_size, preprocessing=preprocessing, kind=kind, key=key
    )
    if trial.is_open and (stated := stated_kind(file)) is not None:
        trial = trial.taken_as(*stated)
    # Name the classes, and gather everything that was guessed.
    trial, class_labels = _with_labels(trial, labels, label_offset, file)
    head_notes = filter(None, (trial.head_note, features_note(trial.head, class_labels.names is not None)))
    facts = ModelFacts(
        file=file,
        prepared=prepared,
        graph=graph,
        proto=trial.proto,
        input=image_input,
        size=input_size,
        head=trial.head,
        classes=trial.classes,
        is_binary=trial.is_binary,
        batch=trial.batch,
        built_in=built_in,
        preprocessing=preprocessing,
        labels=class_labels,
        notes=(
            *thread_notes,
            *prepared.notes,
            *size_notes,
            *trial.notes,
            *head_notes,
            *guesses(trial.head, preprocessing, image_input, built_in),
            *class_labels.notes,
        ),
        randomness=trial.randomness,
        run_key=key,
    )
    sessions = ModelSessions(
        opener,
        proto=trial.proto,
        head=trial.head,
        size=input_size,
        batch=trial.batch,
        is_binary=trial.is_binary,
        session=trial.session,
    )
    settings = {
        "device": device,
        "labels": as_absolute(labels, ("imagenet",)),
        "label_offset": label_offset,
        "preprocess": as_absolute(preprocess, PREPROCESSINGS),
        "size": size,
        "input": input,
        "output": output,
        "head": head,
        "constants": {name: value.array.copy() for name, value in prepared.constants.items()},
        "custom_ops": libraries,
        "threads": threads,
    }
    return Classifier(facts, sessions, Reload.of(load, path, original, settings))


def _head_kind(name: str) -> HeadKind | None:
    """Return the head kind that a user names; None for ``auto``.

    Raises
    ------
    SettingError
    """
    if name == "auto":
        return None
    if name not in HEADS:
        known = ("auto", *HEADS)
        raise SettingError(f"unknown head {name!r}{did_you_mean(str(name), known)} Expected one of {', '.join(known)}")
    return HEADS[name]


def _with_labels(trial: Trial, labels: GivenLabels | None, offset: int | None, file: ModelFile) -> tuple[Trial, Labels]:
    """Return the class names, and what they tell about a single number: with two names, it is a binary classifier's."""
    if trial.may_be_binary:
        try:
            both = find_labels(labels, offset, file, 2)
        except LabelsError:  # they do not fit two classes; whether they fit one number is judged below
            pass
        else:
            if both.names is not None and len(both.names) == 2:
                reason = "one number, and the names of two classes: the logit of the second"
                return trial.taken_as(HEADS["logits"], reason), both
    return trial, find_labels(labels, offset, file, trial.classes)
