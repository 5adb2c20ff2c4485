"""Binary formats that are told by the bytes that they begin with, or else by the file's name."""

from __future__ import annotations

from pathlib import Path

from onnx_cam.graph.file_kinds.advice import EXPORT, IMAGE, ORIGINAL, TORCH, tf2onnx

__all__ = ["binary_kind", "suffix_kind"]

_ENGINE = f"a TensorRT engine: {ORIGINAL}"
_ENGINE_MAGIC = (b"ftrt", b"ptrt")
_OLD_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # PyTorch's magic number, pickled
_PICKLE_PROTOCOLS = range(2, 6)

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    # (offset, the bytes there, what the file is and what to do)
    (4, b"ORTM", f"in ONNX Runtime's own format (.ort), whose graph cannot be rewritten: {ORIGINAL}"),
    (4, b"TFL", f"a TensorFlow Lite model (.tflite): {tf2onnx('--tflite model.tflite')}"),
    (4, b"ET1", f"an ExecuTorch program (.pte): {EXPORT}"),
    (0, b"\x89HDF\r\n\x1a\n", f"an HDF5 file, such as Keras writes (.h5): {tf2onnx('--keras model.h5')}"),
    (0, _ENGINE_MAGIC[0], _ENGINE),
    (0, _ENGINE_MAGIC[1], _ENGINE),
    (0, b"GGUF", f"a GGUF file: {EXPORT}"),
    (0, b"RKNN", f"a Rockchip model (.rknn): {ORIGINAL}"),
    (0, b"\x01HEF", f"a Hailo model (.hef): {ORIGINAL}"),
    (0, b"7767517\n", f"an ncnn network (.param): {ORIGINAL}"),
    (0, _OLD_TORCH, f"a PyTorch checkpoint of the old format: {TORCH}"),
    (0, b"\0GITCRYPT\0", "encrypted with git-crypt: run git-crypt unlock in its repository"),
    (0, b"Salted__", "encrypted with OpenSSL: decrypt it first"),
    (0, b"\x93NUMPY", f"a NumPy array (.npy): {IMAGE}"),
    (0, b"\xff\xd8\xff", f"a JPEG image: {IMAGE}"),
    (0, b"\x89PNG\r\n\x1a\n", f"a PNG image: {IMAGE}"),
    (0, b"GIF8", f"a GIF image: {IMAGE}"),
    (0, b"II*\0", f"a TIFF image: {IMAGE}"),
    (0, b"MM\0*", f"a TIFF image: {IMAGE}"),
    (4, b"ftyp", f"an image or a video: {IMAGE}"),
    (8, b"WEBP", f"a WebP image: {IMAGE}"),
    (0, b"%PDF", "a PDF document: expected an .onnx file"),
    (0, b"\x7fELF", f"a compiled library or program: {ORIGINAL}"),
    (0, b"SQLite format 3\0", "an SQLite database: expected an .onnx file"),
    (0, b"PAR1", "a Parquet file: expected an .onnx file"),
)

_SUFFIXES = {
    ".bin": f"a file of weights, such as OpenVINO's or PyTorch's (.bin): {ORIGINAL}, or export the network",
    ".blob": f"a compiled OpenVINO model (.blob): {ORIGINAL}",
    ".caffemodel": f"a Caffe model: {EXPORT}",
    ".ckpt": f"a checkpoint (.ckpt): {EXPORT}",
    ".data": "a file of weights (.data): give the .onnx file that it belongs to",
    ".dlc": f"a Qualcomm model (.dlc): {ORIGINAL}",
    ".engine": _ENGINE,
    ".h5": f"a Keras model (.h5): {tf2onnx('--keras model.h5')}",
    ".mlmodel": f"a Core ML model: {EXPORT}",
    ".mnn": f"an MNN model: {ORIGINAL}",
    ".onnx_data": "a file of weights (.onnx_data): give the .onnx file that it belongs to",
    ".pb": f"a TensorFlow graph (.pb): {tf2onnx('--saved-model FOLDER')}",
    ".pdiparams": "a file of PaddlePaddle's weights: convert the model with paddle2onnx",
    ".pdmodel": "a PaddlePaddle model: convert it with paddle2onnx",
    ".plan": _ENGINE,
    ".pt": f"a PyTorch file (.pt): {TORCH}",
    ".pth": f"a PyTorch file (.pth): {TORCH}",
    ".trt": _ENGINE,
    ".weights": f"a file of Darknet's weights: {EXPORT}",
}


def binary_kind(content: bytes) -> str | None:
    """Return what a binary file is, and what to do; None where its first bytes do not tell.

    Examples
    --------
    >>> binary_kind(bytes(4) + b"ORTM")  # doctest: +ELLIPSIS
    "in ONNX Runtime's own format (.ort), whose graph cannot be rewritten: give the .onnx file ..."
    """
    for offset, magic, kind in _SIGNATURES:
        if content[offset : offset + len(magic)] == magic:
            return kind
    if _is_safetensors(content):
        return f"a safetensors file, which holds weights without a graph: {EXPORT}"
    if _is_pickle(content):
        return f"a Python pickle, which is not opened since it may run any code: {EXPORT}"
    if _is_engine_with_metadata(content):
        return _ENGINE
    if content and not content.strip(b"\0"):
        return f"nothing but {len(content):,} zeros, as an interrupted download leaves: download or copy it again"
    return None


def suffix_kind(path: Path) -> str | None:
    """Return what a file is by its name, and what to do; None where that does not tell either.

    Examples
    --------
    >>> suffix_kind(Path("resnet50.engine"))
    'a TensorRT engine: give the .onnx file that it was converted from'
    """
    return _SUFFIXES.get(path.suffix.lower())


def _is_safetensors(content: bytes) -> bool:
    """A header of JSON, after its length in eight bytes."""
    length = int.from_bytes(content[:8], "little")
    return content[8:9] == b"{" and 2 <= length <= len(content) - 8 and content[7 + length : 8 + length] in (b"}", b" ")


def _is_pickle(content: bytes) -> bool:
    return len(content) > 2 and content[0] == 0x80 and content[1] in _PICKLE_PROTOCOLS and content[-1:] == b"."


def _is_engine_with_metadata(content: bytes) -> bool:
    """Ultralytics writes its metadata in front of the engine, after their length in four bytes."""
    length = int.from_bytes(content[:4], "little")
    return content[4:5] == b"{" and content[4 + length : 8 + length] in _ENGINE_MAGIC
