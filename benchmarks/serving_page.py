"""How long the page of ``onnx-cam serve`` takes from the choice of an image to the first map, and to the chosen one.

    python -m benchmarks.serving_page MODEL IMAGE [--labels imagenet] [--rounds 5]

The browser is Chromium by Playwright (``pip install playwright``), on the same machine. The browser's cache and the
server's sessions are as after the first image, which is not counted.
"""

from __future__ import annotations

import shutil
import time
from typing import Any

import click
import numpy as np

from benchmarks.serving import start

_TIMEOUT = 600_000  # ms


@click.command()
@click.argument("model")
@click.argument("image")
@click.option("--labels", help="As for onnx-cam serve.")
@click.option("--rounds", default=5, show_default=True, help="How often the image is chosen.")
def main(model: str, image: str, labels: str | None, rounds: int) -> None:
    """Choose IMAGE on the page of MODEL's server."""
    from playwright.sync_api import sync_playwright

    process, url = start([model, *(["--labels", labels] if labels else [])])
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(_TIMEOUT)
            page.goto(url)
            page.locator("#settings").wait_for()
            times = np.array([choose(page, image) for _ in range(rounds + 1)][1:])
            browser.close()
    finally:
        process.terminate()
        process.wait(30)
    first, chosen = np.median(times, axis=0)
    print("| | median, s | slowest, s |\n|---|---|---|")
    print(f"| first map | {first:.2f} | {times[:, 0].max():.2f} |")
    print(f"| map by scorecam | {chosen:.2f} | {times[:, 1].max():.2f} |")


def choose(page: Any, image: str) -> tuple[float, float]:
    """Choose an image, and return the seconds until the first map and until the chosen method's."""
    page.evaluate("document.getElementById('file').value = ''")  # so that the same file is a new choice
    started = time.perf_counter()
    page.set_input_files("#file", image)
    page.locator("#maker", has_text="First map").wait_for()
    first = time.perf_counter() - started
    page.locator("#maker", has_text="By scorecam").wait_for()
    return first, time.perf_counter() - started


if __name__ == "__main__":
    main()
