"""What is known about a model: read from its file, inferred from its graph, and checked by runs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from onnx_cam.classifier.labels import Labels
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.head import Head
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.inputs.prepare import PreparedModel
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["BatchFacts", "ModelFacts"]


@dataclass(frozen=True)
class BatchFacts:
    """How many images the model takes at once.

    Attributes
    ----------
    fixed : int or None
        The only batch size that the model runs at; None where any size works.
    mixes_images : bool
        Whether the images of a batch change each other's scores, so that each run holds a single image.
    source : str
        What this was concluded from.
    """

    fixed: int | None
    mixes_images: bool
    source: str


@dataclass(frozen=True)
class ModelFacts:
    """What is known about a model.

    Attributes
    ----------
    file : ModelFile
        The model file: path, hash, and the protobuf as it was read.
    prepared : PreparedModel
        The model whose only input takes an image of four dimensions: that protobuf, or one rewritten from it.
    graph : onnx_graphsurgeon.Graph
        The prepared model's graph, to walk on.
    proto : onnx.ModelProto
        The model that is run: the prepared one, or with its batch freed.
    input : ImageInput
        The input that takes the image.
    size : tuple of int
        ``(H, W)`` of the network's input.
    head : Head
        The output that holds the scores.
    classes : int
        How many classes it scores.
    is_binary : bool
        Whether the output holds a single number for two classes.
    batch : BatchFacts
        How many images the model takes at once.
    built_in : BuiltIn or None
        The normalisation that the graph applies itself.
    preprocessing : Preprocessing or None
        From an image to the input; None where the user hands over the input itself.
    labels : Labels
        The names of the classes.
    notes : tuple of str
        What was guessed, or done otherwise than requested, a line each.
    randomness : str
        Why equal runs give different scores, e.g. because the graph draws random numbers; empty where they do not.
    run_key : str or None
        The name under which what runs found is kept in the cache; None where it is not.
    """

    file: ModelFile
    prepared: PreparedModel
    graph: gs.Graph
    proto: onnx.ModelProto
    input: ImageInput
    size: tuple[int, int]
    head: Head
    classes: int
    is_binary: bool
    batch: BatchFacts
    built_in: BuiltIn | None
    preprocessing: Preprocessing | None
    labels: Labels
    notes: tuple[str, ...]
    randomness: str = ""
    run_key: str | None = None
