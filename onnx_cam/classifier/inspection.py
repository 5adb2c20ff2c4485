"""What was detected about a model, and from what."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.classifier.catalogue import recognise
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.heads import Several
from onnx_cam.graph.layer import METADATA_KEY as LAYER_KEY

__all__ = ["Finding", "inspect"]


@dataclass(frozen=True)
class Finding:
    """One thing that is known about a model.

    Attributes
    ----------
    what : str
        What it is about.
    value : str
        What was detected.
    source : str
        What it was concluded from.

    Examples
    --------
    >>> Finding("layout", "NCHW", "the graph").value
    'NCHW'
    """

    what: str
    value: str
    source: str


def inspect(model: Classifier) -> list[Finding]:
    """Return what was detected about a model: file, input, batch, head, labels, preprocessing, default layer, device.

    Examples
    --------
    >>> import onnx_cam
    >>> {one.what: one.value for one in onnx_cam.inspect(onnx_cam.load("model.onnx"))}["head"]
    'logits'
    """
    return [*_file(model), *_input(model), *_output(model), _preprocessing(model), *_layer(model), _device(model)]


def _file(model: Classifier) -> list[Finding]:
    proto = model.file.proto
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in proto.opset_import)
    entry = recognise(model.file.sha256)
    recognised = [Finding("known as", entry["name"], f"the catalogue: {entry['source']}")] if entry else []
    return [
        Finding("model", str(model.file.path or "in memory"), f"sha256 {model.file.sha256}"),
        *recognised,
        Finding("opset", opsets, f"IR version {proto.ir_version}"),
        Finding("producer", model.file.producer or "unknown", "the file"),
    ]


def _input(model: Classifier) -> list[Finding]:
    height, width = model.size
    free = model.input.height is None or model.input.width is None
    return [
        Finding("input", f"{model.input.name} ({model.input.shape}, {model.input.dtype})", _input_source(model)),
        *_constants(model),
        Finding("layout", model.input.layout, "the graph"),
        Finding("size", f"{height}×{width}", "the input leaves it free" if free else "the graph"),
        _batch(model),
    ]


def _input_source(model: Classifier) -> str:
    form = model.facts.prepared.form
    if form is None:
        return "the graph"
    return f"the {'sizes' if form.is_guess else 'graph'}; the file declares it {form}"


def _constants(model: Classifier) -> list[Finding]:
    """Return the inputs beside the image, with the values that they were given."""
    constants = model.facts.prepared.describe_constants()
    return [Finding(f"constant {name}", str(value), "as given with --set") for name, value in constants.items()]


def _batch(model: Classifier) -> Finding:
    if model.fixed_batch is not None:
        return Finding("batch", f"fixed to {model.fixed_batch}", model.facts.batch.source)
    source = model.facts.batch.source if model.input.batch else "a run: a batch gives the same scores as single images"
    return Finding("batch", "free", source)


def _output(model: Classifier) -> list[Finding]:
    names = model.labels.names
    labels = "none" if names is None else f"{len(names)} names, {names[0]!r} to {names[-1]!r}"
    if names is not None and model.labels.offset:
        labels += f", the first at position {model.labels.offset}"
    return [
        Finding("output", f"{model.head.output} ({_count(model)})", model.head.choice or "the graph, and a run"),
        Finding("head", model.head.kind.name, model.head.reason),
        *_parts(model),
        Finding("labels", labels, model.labels.source),
        _equal_runs(model),
    ]


def _count(model: Classifier) -> str:
    if model.head.kind.gives_probabilities:
        return f"{model.classes} classes"
    return "1 number" if model.classes == 1 else f"{model.classes} numbers"


def _parts(model: Classifier) -> list[Finding]:
    """Return the heads that are joined to the output, where there are several."""
    kind = model.head.kind
    if not isinstance(kind, Several) or not model.head.parts:
        return []
    pairs = zip(model.head.parts, kind.parts, strict=True)
    listed = ", ".join(f"{part.output} ({size}, {part.kind})" for part, (size, _) in pairs)
    return [Finding("parts of the output", listed, "joined in the graph; --output takes one of them")]


def _equal_runs(model: Classifier) -> Finding:
    randomness = model.facts.randomness
    return Finding("equal runs", "different scores" if randomness else "equal scores", randomness or "a run, repeated")


def _preprocessing(model: Classifier) -> Finding:
    preprocessing = model.preprocessing
    if preprocessing is None:
        return Finding("preprocessing", "none", "as requested")
    p = preprocessing
    values = (
        f"{p.name}: {p.resize}, crop {p.crop_pct:g}, {p.interpolation}, {p.channels}, "
        f"(pixel · {p.scale:.6g} − {_numbers(p.mean)}) / {_numbers(p.std)}"
    )
    return Finding("preprocessing", values, p.source + _catalogue_hint(model, p.source))


def _catalogue_hint(model: Classifier, source: str) -> str:
    """Return what the catalogue says of the preprocessing of a file that it knows, where it was only guessed."""
    entry = recognise(model.file.sha256)
    return f"; the catalogue says {entry['preprocessing']}" if entry and source.startswith("a guess") else ""


def _numbers(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"


def _layer(model: Classifier) -> list[Finding]:
    layers = model.layers()
    if not layers:
        reason = "no convolution's output keeps a height and width above 1"
        return [Finding("layer", "none that can be explained", reason)]
    shape = "×".join(map(str, layers[0].shape))
    named = layers[0].name == model.file.metadata.get(LAYER_KEY)
    source = f"the model's metadata, {LAYER_KEY}" if named else f"the last spatial one of {len(layers)}"
    passed_over = layers[0].passed_over
    if passed_over is not None:
        source = f"chosen in place of {passed_over.name}, whose place in the image is {passed_over.geometry}"
    geometry = layers[0].geometry
    settled_by = {"operators": "the operators before the layer", "run": "a run with changed patches"}
    return [
        Finding("layer", f"{layers[0].name} ({shape})", source),
        Finding("geometry", str(geometry), settled_by.get(geometry.source, "no hypothesis fits a run")),
    ]


def _device(model: Classifier) -> Finding:
    left = f"{model.cpu_fallback_nodes} nodes left to the CPU" if model.cpu_fallback_nodes else "the loaded provider"
    return Finding("device", model.provider, left)
