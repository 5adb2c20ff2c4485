"""The program `onnx-cam serve` in a process of its own, and models that take their time or fail."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import helper

from tests import tiny

__all__ = ["CLIENT", "Server", "events_of", "failing_model", "serving", "slow_model", "start"]

CLIENT = httpx.Client(
    trust_env=False,
    timeout=120,
    headers={"Connection": "close"},  # httpcore may otherwise close an idle connection that a thread begins to use
    limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
)
"""What sends the requests; each has a connection of its own."""

_SIZE = 160  # pixels of the slow model's input
_CHANNELS = 48


@dataclass
class Server:
    """A server that runs.

    Attributes
    ----------
    url : str
    process : subprocess.Popen
    said : list of str
        What it printed so far.
    """

    url: str
    process: subprocess.Popen[str]
    said: list[str]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].strip("/"))

    def post(self, path: str, image: bytes | Path, headers: Any = None, **fields: Any) -> httpx.Response:
        content, name = (image, "image.png") if isinstance(image, bytes) else (image.read_bytes(), image.name)
        return CLIENT.post(self.url + path, files={"image": (name, content)}, data=fields, headers=headers or {})

    def explain(self, image: bytes | Path, **fields: Any) -> list[dict[str, Any]]:
        """Return the results of an image."""
        answer = self.post("api/explain", image, **fields)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def rest(self) -> str:
        """Return everything that it printed, once it has ended."""
        assert self.process.stderr is not None
        return "".join(self.said) + self.process.stderr.read()

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def start(*words: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None) -> Server:
    """Start ``onnx-cam serve`` at a free port, and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "onnx_cam", "serve", *map(str, words), "--port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | (environment or {}),
    )
    assert process.stderr is not None
    said = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stderr], [], [], 1)
        line = process.stderr.readline() if ready else ""
        said.append(line)
        if match := re.search(r"serving .* at (http://\S+)", line):
            return Server(match[1], process, said)
        if process.poll() is not None:
            break
    process.kill()
    raise AssertionError(f"the server did not start: {''.join(said)}{process.stderr.read()}")


@contextlib.contextmanager
def serving(*words: str | Path, **settings: Any) -> Iterator[Server]:
    """A server for as long as the context lasts; at its end it has printed no traceback."""
    server = start(*words, **settings)
    try:
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            raise
        assert "Traceback" not in server.rest()


def events_of(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the content of each event of a stream."""
    import json

    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def slow_model(folder: Path) -> Path:
    """Write a model whose forward pass takes some ten milliseconds, so that a map of thousands takes minutes."""
    generator = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return (generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["conv1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("Conv", ["relu1", "w2"], ["conv2"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("GlobalAveragePool", ["relu2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3"], ["logits"], transB=1),
    ]
    proto = tiny.build(
        nodes,
        {"w1": weights(_CHANNELS, 3, 3, 3), "w2": weights(_CHANNELS, _CHANNELS, 3, 3), "w3": weights(5, _CHANNELS)},
        image=["batch", 3, _SIZE, _SIZE],
        outputs=[tiny.value_info("logits", ["batch", 5])],
    )
    return tiny.save(proto, folder, "slow.onnx")


def failing_model(folder: Path) -> Path:
    """Write a model that fails on a bright image: it takes an entry of a list of one at the image's mean."""
    nodes = [
        *tiny.body(),
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Cast", ["mean"], ["position"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["zeros", "position"], ["zero"], axis=0),
        helper.make_node("Add", ["logits", "zero"], ["scores"]),
    ]
    proto = tiny.build(
        nodes,
        {**tiny.weights(), "zeros": np.zeros(1, np.float32)},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("scores", ["batch", tiny.CLASSES])],
    )
    return tiny.save(proto, folder, "failing.onnx")
