"""Images of 16 bits per channel: the real range of their values, in every form that is decoded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import onnx_cam
from onnx_cam.errors import ImageError
from onnx_cam.image.bit_depth import usual_bits
from onnx_cam.image.decoding import Decoded, decode, from_pil
from onnx_cam.image.files import image_file
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS
from tests.image.png import png, ramp
from tests.image.tiff import (
    DNG_VERSION,
    MAX_SAMPLE_VALUE,
    ORIENTATION,
    SMAX_SAMPLE_VALUE,
    SUBFILE_TYPE,
    in_12_bits,
    tiff,
)


def decoded(content: bytes, *, alpha: bool = False) -> Decoded:
    return decode(image_file("scan.tif", content), alpha=alpha)


def encoded(values: NDArray[Any], suffix: str, *options: int) -> bytes:
    """Return an image file that OpenCV writes, from RGB or RGBA."""
    order = [0] if values.shape[2] == 1 else [2, 1, 0, 3][: values.shape[2]]
    ok, content = cv2.imencode(suffix, values[..., order], options)
    assert ok
    return content.tobytes()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "little", "big", "zip", "jpeg-like"])
def test_values_are_read_by_the_smallest_usual_range_that_holds_them(bits: int, channels: int, kind: str) -> None:
    values = ramp((1 << bits) - 1, 12, 17, channels)
    stored = values[..., 0] if channels == 1 else values
    content = {
        "png": lambda: png(values),
        "little": lambda: tiff(stored),
        "big": lambda: tiff(stored, order=">"),
        "zip": lambda: encoded(values, ".tiff", cv2.IMWRITE_TIFF_COMPRESSION, 8),
        "jpeg-like": lambda: encoded(values, ".png", cv2.IMWRITE_PNG_STRATEGY, 3),
    }[kind]()
    result = decoded(content)
    np.testing.assert_array_equal(result.pixels, np.broadcast_to(values >> (bits - 8), (12, 17, 3)))
    assert bool(result.notes) == (bits < 16)
    for note in result.notes:
        assert note == (
            f"'scan.tif' has 16 bits per channel, but no value above {(1 << bits) - 1}: read as {bits}-bit data; if it "
            "is a dark image of the full 16 bits, convert it to 8 bits first"
        )


def test_the_largest_value_decides() -> None:
    assert [usual_bits(value) for value in (0, 255, 256, 1023, 1024, 4096, 16383, 16384, 65535)] == [
        8, 8, 10, 10, 12, 14, 14, 16, 16,
    ]  # fmt: skip


def test_a_black_image_needs_no_note() -> None:
    result = decoded(png(np.zeros((4, 4, 3), np.uint16)))
    assert not result.pixels.any()
    assert result.notes == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_png_states_comes_first(channels: int) -> None:
    dark = ramp(900, 8, 8, channels)
    twelve = decoded(png(dark, (b"sBIT", bytes([12] * channels))))
    np.testing.assert_array_equal(twelve.pixels[..., 0], dark[..., 0] >> 4)
    assert "12 bits (sBIT): read as 12-bit data" in twelve.notes[0]
    full = decoded(png(dark, (b"sBIT", bytes([16] * channels))))
    np.testing.assert_array_equal(full.pixels[..., 0], dark[..., 0] >> 8)
    assert full.notes == ()


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("largest", [4095, 200])
def test_a_png_whose_values_are_scaled_up_as_the_standard_asks_is_full_range(repeats: bool, largest: int) -> None:
    twelve = ramp(largest, 8, 8)
    scaled = twelve << 4 | (twelve >> 8 if repeats else 0)
    result = decoded(png(scaled, (b"sBIT", b"\x0c")))
    np.testing.assert_array_equal(result.pixels[..., 0], twelve >> 4)
    assert result.notes == ()


@pytest.mark.parametrize("tag", [MAX_SAMPLE_VALUE, SMAX_SAMPLE_VALUE])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_tiff_states_comes_first(tag: int, channels: int) -> None:
    dark = ramp(900, 8, 8, channels)
    stored = dark[..., 0] if channels == 1 else dark
    twelve = decoded(tiff(stored, tags={tag: [4095] * channels}))
    np.testing.assert_array_equal(twelve.pixels[..., 0], dark[..., 0] >> 4)
    assert "MaxSampleValue 4095): read as 12-bit data" in twelve.notes[0]
    full = decoded(tiff(stored, tags={tag: [65535] * channels}))
    np.testing.assert_array_equal(full.pixels[..., 0], dark[..., 0] >> 8)
    assert full.notes == ()
    for false in (100, 0):
        result = decoded(tiff(stored, tags={tag: [false] * channels}))
        np.testing.assert_array_equal(result.pixels[..., 0], dark[..., 0] >> 2)
        assert "no value above 900: read as 10-bit data" in result.notes[0]


def test_twelve_bits_that_are_packed() -> None:
    values = ramp(900, 8, 9)
    result = decoded(tiff(values, packed=in_12_bits(values)))
    np.testing.assert_array_equal(result.pixels[..., 1], values >> 4)
    assert "12 bits (BitsPerSample): read as 12-bit data" in result.notes[0]


@pytest.mark.parametrize(("largest", "bits"), [(4095, 12), (65535, 16)])
def test_white_may_be_the_smallest_value(largest: int, bits: int) -> None:
    values = ramp(largest, 8, 8)
    result = decoded(tiff(values, photometric=0))
    np.testing.assert_array_equal(result.pixels[..., 2], 255 - (values >> (bits - 8)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_the_orientation_is_applied_once(orientation: int, channels: int, kind: str) -> None:
    values = ramp(4095, 6, 9, channels)
    stored = values[..., 0] if channels == 1 else values
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = {
        1: values,
        2: values[:, ::-1],
        3: values[::-1, ::-1],
        4: values[::-1],
        5: values.transpose(1, 0, 2),
        6: np.rot90(values, -1),
        7: values[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(values, 1),
    }[orientation]
    if kind == "png":
        content = png(values, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    else:
        content = tiff(stored, tags={ORIENTATION: [orientation]})
    np.testing.assert_array_equal(decoded(content).pixels, np.broadcast_to(upright >> 4, (*upright.shape[:2], 3)))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("kind", ["png", "tiff", "big", "grey"])
def test_alpha_has_a_range_of_its_own(bits: int, kind: str) -> None:
    values = ramp((1 << bits) - 1, 6, 9, 2 if kind == "grey" else 4)
    values[..., -1] = np.where(values[..., -1] % 2, 65535, 0)
    content = png(values) if kind in ("png", "grey") else tiff(values, order="<" if kind == "tiff" else ">", alpha=2)
    result = decoded(content, alpha=True)
    assert result.pixels.shape == (6, 9, 4)
    np.testing.assert_array_equal(result.pixels[..., :3], np.broadcast_to(values[..., :-1] >> (bits - 8), (6, 9, 3)))
    np.testing.assert_array_equal(result.pixels[..., 3], values[..., -1] >> 8)
    np.testing.assert_array_equal(decoded(content).pixels, result.pixels[..., :3])


def test_a_transparent_colour() -> None:
    values = ramp(4095, 6, 9, 3)
    content = png(values, (b"tRNS", values[2, 3].astype(">u2").tobytes()))
    pixels = decoded(content, alpha=True).pixels
    assert np.argwhere(pixels[..., 3] == 0).tolist() == [[2, 3]]
    np.testing.assert_array_equal(pixels[..., :3], values >> 4)
    grey = values[..., 0]
    content = png(grey, (b"tRNS", int(grey[1, 1]).to_bytes(2, "big")))
    assert np.argwhere(decoded(content, alpha=True).pixels[..., 3] == 0).tolist() == [[1, 1]]
    assert decoded(content).pixels.shape == (6, 9, 3)


def test_cmyk() -> None:
    values = ramp(4095, 6, 9, 4)
    expected = Image.frombytes("CMYK", (9, 6), (values >> 4).astype(np.uint8).tobytes()).convert("RGB")
    np.testing.assert_array_equal(decoded(tiff(values, photometric=5)).pixels, np.asarray(expected))


def test_dark_colours_that_are_multiplied_by_alpha_are_refused() -> None:
    with pytest.raises(ImageError, match="multiplied by their alpha, and whose range cannot be told; convert it to 8"):
        decoded(tiff(ramp(4095, 6, 9, 4), alpha=1))


def test_a_raw_camera_file_is_not_read_by_its_preview() -> None:
    values = ramp(65535, 6, 9, 3)
    with pytest.raises(ImageError, match="is a raw camera file; develop it"):
        decoded(tiff(values, tags={DNG_VERSION: [1, 4]}))
    with pytest.raises(ImageError, match="begins with a small preview of another image in it"):
        decoded(tiff(values, tags={SUBFILE_TYPE: [1]}))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused(share: float) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (64, 64, 3)).astype(np.uint16)
    for content in (png(values), encoded(values, ".tiff")):
        with pytest.raises(ImageError, match=r"damaged or cut off"):
            decoded(content[: int(len(content) * share)])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pil_image_is_read_as_its_file(channels: int) -> None:
    values = ramp(4095, 6, 9, channels)
    for content in (png(values), tiff(values[..., 0] if channels == 1 else values)):
        with Image.open(io.BytesIO(content)) as image:
            result = from_pil(image)
        np.testing.assert_array_equal(result.pixels, np.broadcast_to(values >> 4, (6, 9, 3)))
        assert "no value above 4095: read as 12-bit data" in result.notes[0]


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1), (30, 40, 3), (30, 40, 4)])
def test_arrays_are_read_by_the_same_rule(dtype: str, shape: tuple[int, ...]) -> None:
    values = ramp(4095, *shape).astype(dtype)
    picture = open_picture(values, PRESETS["raw"], 3, (20, 20))
    colours = values.reshape(30, 40, -1)[..., :3]
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(colours >> 4, (30, 40, 3)))
    assert picture.notes[0].startswith("the array has 16 bits per channel, but no value above 4095")
    eight = (values.astype(np.uint16) >> 4).astype(np.uint8)
    same = open_picture(eight, PRESETS["raw"], 3, (20, 20))
    np.testing.assert_array_equal(same.network_input, picture.network_input)
    assert same.notes == ()


def test_the_result_says_so(tiny_path: Path, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(png(ramp(4095, 30, 40)))
    result = onnx_cam.explain(tiny_path, tmp_path / "scan.png", method="cam", preprocess="imagenet")
    assert any("no value above 4095: read as 12-bit data" in warning for warning in result.warnings)
    (tmp_path / "full.png").write_bytes(png(ramp(65535, 30, 40)))
    result = onnx_cam.explain(tiny_path, tmp_path / "full.png", method="cam", preprocess="imagenet")
    assert not any("16 bits" in warning for warning in result.warnings)
