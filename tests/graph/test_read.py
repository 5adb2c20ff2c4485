"""Files that are no ONNX model are told apart, and each gets advice of its own."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_cam.errors import ModelError
from onnx_cam.graph.file_kinds.protobufs import walk_fields
from onnx_cam.graph.read import read_model
from tests import tiny

MODEL = tiny.model().SerializeToString()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"5a" * 32 + b"\nsize 435852734\n"


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return packed.getvalue()


def tarred(content: bytes, mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("model.onnx")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def field(number: int, value: int | bytes) -> bytes:
    """Return a field of a protobuf message."""

    def varint(rest: int) -> bytes:
        return bytes([rest]) if rest < 128 else bytes([rest & 127 | 128]) + varint(rest >> 7)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


TENSORFLOW_NODE = field(1, b"image") + field(2, b"Placeholder")
METADATA = b'{"description": "a detector"}'

KINDS = {
    "lfs": (POINTER, r"Git LFS pointer.*git lfs pull"),
    "old-lfs": (POINTER.replace(b"git-lfs", b"hawser"), r"git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s5--5a1c.onnx\n", r"git annex get"),
    "annex-link-as-text": (b"../.git/annex/objects/Xx/Yy/SHA256E-s5--5a/SHA256E-s5--5a", r"git annex get"),
    "dvc": (b"outs:\n- md5: 5a1c\n  size: 5\n  path: model.onnx\n", r"DVC pointer.*dvc pull"),
    "html": (b"<!DOCTYPE html><html><head><title>Sign\n in</title>", r"web page \('Sign in'\).*download"),
    "html-in-capitals": (b"\xef\xbb\xbf\r\n <HTML><BODY>no</BODY></HTML>", r"web page, not a model"),
    "xhtml": (b"<?xml version='1.0'?>\n<!-- x -->\n<html>", r"web page"),
    "storage": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", r"XML that begins with .*AccessDenied"),
    "server": (b'{"error": "Repository not found"}', r"JSON that begins with .*Repository not found"),
    "plain": (b"404: Not Found", r"text that begins with '404: Not Found'"),
    "utf-16": ("not a model".encode("utf-16"), r"text that begins with 'not a model'"),
    "gzip": (gzip.compress(MODEL), r"compressed with gzip: unpack it"),
    "bzip2": (bz2.compress(MODEL), r"compressed with bzip2"),
    "xz": (lzma.compress(MODEL), r"compressed with xz"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), r"compressed with 7-Zip"),
    "tar": (tarred(MODEL), r"a tar archive: unpack it"),
    "tar-gz": (tarred(MODEL, "w:gz"), r"a tar archive compressed with gzip: unpack it"),
    "zip": (zipped(m__model_dot_onnx=MODEL, labels=b""), r"ZIP archive that holds 'm/model.onnx': unpack it"),
    "zip-cut": (zipped(model_dot_onnx=MODEL)[:500], r"ZIP archive that is damaged or cut off"),
    "zip-of-others": (zipped(a=b"", b=b"", c=b"", d=b""), r"ZIP archive that holds 'a', 'b', 'c' and 1 more"),
    "torch": (zipped(archive__data_dot_pkl=b"", archive__version=b"3\n"), r"PyTorch checkpoint.*torch.onnx.export"),
    "torchscript": (zipped(a__data_dot_pkl=b"", a__constants_dot_pkl=b""), r"TorchScript archive.*torch.onnx.export"),
    "pt2": (zipped(a__archive_format=b"pt2"), r"torch.export \(.pt2\)"),
    "old-torch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"rest", r"PyTorch checkpoint of the old format"),
    "pickle": (pickle.dumps({"model": [1, 2]}), r"Python pickle, which is not opened"),
    "keras": (zipped(config_dot_json=b"", model_dot_weights_dot_h5=b""), r"Keras model \(.keras\).*tf2onnx"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), r"HDF5.*tf2onnx.convert --keras"),
    "npz": (zipped(w_dot_npy=b""), r"NumPy archive"),
    "npy": (b"\x93NUMPY\x01\0", r"NumPy array.*model first"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(50), r"JPEG image.*model first"),
    "heic": (b"\0\0\0\x18ftypheic", r"image.*model first"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(100), r"TensorFlow Lite.*tf2onnx.convert --tflite"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(100), r"\(.ort\).*it was converted from"),
    "safetensors": (safetensors(), r"safetensors.*weights without a graph"),
    "saved-model": (
        field(1, 1) + field(2, field(1, field(5, b"2.15")) + field(2, field(1, TENSORFLOW_NODE))),
        r"TensorFlow SavedModel.*--saved-model",
    ),
    "frozen-graph": (field(1, TENSORFLOW_NODE) * 3 + field(4, field(1, 27)), r"TensorFlow graph.*--graphdef"),
    "core-ml": (field(1, 5) + field(2, b"") + field(500, field(1, b"layer")), r"Core ML model"),
    "paddle": (field(1, field(1, 0) + field(2, 2**32)) + field(4, b""), r"PaddlePaddle.*paddle2onnx"),
    "caffe": (field(1, b"AlexNet") + field(100, field(1, b"data")) * 2, r"Caffe"),
    "tensor": (numpy_helper.from_array(np.ones((1, 3), np.float32)).SerializeToString(), r"single ONNX tensor"),
    "openvino": (b'<?xml version="1.0"?>\n<net name="n" version="11">\n', r"OpenVINO model \(.xml\)"),
    "tensorrt": (b"ftrt" + bytes(50), r"TensorRT engine"),
    "tensorrt-of-ultralytics": (len(METADATA).to_bytes(4, "little") + METADATA + b"ptrt", r"TensorRT engine"),
    "tf-js": (b'{"format": "graph-model", "modelTopology": {}}', r"TensorFlow.js"),
    "onnx-text": (b'<\n  ir_version: 8,\n  opset_import: ["" : 13]\n>\n', r"ONNX model as text: .*onnx.parser"),
    "onnx-protobuf-text": (b"ir_version: 8\nproducer_name: 'x'\n", r"ONNX model as protobuf text"),
    "onnx-json": (b'{"irVersion": "8", "graph": {}}', r"ONNX model as JSON"),
    "crlf": (MODEL.replace(b"\n", b"\r\n"), r"damaged by a conversion of line ends: copy it in binary mode"),
    "base64": (base64.encodebytes(MODEL), r"encoded as base64"),
    "as-text": (MODEL.decode("utf-8", "replace").encode(), r"conversion to text, in which bytes were lost"),
    "as-utf-8": (MODEL.decode("latin-1").encode(), r"conversion to UTF-8"),
    "cut-off": (MODEL[:-200], rf"cut off after {len(MODEL) - 200:,} bytes of at least [\d,]+: copy or download"),
    "zeros": (bytes(5000), r"nothing but 5,000 zeros, as an interrupted download leaves"),
    "empty": (b"", r"is empty; expected an ONNX model"),
    "no-graph": (
        onnx.ModelProto(ir_version=8, producer_name="pytorch").SerializeToString(),
        r"with a graph and outputs",
    ),
    "noise": (np.random.default_rng(0).bytes(3000), r"not an ONNX model"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_file_gets_advice_of_its_own(name: str, tmp_path: Path) -> None:
    content, match = KINDS[name]
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=match) as raised:
        read_model(tmp_path / "model.onnx")
    message = str(raised.value)
    assert str(tmp_path / "model.onnx") in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "match"), [("net.bin", "weights, such as OpenVINO's"), ("a.engine", "TensorRT"), ("a.mlmodel", "Core ML")]
)
def test_the_name_tells_where_the_content_does_not(name: str, match: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(range(128, 256)) * 9)
    with pytest.raises(ModelError, match=match):
        read_model(tmp_path / name)


def test_a_folder_names_the_models_in_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder; expected an .onnx file$"):
        read_model(tmp_path)
    (tmp_path / "onnx").mkdir()
    for name in ("onnx/model.onnx", "onnx/model_int8.onnx", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"such as onnx/model.onnx, onnx/model_int8.onnx in it"):
        read_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="TensorFlow SavedModel: convert it with tf2onnx"):
        read_model(tmp_path)


def test_an_onnx_model_is_none_of_the_others(tmp_path: Path) -> None:
    """A model whose weights hold what archives, web pages and line ends begin with is read as it is."""
    weights = b"PK\x03\x04<html>\r\n\x1f\x8b" + bytes(3)
    model = tiny.model(metadata={"note": "<!DOCTYPE html>\r\nversion https://git-lfs.github.com/spec/v1"})
    model.graph.initializer.append(onnx.TensorProto(name="x", dims=[len(weights)], data_type=2, raw_data=weights))
    assert read_model(tiny.save(model, tmp_path)).proto == model


def test_metadata_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    content = tiny.model(metadata={"author": "Jos\u00e9"}).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content.replace("Jos\u00e9".encode(), b"Jos\xe9e"))
    assert read_model(path).metadata == {"author": "Jos\udce9e"}


def test_walking_a_message_ends_where_it_is_none() -> None:
    assert [f.number for f in walk_fields(MODEL)] == [1, 7, 8]
    assert [f.number for f in walk_fields(b"\xff" * 20)] == []
    assert list(walk_fields(b"")) == []
    (cut,) = walk_fields(field(7, bytes(100))[:10])
    assert (cut.number, cut.end, cut.value) == (7, 102, bytes(8))
