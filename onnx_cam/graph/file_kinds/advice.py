"""What to do with a file that is not an ONNX model."""

from __future__ import annotations

__all__ = ["EXPORT", "IMAGE", "ORIGINAL", "TORCH", "UNPACK", "tf2onnx"]

EXPORT = "export the network to ONNX from the framework that it was trained in"
IMAGE = "give the model first, then the images"
ORIGINAL = "give the .onnx file that it was converted from"
TORCH = "load it in PyTorch, and export the network with torch.onnx.export"
UNPACK = "unpack it, and give the .onnx file in it"


def tf2onnx(option: str) -> str:
    """Return how to convert a model of TensorFlow or Keras.

    Examples
    --------
    >>> tf2onnx("--tflite model.tflite")
    'convert it with tf2onnx: python -m tf2onnx.convert --tflite model.tflite --output model.onnx'
    """
    return f"convert it with tf2onnx: python -m tf2onnx.convert {option} --output model.onnx"
