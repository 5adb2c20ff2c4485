"""Images in memory: bytes, file objects, arrays and PIL images; and what is not an image."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import ImageError
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS
from onnx_cam.image.sources import open_source
from tests import tiny

RGB = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


def as_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    return stream.getvalue()


PNG = as_png()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_give_what_the_file_gives(kind: Any, tiny_path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    classifier = onnx_cam.load(tiny_path, preprocess="imagenet")
    of_file = onnx_cam.explain(classifier, tmp_path / "a.png", method="cam")
    of_bytes = onnx_cam.explain(classifier, kind(PNG), method="cam")
    np.testing.assert_array_equal(of_bytes.map, of_file.map)
    assert of_bytes.record()["image"] is None
    assert of_bytes.record()["image_sha256"] == of_file.record()["image_sha256"] == hashlib.sha256(PNG).hexdigest()
    assert of_bytes.explained_image.stem == "image"
    assert all(path.name.startswith("image") for path in of_bytes.save(tmp_path / "out").values())


def test_a_file_object_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a cat.png").write_bytes(PNG)
    with open(tmp_path / "a cat.png", "rb") as file:
        picture = open_picture(file, PRESETS["raw"], 3, (20, 20))
    assert (picture.stem, picture.name) == ("a cat", str(tmp_path / "a cat.png"))
    with tempfile.TemporaryFile() as nameless:  # its name is a number
        nameless.write(PNG)
        nameless.seek(0)
        assert open_picture(nameless, PRESETS["raw"], 3, (20, 20)).stem == "image"
    upload = io.BytesIO(PNG)
    upload.name = "../../etc/a\nb?.png"
    file_of_upload = open_source(upload)
    assert file_of_upload is not None
    assert (file_of_upload.stem, file_of_upload.name) == ("a b_", "../../etc/a b?.png")


def test_other_file_objects(tmp_path: Path) -> None:
    class Upload:
        def read(self) -> bytes:
            return PNG

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat.png", PNG)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("cat.png") as member:
        sources = [open_source(member), open_source(Upload())]
    assert [source.content for source in sources if source] == [PNG, PNG]


def test_file_objects_that_give_no_bytes(tmp_path: Path) -> None:
    class Awaited:
        async def read(self, size: int = -1) -> bytes:
            return PNG

    class Text:
        def read(self, size: int = -1) -> str:
            return "text"

    class Numbers:
        def read(self, size: int = -1) -> int:
            return 7

    class Broken:
        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("the line\nis down")

    closed = io.BytesIO(PNG)
    closed.close()
    spent = io.BytesIO(PNG)
    spent.read()
    for file, message in [
        (io.StringIO("text"), "the file object is open for text; expected bytes: open it with mode 'rb'"),
        (Text(), "gives text; expected bytes: open it with mode 'rb'"),
        (Awaited(), r"has to be awaited; hand over its bytes: await upload.read\(\)"),
        (Numbers(), "gives int; expected bytes"),
        (Broken(), "cannot read the file object: the line is down; expected an image open for reading bytes"),
        (closed, "cannot read the file object: I/O operation on closed file"),
        (spent, r"has no bytes left to read; if it was read before, rewind it with seek\(0\)"),
    ]:
        with pytest.raises(ImageError, match=message):
            open_source(file)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            self.given += size
            return bytes(size)

    monkeypatch.setattr("onnx_cam.image.sources.MAX_FILE_BYTES", 1 << 21)
    monkeypatch.setattr("onnx_cam.image.files.MAX_FILE_BYTES", 1 << 21)
    endless = Endless()
    for source in (endless, bytes((1 << 21) + 1), memoryview(bytes((1 << 21) + 1))):
        with pytest.raises(ImageError, match="the image in memory is larger than 1 GiB"):
            open_source(source)
    assert endless.given == (1 << 21) + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the image in memory is empty"),
        (b"cat.jpg", "the image in memory is not an image that can be read"),
        (PNG[:200], "^the image in memory is damaged or cut off"),
        (b"%PDF-1.7", "the image in memory is a PDF document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:5a1c\nsize 1\n", "in memory is a Git LFS pointer"),
    ],
)
def test_bytes_that_are_not_an_image(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_picture(content, PRESETS["raw"], 3, (20, 20))


def test_the_networks_input_as_bytes(tiny_classifier: Classifier) -> None:
    tensor, stream = tiny.image(1), io.BytesIO()
    np.save(stream, tensor)
    expected = onnx_cam.explain(tiny_classifier, tensor, method="cam")
    for source in (stream.getvalue(), memoryview(stream.getvalue()), io.BytesIO(stream.getvalue())):
        result = onnx_cam.explain(tiny_classifier, source, method="cam")
        np.testing.assert_array_equal(result.cam, expected.cam)
    with pytest.raises(ImageError, match=r"the image in memory is not a .npy file"):
        onnx_cam.explain(tiny_classifier, PNG)


class Tensor:
    """As torch's on a GPU or with a gradient: it refuses to become an array."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "got None as an image; expected a path, the bytes of an image file, a binary file object, an .H, W, 3."),
        (7, "got an object of type int as an image; expected a path"),
        (["a.png", "b.png"], "got an object of type list .*; for several images, hand them over one by one"),
        ({"a": 1}, "got an object of type dict as an image"),
        (Tensor(), "got an object of type Tensor .* cannot be read as an array .can't convert cuda:0"),
        (np.zeros((3, 30, 40), np.uint8), r"got an array of shape \(3, 30, 40\), uint8; expected \(H, W, 3\)"),
        (np.zeros((30, 40, 3), np.float32), r"float32; expected \(H, W, 3\) uint8 or uint16"),
        (np.zeros((30, 40, 3), np.uint32), "uint32; expected"),
        (np.zeros((30, 40), bool), "bool; expected"),
        (np.zeros((30, 40, 2), np.uint8), r"\(30, 40, 2\), uint8; expected"),
        (np.zeros((1, 1), np.uint8), "the image has 1×1 pixels; expected at least 2×2"),
        (np.zeros((0, 5, 3), np.uint16), "has 5×0 pixels"),
    ],
)
def test_what_is_not_an_image_is_refused_in_one_line(image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        open_picture(image, PRESETS["raw"], 3, (20, 20))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("image", [None, 7, ["a.npy"], Tensor(), Image.fromarray(RGB), np.array(["a"])])
def test_what_is_not_a_networks_input_is_refused_in_one_line(image: Any, tiny_classifier: Classifier) -> None:
    with pytest.raises(ImageError, match=r"network's input|the model takes"):
        onnx_cam.explain(tiny_classifier, image)


def test_pil_images_may_be_lazy_but_not_closed() -> None:
    lazy = Image.open(io.BytesIO(PNG))
    np.testing.assert_array_equal(open_picture(lazy, PRESETS["raw"], 3, (20, 20)).pixels, RGB)
    with Image.open(io.BytesIO(PNG)) as closed:
        pass
    with pytest.raises(ImageError, match=r"the image is a PIL image that was closed before it was loaded; .*load\(\)"):
        open_picture(closed, PRESETS["raw"], 3, (20, 20))


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1)])
def test_grey_arrays_are_images(shape: tuple[int, ...]) -> None:
    grey = RGB[..., 0].reshape(shape).copy()
    picture = open_picture(grey, PRESETS["raw"], 3, (20, 20))
    np.testing.assert_array_equal(picture.pixels, np.repeat(RGB[..., :1], 3, axis=2))
    grey[:] = 0
    assert picture.pixels.any()
