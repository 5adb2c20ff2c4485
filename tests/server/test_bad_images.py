"""Each bad image is refused by HTTP with the command line's own line."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from onnx_cam.cli.main import main
from tests.server.serving import CLIENT, Server

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def cut(kind: str, share: float) -> Callable[[], bytes]:
    return lambda: encoded(NOISE, kind)[: int(share * len(encoded(NOISE, kind)))]


def animation() -> bytes:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 100, 200)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    """A PNG file that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def flipped_bits() -> bytes:
    content = bytearray(encoded(NOISE, "PNG"))
    content[len(content) // 2] ^= 255
    return bytes(content)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12345\n" % (b"0" * 64)
BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("empty.jpg", lambda: b""),
    "one byte": ("one.jpg", lambda: b"\xff"),
    "text": ("notes.txt", lambda: b"not an image\n" * 50),
    "html": ("page.png", lambda: b"<!DOCTYPE html><html><body>404</body></html>"),
    "pdf": ("scan.pdf", lambda: b"%PDF-1.7\n" + bytes(100)),
    "zip": ("photos.zip", lambda: b"PK\x03\x04" + bytes(100)),
    "svg": ("icon.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "random": ("random.png", lambda: np.random.default_rng(0).bytes(5000)),
    "pointer": ("lfs.jpg", lambda: POINTER),
    "animation": ("moving.gif", animation),
    "float pixels": ("depth.tiff", lambda: encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF")),
    "one pixel": ("dot.png", lambda: encoded(Image.new("RGB", (1, 1)), "PNG")),
    "bomb": ("bomb.png", bomb),
    "flipped bits": ("bits.png", flipped_bits),
    **{
        f"cut off {kind}": (f"cut.{kind.lower()}", cut(kind, 0.6))
        for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
    },
    "name of two lines": ("two\u2028lines.jpg", lambda: b"x"),
}


@pytest.mark.parametrize("kind", BAD)
def test_the_line_is_that_of_the_command_line(
    kind: str, server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, make = BAD[kind]
    content = make()
    answer = CLIENT.post(server.url + "api/explain", files={"image": (name, content)}, timeout=60)
    assert answer.status_code == 422, answer.text
    line = answer.json()["error"]
    assert "\n" not in line
    assert "Traceback" not in line
    # The same file on a command line.
    monkeypatch.chdir(tmp_path)
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    Path(shown).write_bytes(content)
    done = CliRunner().invoke(main, ["explain", str(folder / "model.onnx"), shown, "--quiet"])
    assert done.exit_code == 1
    assert done.stderr == f"onnx-cam: error: {line}{os.linesep}"
    # And the server goes on.
    assert server.post("api/predict", folder / "cat.jpg").status_code == 200
