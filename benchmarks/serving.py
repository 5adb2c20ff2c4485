"""The server under load: requests a second, times, memory, and whether anything is lost or mixed up.

    python -m benchmarks.serving MODEL [--clients 50] [--requests 200] [--method gradcam] [--labels imagenet]

It starts ``onnx-cam serve`` in a process of its own, on loopback. Every request has an image of its own, and the hash
in its answer must be that of the image that was sent; a request that is told to come back later does so. Health checks
are sent meanwhile: the event loop must stay free while the model works.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
from PIL import Image

_SIDES = (320, 640)  # pixels of the photos' sides
_WAIT = 120.0  # seconds

COLUMNS = (
    *("round", "requests/s", "median, s", "99th percentile, s", "told to wait", "right answers"),
    *("slowest health check, s", "memory, MiB"),
)
"""Of the table that is printed."""


@dataclass(frozen=True)
class Answered:
    """What became of a request.

    Attributes
    ----------
    seconds : float
        From the first try to the answer.
    retries : int
        How often it was told to come back later.
    is_right : bool
        Whether the answer is that of its image.
    """

    seconds: float
    retries: int
    is_right: bool


def photo(seed: int) -> bytes:
    """Return a JPEG file, a different one for each seed: smooth noise of the size of a photo."""
    generator = np.random.default_rng(seed)
    width, height = generator.integers(*_SIDES, 2)
    coarse = generator.integers(0, 256, (9, 12, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def start(words: Sequence[str]) -> tuple[subprocess.Popen[str], str]:
    """Start a server; return its process and its address once it answers."""
    command = [sys.executable, "-m", "onnx_cam", "serve", *words, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r" at (http://\S+)", line):
            return process, match[1]
    raise SystemExit("the server did not start")


def memory(process: subprocess.Popen[str], field: str = "VmRSS") -> float:
    """Return a process's memory in MiB: that which it has, or with ``VmHWM`` the most that it had."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    match = re.search(rf"{field}:\s*(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024


@dataclass(frozen=True)
class Load:
    """What asks a server.

    Attributes
    ----------
    client : httpx.Client
    url : str
    method : str
    clients : int
        Requests at once.
    """

    client: httpx.Client
    url: str
    method: str
    clients: int

    def ask(self, image: bytes) -> Answered:
        """Send one request until it is answered."""
        started, retries = time.perf_counter(), 0
        form = {"method": self.method}
        while True:
            answer = self.client.post(self.url + "api/explain", files={"image": ("photo.jpg", image)}, data=form)
            if answer.status_code != 429:
                break
            retries += 1
            time.sleep(float(answer.headers["retry-after"]))
        answer.raise_for_status()
        (result,) = answer.json()["results"]
        is_right = result["image_sha256"] == hashlib.sha256(image).hexdigest() and result["method"] == self.method
        return Answered(time.perf_counter() - started, retries, is_right)

    def health_times(self, stop: threading.Event) -> list[float]:
        """Return how long health checks took until it is told to stop."""
        times = []
        while not stop.wait(0.05):
            started = time.perf_counter()
            self.client.get(self.url + "health").raise_for_status()
            times.append(time.perf_counter() - started)
        return times

    def round(self, images: Sequence[bytes]) -> list[str]:
        """Send all images, and return the cells of a row."""
        stop = threading.Event()
        with ThreadPoolExecutor(self.clients + 1) as pool:
            health = pool.submit(self.health_times, stop)
            started = time.perf_counter()
            answers = list(pool.map(self.ask, images))
            seconds = time.perf_counter() - started
            stop.set()
        times = [answer.seconds for answer in answers]
        return [
            f"{len(images) / seconds:.1f}",
            f"{np.median(times):.2f}",
            f"{np.percentile(times, 99):.2f}",
            f"{sum(answer.retries for answer in answers)}",
            f"{sum(answer.is_right for answer in answers)} of {len(images)}",
            f"{max(health.result()):.2f}",
        ]


@click.command()
@click.argument("model")
@click.option("--clients", default=50, show_default=True, help="Requests at once.")
@click.option("--requests", "count", default=200, show_default=True, help="Requests in all.")
@click.option("--method", default="gradcam", show_default=True, help="Method of the maps.")
@click.option("--rounds", default=3, show_default=True, help="How often all of that is repeated.")
@click.option("--labels", help="As for onnx-cam serve.")
def main(model: str, labels: str | None, **settings: Any) -> None:
    """Put MODEL's server under load."""
    images = [photo(seed) for seed in range(settings["count"])]
    process, url = start([model, *(["--labels", labels] if labels else [])])
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings["clients"])
    try:
        with httpx.Client(trust_env=False, timeout=_WAIT, limits=limits) as client:
            load = Load(client, url, settings["method"], settings["clients"])
            load.ask(images[0])
            print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
            print(f"| before |{' |' * 6} {memory(process):.0f} |")
            for number in range(1, settings["rounds"] + 1):
                print(f"| {number} | {' | '.join(load.round(images))} | {memory(process):.0f} |", flush=True)
            alone = np.median([load.ask(image).seconds for image in images[:10]])
            print(
                f"\nThe most memory at any time: {memory(process, 'VmHWM'):.0f} MiB. One request alone: {alone:.3f} s."
            )
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
