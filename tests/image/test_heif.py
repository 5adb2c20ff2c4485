"""AVIF and HEIC: read by their content, upright, and refused where they are damaged or their decoder is missing."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from onnx_cam.errors import ImageError, MissingDecoderError, MissingExtraError
from onnx_cam.image.decoding import decode
from onnx_cam.image.files import SUFFIXES, image_file, list_images, read_image

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")

RAMP = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)
FAKE_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)


def as_avif(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "AVIF", quality=95, **options)
    return stream.getvalue()


def as_heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    if isinstance(exif := options.pop("exif", None), Image.Exif):
        options["exif"] = exif.tobytes()
    pillow_heif.from_pillow(image).save(stream, quality=95, **options)
    return stream.getvalue()


ENCODERS = pytest.mark.parametrize("encode", [as_avif, as_heic])


@ENCODERS
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("name", ["photo.jpg", "photo"])
def test_the_content_tells_the_format(encode: Callable[..., bytes], mode: str, name: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    pixels = decode(image_file(name, encode(image))).pixels
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 1.5


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif", "photo.png"])
def test_a_jpeg_under_another_name_is_read(name: str, tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / name, "JPEG")
    assert decode(read_image(tmp_path / name)).pixels.shape == (40, 60, 3)


@ENCODERS
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_once(encode: Callable[..., bytes], orientation: int) -> None:
    from PIL import ImageOps

    image = Image.fromarray(RAMP)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image.copy()
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned))
    pixels = decode(image_file("a", encode(image, exif=exif))).pixels
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 1.5


@ENCODERS
def test_alpha(encode: Callable[..., bytes]) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    content = encode(Image.fromarray(np.dstack([RAMP, alpha])))
    kept = decode(image_file("a", content), alpha=True).pixels[..., 3]
    assert np.abs(kept.astype(int) - alpha).mean() < 3


@ENCODERS
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 0.99])
def test_an_image_that_is_cut_off_is_refused(encode: Callable[..., bytes], share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = encode(Image.fromarray(noise))
    with pytest.raises(ImageError, match=r"'a' \(in the format (AVIF|HEIC)\) is damaged or cut off: .*; copy"):
        decode(image_file("a", content[: int(len(content) * share)]))


@ENCODERS
def test_damage_never_gives_another_error(encode: Callable[..., bytes]) -> None:
    content = encode(Image.fromarray(RAMP))
    generator = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for position in generator.integers(4, len(content), 4):
            damaged[position] = generator.integers(256)
        with suppress(ImageError):
            assert decode(image_file("a", bytes(damaged))).pixels.shape[2] == 3


def test_a_header_without_an_image_names_the_format() -> None:
    pytest.importorskip("pillow_heif")
    with pytest.raises(ImageError, match=r"the image 'a' \(in the format HEIC\) is damaged or cut off"):
        decode(image_file("a", FAKE_HEIC))


@ENCODERS
def test_sizes_at_both_ends_are_refused(encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="has 1×8 pixels; expected at least 2×2"):
        decode(image_file("a", encode(Image.new("RGB", (1, 8)))))
    monkeypatch.setattr("onnx_cam.image.decoding.MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="has 60×40 pixels; expected at most 100 in all"):
        decode(image_file("a", encode(Image.fromarray(RAMP))))


def test_animations_are_refused() -> None:
    image = Image.fromarray(RAMP)
    with pytest.raises(ImageError, match="'a' has 3 frames; expected a single image"):
        decode(image_file("a", as_avif(image, save_all=True, append_images=[image, image])))
    pillow_heif = pytest.importorskip("pillow_heif")
    several, stream = pillow_heif.HeifFile(), io.BytesIO()
    for _ in range(2):
        several.add_from_pillow(image)
    several.save(stream)
    with pytest.raises(ImageError, match="'a' has 2 frames; expected a single image"):
        decode(image_file("a", stream.getvalue()))
    with pytest.raises(ImageError, match="'a' is a sequence of images; expected a single image"):
        decode(image_file("a", b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc" + bytes(100)))


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_pillow_heif(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow_heif)
    with pytest.raises(MissingDecoderError) as caught:
        decode(image_file("photo.jpg", FAKE_HEIC))
    assert isinstance(caught.value, ImageError)
    assert isinstance(caught.value, MissingExtraError)
    assert str(caught.value) == (
        "'photo.jpg' is a HEIC image, which needs the extra 'heic' (pillow-heif): pip install 'onnx-cam[heic]', or "
        "convert the image to PNG or JPEG"
    )


def test_without_a_decoder_for_avif_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_avif(Image.fromarray(RAMP))
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(MissingDecoderError, match=r"is an AVIF image, which Pillow .* pip install 'pillow>=11.3'"):
        decode(image_file("photo.jpg", content))


def test_reading_heic_changes_nothing_for_other_code() -> None:
    decode(image_file("a", as_heic(Image.fromarray(RAMP))))
    assert "HEIF" not in Image.OPEN


def test_their_endings_count_in_folders(tmp_path: Path) -> None:
    names = [f"{number}{suffix}" for number, suffix in enumerate([".avif", ".avifs", ".heic", ".HEIF", ".hif"])]
    for name in names:
        (tmp_path / name).touch()
    assert list_images([str(tmp_path)]) == [str(tmp_path / name) for name in names]
    assert {".jfif", ".jpe"} < set(SUFFIXES)
