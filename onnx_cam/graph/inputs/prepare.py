"""Choose the input that takes the image, and leave a graph whose only input it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx

from onnx_cam.errors import ModelError, SettingError, did_you_mean
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.fold_branches import fold_branches
from onnx_cam.graph.inputs.axes_read import LayerAxes, find_layer_axes
from onnx_cam.graph.inputs.constant_inputs import fix_inputs
from onnx_cam.graph.inputs.declared import declared_sizes, declared_text, list_inputs
from onnx_cam.graph.inputs.element_types import ElementType, element_type_of
from onnx_cam.graph.inputs.four_dimensions import ImageForm, find_form, with_four_dimensions
from onnx_cam.graph.inputs.other_subjects import other_subject
from onnx_cam.graph.inputs.values import InputValue, read_value
from onnx_cam.graph.read import ModelFile

__all__ = ["PreparedModel", "prepare_inputs"]

_DIMENSIONS = 4


@dataclass(frozen=True)
class PreparedModel:
    """A model whose only input takes an image, of four dimensions.

    Attributes
    ----------
    file : ModelFile
        With the model as it is run from here on.
    image : str
        The input that takes the image.
    element_type : ElementType
        The type of its elements.
    form : ImageForm or None
        How the input that the file declares differs from one of four dimensions; None where it does not.
    constants : mapping of str to InputValue
        The values that the other inputs were given.
    """

    file: ModelFile
    image: str
    element_type: ElementType
    form: ImageForm | None = None
    constants: Mapping[str, InputValue] = field(default_factory=dict)

    def with_proto(self, proto: onnx.ModelProto) -> onnx.ModelProto:
        """Return the file's model, or one with the same inputs, with its inputs prepared in this way."""
        if self.form is not None:
            proto = with_four_dimensions(proto, self.image, self.form)
        return fold_branches(fix_inputs(proto, self.constants, self.image)) if self.constants else proto

    def describe_constants(self) -> dict[str, Any]:
        """Return the values of the other inputs as plain JSON values, by their names."""
        return {name: value.describe() for name, value in self.constants.items()}

    @property
    def digest(self) -> str:
        """A hash of the file, of the input that takes the image, and of the values of the others."""
        parts = [self.file.sha256, self.image]
        parts += [f"{name} {value}" for name, value in sorted(self.describe_constants().items())]
        return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was guessed."""
        if self.form is None or not self.form.is_guess:
            return ()
        return (f"input {self.image!r} is taken as an image {self.form}, by its sizes: its graph does not tell",)


def prepare_inputs(
    file: ModelFile, name: str | None = None, values: Mapping[str, object] | None = None
) -> PreparedModel:
    """Return a model whose only input takes an image (N, C, H, W) or (N, H, W, C).

    Parameters
    ----------
    file : ModelFile
    name : str, optional
        The input that takes the image, where more than one is possible.
    values : mapping of str to value, optional
        What the other inputs are given; see :func:`.values.read_value`.

    Raises
    ------
    ModelError
        No input, or more than one, takes an image, or another input has no value.
    SettingError
        A value is for no such input, or does not fit it.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> file = read_model("model.onnx")
    >>> prepare_inputs(file).file is file
    True
    """
    values = _checked(values)
    inputs = _open_inputs(file.proto.graph, values)
    _check_names(file, inputs, name, values)
    candidates = {key: info for key, info in inputs.items() if key not in values}
    # With the values in place, shapes and axes that they give tell how the graph reads the image.
    image = _Candidates(_with_values(file, inputs, values), candidates).choose(name)
    others = [candidates[key] for key in candidates if key != image.name]
    if others:
        raise ModelError(_needs_values(file.name, image.info, others))
    batch_info = None if image.form is not None and 0 in image.form.added else image.info
    constants = {key: read_value(value, inputs[key], batch_info) for key, value in values.items()}
    prepared = PreparedModel(file, image.name, image.element_type, image.form, constants)
    proto = prepared.with_proto(file.proto)
    return prepared if proto is file.proto else replace(prepared, file=replace(file, proto=proto))


def _checked(values: object) -> Mapping[str, object]:
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise SettingError(f"invalid constants={values!r}: expected a mapping of inputs' names to their values")
    return values


def _with_values(file: ModelFile, inputs: Mapping[str, onnx.ValueInfoProto], values: Mapping[str, object]) -> ModelFile:
    """Return the file with the values in place, as far as they can be read while the image's input is unknown."""
    known: dict[str, InputValue] = {}
    for key, value in values.items():
        try:
            known[key] = read_value(value, inputs[key], None)
        except SettingError:  # it may be the value of one image of a batch; if not, it is refused later
            continue
    return replace(file, proto=fix_inputs(file.proto, known, None)) if known else file


