"""Which of a graph's inputs takes the image."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from onnx_cam.errors import ModelError, did_you_mean

__all__ = ["ImageInput", "find_image_input"]

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class ImageInput:
    """The input that takes the image.

    Attributes
    ----------
    name : str
        The tensor's name.
    batch : int or None
        The batch size that the file fixes; None where it is free.
    channels : int
        C.
    height, width : int or None
        H and W; None where the file leaves them free.
    """

    name: str
    batch: int | None
    channels: int
    height: int | None
    width: int | None

    @property
    def shape(self) -> str:
        """The shape as text, ``?`` where the file leaves it free."""
        sizes = (self.batch, self.channels, self.height, self.width)
        return "×".join("?" if n is None else str(n) for n in sizes)


def find_image_input(graph: onnx.GraphProto, model: str, name: str | None = None) -> ImageInput:
    """Return the input that takes the image.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph; inputs that have an initializer are weights (IR 3 lists them) and are passed over.
    model : str
        The file's name, for messages.
    name : str, optional
        The input to take, where more than one would do.

    Raises
    ------
    ModelError
        No input, or more than one, takes an image; or the input has a layout or type that is not supported.
    """
    weights = {w.name for w in graph.initializer} | {w.values.name for w in graph.sparse_initializer}
    inputs = {i.name: i for i in graph.input if i.name not in weights}
    chosen = _choose(inputs, model, name)
    others = [other for other in inputs if other != chosen]
    if others:
        raise ModelError(
            f"{model} needs {', '.join(map(repr, others))} beside the image {chosen!r}; "
            "expected a classifier whose only input is the image: make the others constants"
        )
    return _describe(inputs[chosen], model)


def _choose(inputs: dict[str, onnx.ValueInfoProto], model: str, name: str | None) -> str:
    if name is not None:
        if name not in inputs:
            raise ModelError(f"no input {name!r} in {model}{did_you_mean(name, inputs)} It has {_listed(inputs)}")
        return name
    images = [key for key, info in inputs.items() if len(_dims(info)) == 4]
    if len(images) == 1:
        return images[0]
    if not images:
        raise ModelError(f"{model} has no image input; expected one of four dimensions, got {_listed(inputs)}")
    raise ModelError(
        f"{model} has {len(images)} image inputs; expected one, the others made constants: {_listed(inputs)}"
    )


def _describe(info: onnx.ValueInfoProto, model: str) -> ImageInput:
    dims = _dims(info)
    if len(dims) != 4:
        raise ModelError(f"input {_text(info)} of {model} takes no image; expected four dimensions (N, C, H, W)")
    if info.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ModelError(f"input {_text(info)} of {model} is not float32, which is what is supported so far")
    if dims[1] not in _CHANNELS and dims[3] in _CHANNELS:
        raise ModelError(f"input {_text(info)} of {model} is NHWC; only NCHW is supported so far")
    batch, channels, height, width = dims
    return ImageInput(info.name, batch, 3 if channels is None else channels, height, width)


def _dims(info: onnx.ValueInfoProto) -> list[int | None]:
    shape = info.type.tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in shape.dim]


def _text(info: onnx.ValueInfoProto) -> str:
    kind = onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type).lower()
    return f"{info.name!r} ({', '.join('?' if d is None else str(d) for d in _dims(info))}; {kind})"


def _listed(inputs: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(map(_text, inputs.values())) or "none"
