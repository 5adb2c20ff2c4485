"""A classifier that has forgotten what it learned behind a layer: its weights there are permuted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import onnx

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.sessions import ModelSessions
from onnx_cam.errors import LayerError
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.inline import inline_functions
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.permute_weights import PermutedModel, permute_weights
from onnx_cam.graph.read import import_graph

__all__ = ["randomised"]


def randomised(classifier: Classifier, layer: Layer, seed: int) -> Classifier:
    """Return a model with every weight behind a layer permuted, and everything else as it is.

    No trial runs are made: what is known of the model's input, head, batch and layers holds for both.

    Parameters
    ----------
    classifier : Classifier
    layer : Layer
    seed : int
        Of the permutations.

    Raises
    ------
    LayerError
        No weight lies behind the layer.
    ModelError
        A weight cannot be read.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> layer, image = model.layer(), model.network_input("cat.jpg")
    >>> other = randomised(model, layer, seed=0)
    >>> [one.sessions.activations(layer, image).probabilities.round(1).tolist() for one in (model, other)]
    [[0.0, 0.8, 0.2, 0.0], [0.0, 0.1, 0.9, 0.0]]
    >>> maps = [one.sessions.activations(layer, image).maps for one in (model, other)]
    >>> bool((maps[0] == maps[1]).all())
    True
    """
    facts, opener = classifier.facts, classifier.sessions.opener
    permute = partial(_permuted, layer=layer, seed=seed, model=classifier)
    # The model as it is run, and the one that constants are read from: the same tensors get the same permutations.
    run, prepared = permute(facts.proto), permute(facts.prepared.file.proto)
    if not run.tensors:
        raise LayerError(f"no weights lie behind layer {layer.name!r} of {classifier.name} that could be permuted")
    detached = prepared.weights if isinstance(prepared.weights, DetachedWeights) else None
    file = replace(facts.prepared.file, proto=prepared.proto, detached=detached)
    new_facts = replace(
        facts,
        prepared=replace(facts.prepared, file=file),
        graph=import_graph(file),
        proto=run.proto,
        run_key=None,  # nothing that is found of this model is kept
    )
    sessions = ModelSessions.late(replace(opener, weights=run.weights), new_facts)
    return classifier.derived(new_facts, sessions, partial(_again, layer=layer.name, seed=seed), same_layers=True)


def _again(classifier: Classifier, layer: str, seed: int) -> Classifier:
    return randomised(classifier, classifier.layer(layer), seed)


def _permuted(proto: onnx.ModelProto, *, layer: Layer, seed: int, model: Classifier) -> PermutedModel:
    return permute_weights(inline_functions(proto, model.name), layer.name, seed, model.sessions.opener.weights)