def _open_inputs(graph: onnx.GraphProto, values: Mapping[str, object]) -> dict[str, onnx.ValueInfoProto]:
    """Return the inputs that need a value, and those with a default that the user gives another one."""
    defaults = {w.name for w in graph.initializer} | {w.values.name for w in graph.sparse_initializer}
    return {info.name: info for info in graph.input if info.name not in defaults or info.name in values}


def _check_names(
    file: ModelFile, inputs: Mapping[str, onnx.ValueInfoProto], image: str | None, values: Mapping[str, object]
) -> None:
    for name in (*([image] if image is not None else []), *values):
        if name not in inputs:
            error = ModelError if name == image else SettingError
            hint = did_you_mean(name, inputs)
            raise error(f"no input {name!r} in {file.name}{hint} Its inputs: {list_inputs(inputs.values())}")
    if image in values:
        raise SettingError(f"input {image!r} takes the image; --set gives values to the inputs beside it")


@dataclass(frozen=True)
class _Image:
    """An input that takes an image, and how it differs from one of four dimensions."""

    info: onnx.ValueInfoProto
    element_type: ElementType
    form: ImageForm | None = None

    @property
    def name(self) -> str:
        return str(self.info.name)


@dataclass(frozen=True)
class _Candidates:
    """The inputs that may take the image."""

    file: ModelFile
    inputs: Mapping[str, onnx.ValueInfoProto]

    def choose(self, name: str | None) -> _Image:
        """Return the input of that name, or the only one that can take an image.

        Raises
        ------
        ModelError
        """
        if name is not None:
            image = self._as_image(self.inputs[name])
            if image is None:
                raise ModelError(self._refusal(self.inputs[name]))
            return image
        found = [image for info in self.inputs.values() if (image := self._as_image(info)) is not None]
        # An input of fewer dimensions, taken by its sizes alone, only counts where there is no other.
        found = [image for image in found if image.form is None or not image.form.is_guess] or found
        if len(found) == 1:
            return found[0]
        if found:
            raise ModelError(
                f"{self.file.name} has {len(found)} inputs that can take the image; name it with --input, and give "
                f"each of the others a value with --set NAME=VALUE. Its inputs: {list_inputs(self.inputs.values())}"
            )
        if not self.inputs:
            raise ModelError(
                f"{self.file.name} has no input left that takes the image; leave that one out of the values given with "
                "--set"
            )
        images = [info for info in self.inputs.values() if len(declared_sizes(info)) == _DIMENSIONS]
        if len(images or self.inputs) == 1:
            raise ModelError(self._refusal(images[0] if images else next(iter(self.inputs.values()))))
        raise ModelError(
            f"{self.file.name} has no image input; expected one of four dimensions, got "
            f"{list_inputs(self.inputs.values())}"
        )

    def _as_image(self, info: onnx.ValueInfoProto) -> _Image | None:
        """Return an input as one that takes an image; None where it cannot."""
        sizes = declared_sizes(info)
        element_type = element_type_of(info.type.tensor_type.elem_type)
        if element_type is None or not 1 <= len(sizes) <= _DIMENSIONS:
            return None
        layer = self._layer(info)
        if layer is not None and len(layer.axes) != _DIMENSIONS:
            return None  # it is a volume, or a signal
        if len(sizes) == _DIMENSIONS:
            return _Image(info, element_type)
        form = find_form(sizes, layer)
        return None if form is None else _Image(info, element_type, form)

    def _layer(self, info: onnx.ValueInfoProto) -> LayerAxes | None:
        return find_layer_axes(self.file.proto.graph, info.name, declared_sizes(info), Constants(self.file))

    def _refusal(self, info: onnx.ValueInfoProto) -> str:
        subject = other_subject(self.file.proto.graph, info, declared_sizes(info), self._layer(info))
        if subject:
            return f"input {declared_text(info)} of {self.file.name} {subject}"
        return (
            f"input {declared_text(info)} of {self.file.name} is not an image, as far as its graph tells; expected "
            "four dimensions (N, C, H, W): unsqueeze or reshape it, and export it again"
        )


def _needs_values(model: str, image: onnx.ValueInfoProto, others: list[onnx.ValueInfoProto]) -> str:
    listed = ", ".join(map(declared_text, others))
    if any(not info.type.HasField("tensor_type") for info in others):
        return f"{model} needs more than the image {image.name!r}: {listed}, not all of them tensors; export it without"
    settings = " ".join(f"--set {info.name}=VALUE" for info in others)
    return f"{model} needs more than the image {image.name!r}: a value for {listed}; give it with {settings}"
