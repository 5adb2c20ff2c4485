"""Image files: formats, orientations, and which files are refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnx_cam.errors import ImageError
from onnx_cam.image.decoding import decode
from onnx_cam.image.files import ImageList, find_images, list_images, read_image, stems

RGB = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    return decode(read_image(path)).pixels


def photo(height: int = 40, width: int = 60) -> Image.Image:
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_lossless_formats(suffix: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray(RGB), tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(pixels(path), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    stored = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, 1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB, -1),
    }[orientation]  # what the camera stores, to be RGB when it is turned upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels(path), RGB)


def test_grey_alpha_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(RGB)
    grey = image.convert("L")
    np.testing.assert_array_equal(pixels(saved(grey, tmp_path / "l.png")), np.repeat(np.array(grey)[..., None], 3, 2))
    rgba = np.concatenate([RGB, np.full((12, 17, 1), 7, np.uint8)], axis=2)
    np.testing.assert_array_equal(pixels(saved(Image.fromarray(rgba), tmp_path / "a.png")), RGB)
    palette = image.quantize(16)
    np.testing.assert_array_equal(pixels(saved(palette, tmp_path / "p.png")), np.array(palette.convert("RGB")))
    cmyk = photo().convert("CMYK")
    difference = pixels(saved(cmyk, tmp_path / "c.jpg", quality=95)).astype(int) - np.array(photo())
    assert np.abs(difference).mean() < 3
    assert pixels(saved(image.convert("1"), tmp_path / "b.png")).shape == RGB.shape


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 200, dtype=np.uint16).reshape(10, 20)
    path = saved(Image.fromarray(ramp), tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(path)[..., 0], ramp >> 8)


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    """Written by hand: Pillow reads such files, and does not write them."""
    values = np.random.default_rng(1).integers(0, 65536, (6, 5, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 5, 6, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert np.abs(pixels(tmp_path / "a.png").astype(int) - values // 256).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_image_that_is_cut_off_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = saved(Image.fromarray(noise), tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError, match=r"damaged or cut off|not an image"):
        pixels(tmp_path / f"a.{suffix}")


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="3 frames; expected a single image"):
        pixels(tmp_path / "a.gif")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="floating-point pixels"):
        pixels(saved(Image.fromarray(np.ones((8, 8), np.float32)), tmp_path / "a.tiff"))


def test_sizes_at_both_ends_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="1×1 pixels; expected at least 2×2"):
        pixels(saved(Image.new("RGB", (1, 1)), tmp_path / "a.png"))
    with pytest.raises(ImageError, match="12000×12000 pixels; expected at most 100,000,000"):
        pixels(saved(Image.new("1", (12_000, 12_000)), tmp_path / "b.png"))
    with pytest.raises(ImageError, match="far too many pixels; expected at most 100,000,000"):
        pixels(saved(Image.new("1", (20_000, 20_000)), tmp_path / "b.png"))


def test_a_file_that_is_not_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(ImageError, match="not an image that can be read"):
        pixels(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").touch()
    with pytest.raises(ImageError, match="is empty"):
        pixels(tmp_path / "b.jpg")
    with pytest.raises(ImageError, match="no image"):
        pixels(tmp_path / "c.jpg")
    with pytest.raises(ImageError, match="cannot read"):
        read_image(tmp_path)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = saved(Image.fromarray(RGB), tmp_path / "a.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    file = read_image("-")
    assert file.stem == "stdin"
    np.testing.assert_array_equal(decode(file).pixels, RGB)


def test_folders_and_globs_are_sets_of_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    folder = [str(tmp_path / name) for name in ("a.JPG", "b.png", "c.webp")]
    assert list_images([str(tmp_path)]) == folder
    assert list_images([str(tmp_path / "*.png"), folder[1], folder[0]]) == [folder[1], folder[0]]
    assert list_images(["missing.png", "-"]) == ["missing.png", "-"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no image in"):
        list_images([str(tmp_path / "empty")])
    with pytest.raises(ImageError, match="no image in"):
        list_images([str(tmp_path / "*.tiff")])
    assert list_images(["-", "-"]) == ["-"]


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPG"])
def test_other_endings_of_jpeg_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    photo().save(path, format="JPEG")
    assert list_images([str(tmp_path)]) == [str(path)]
    assert pixels(path).shape == (40, 60, 3)


def test_what_is_skipped_in_a_folder_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    folder = str(tmp_path)
    assert find_images([folder, "b.png"]) == ImageList((f"{folder}/a.png", "b.png"))
    for name in ("b.cr2", "c.tga", "notes.txt", "d.svg", "e.psd", "f.raw", "g\nh.x", ".DS_Store", "Desktop.ini"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    found = find_images([folder, folder, f"{folder}/a.png"])
    assert found.paths == (f"{folder}/a.png",)
    (note,) = found.notes
    assert note.startswith(f"'{folder}': skipped 7 files without an image's ending (.avif, .avifs, .bmp, .gif, ")
    assert "): b.cr2, c.tga, d.svg, e.psd, f.raw and 2 more and 1 folder (search with a pattern" in note
    assert note.endswith(": sub")
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        ImageError, match=r"no image in .*; expected files ending in .*; skipped 7 files .* b.cr2, c.tga"
    ):
        list_images([folder])
    assert find_images([f"{folder}/*.cr2"]) == ImageList((f"{folder}/b.cr2",))


def test_links_that_lead_nowhere_are_reported_when_they_are_read(tmp_path: Path) -> None:
    os.symlink("gone.png", tmp_path / "a.png")
    os.symlink("b.png", tmp_path / "b.png")
    saved(photo(), tmp_path / "c.png")
    os.symlink("c.png", tmp_path / "d.png")
    names = [str(tmp_path / f"{name}.png") for name in "abcd"]
    assert list_images([str(tmp_path)]) == list_images([str(tmp_path / "*.png")]) == names
    for name, target in zip(names[:2], ("gone.png", "b.png"), strict=True):
        with pytest.raises(ImageError, match=f"it is a link to '{target}', which does not exist or links back; fetch"):
            read_image(name)
    assert read_image(names[3]).content == read_image(names[2]).content


def test_pointers_in_place_of_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:5a1c\nsize 12345\n")
    with pytest.raises(
        ImageError, match=r"the image .*a.jpg' is a Git LFS pointer, not the file itself: .*git lfs pull"
    ):
        read_image(tmp_path / "a.jpg")


def test_stems_differ_where_two_inputs_share_one() -> None:
    names_of_results = stems(["a/cat.jpg", "b/cat.png", "c/Cat.png", "dog.jpg", "-"])
    assert names_of_results[3:] == ["dog", "stdin"]
    assert len(set(names_of_results)) == 5
    assert all(name.lower().startswith("cat-") and len(name) == len("cat-") + 8 for name in names_of_results[:3])


def test_stems_that_become_the_same_name_still_differ() -> None:
    long = "a" * 150
    names = ["cat:1.png", "cat?1.png", f"{long}b.png", f"{long}c.png", "猫" * 80 + ".png", "\udcff.png"]
    names_of_results = stems(names)
    assert len(set(names_of_results)) == len(names)
    assert all(len(name.encode()) <= 110 for name in names_of_results)


def test_only_the_documented_formats_are_opened(tmp_path: Path) -> None:
    """Pillow hands an EPS file to Ghostscript, whatever its name says."""
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="not an image that can be read"):
        pixels(tmp_path / "a.jpg")


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(ImageError, match=r"cannot read the folder .*: Permission denied"):
        list_images([str(tmp_path)])
