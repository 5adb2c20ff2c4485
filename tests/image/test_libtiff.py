"""libtiff writes to standard error from C: its lines become part of our error, or nothing."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnx_cam.image.libtiff import libtiff_messages
from tests.image.tiff import tiff
from tests.places import ROOT

RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)

DECODE = """
import os, sys
from PIL import Image
from onnx_cam.errors import ImageError
from onnx_cam.image.decoding import decode, from_pil
from onnx_cam.image.files import read_image
try:
    if sys.argv[2] == "bytes":
        print(decode(read_image(sys.argv[1])).pixels.shape)
    else:
        print(from_pil(Image.open(sys.argv[1])).pixels.shape)
except ImageError as error:
    print(error)
os.write(2, b"still here")
"""


def damaged_tiff(folder: Path, mode: str, compression: str) -> Path:
    """Write a TIFF with 20 bytes of its compressed pixels overwritten."""
    file = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(file, "TIFF", compression=compression)
    content = bytearray(file.getvalue())
    place = len(content) // 3
    content[place : place + 20] = bytes(20)
    path = folder / "damaged.tif"
    path.write_bytes(content)
    return path


def lzw_tiff(folder: Path) -> Path:
    """Write a damaged TIFF that libtiff refuses."""
    return damaged_tiff(folder, "RGB", "tiff_lzw")


def fax_tiff(folder: Path) -> Path:
    """Write a damaged TIFF that libtiff complains of, and decodes."""
    return damaged_tiff(folder, "1", "tiff_ccitt")


def run(path: Path, source: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DECODE, str(path), source]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


@pytest.mark.parametrize("source", ["bytes", "PIL"])
def test_a_damaged_tiff_is_one_error_with_libtiffs_reason_and_nothing_on_standard_error(
    source: str, tmp_path: Path
) -> None:
    result = run(lzw_tiff(tmp_path), source)
    assert "is damaged or cut off: LZWDecode: Not enough data" in result.stdout
    assert result.stdout.count("\n") == 1
    assert result.stderr == "still here"


def test_libtiffs_complaints_about_an_image_that_it_decodes_are_silenced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Image.open(fax_tiff(tmp_path)) as image:
        image.load()
    assert "Fax3DecodeRLE: Bad code word" in capfd.readouterr().err  # without onnx-cam
    result = run(fax_tiff(tmp_path), "bytes")
    assert result.stdout.strip() == "(64, 64, 3)"
    assert result.stderr == "still here"


def test_a_closed_standard_error_is_no_obstacle(tmp_path: Path) -> None:
    script = f"import os; os.close(2){DECODE}".replace('os.write(2, b"still here")', "")
    command = [sys.executable, "-c", script, str(lzw_tiff(tmp_path)), "bytes"]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert "is damaged or cut off" in result.stdout


def test_standard_error_is_restored_after_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), libtiff_messages():
        raise KeyboardInterrupt
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_lines_that_are_not_libtiffs_reach_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with libtiff_messages() as messages:
        os.write(2, b"12 of 20 images\nTIFFReadDirectory: Warning, Unknown field with tag 1 (0x1) encountered.\n")
        os.write(2, b"Fax3Decode1D: Bad code word at line 0 of strip 0 (x 0).\nno newline at the end")
    assert messages == [
        "TIFFReadDirectory: Warning, Unknown field with tag 1 (0x1) encountered",
        "Fax3Decode1D: Bad code word at line 0 of strip 0 (x 0)",
    ]
    assert capfd.readouterr().err == "12 of 20 images\nno newline at the end"


def test_what_pillow_logs_is_not_printed(tmp_path: Path) -> None:
    many_samples = tiff(np.zeros((4, 4, 3), np.uint16), tags={277: [300]})
    (tmp_path / "a.tif").write_bytes(many_samples)
    code = f"""
        from onnx_cam.image.decoding import decode
        from onnx_cam.image.files import read_image
        try:
            decode(read_image({str(tmp_path / "a.tif")!r}))
        except Exception as error:
            print(type(error).__name__)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("ImageError\n", "")
