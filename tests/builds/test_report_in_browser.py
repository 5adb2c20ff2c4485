"""The report in a browser, at a phone's width and a desk's, in light and dark.

They need Playwright (``pip install playwright``) and a ``chromium`` on the path, and skip without.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.builds.report import write_report
from tests.builds.made import NAMES, noisy, write_build, write_photos

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WIDE = """
[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, svg, .unseen')
  && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    old = write_build(folder, "a_model_with_a_name_that_is_longer_than_a_phone_is_wide.onnx", names=NAMES)
    new = write_build(folder, "new.onnx", names=NAMES, w2=noisy(3.0))
    photos = write_photos(folder / "photos", 8, size=(300, 200))
    write_report(onnx_cam.diff(old, new, str(photos), preprocess="unit", layers=True), folder)
    return folder / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300])
def test_it_fits_loads_nothing_and_follows_the_scheme(browser: Any, report: Path, width: int, scheme: str) -> None:
    context = browser.new_context(offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(WIDE) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 22, 26)"}[scheme]
    verdict = page.locator(".verdict").bounding_box()
    assert verdict["y"] + verdict["height"] < 800  # it is on the first screen
    context.close()
    assert wrong == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_the_keyboard_reaches_everything(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to what changed"
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName"))
    assert (reached.count("A"), reached.count("SUMMARY")) >= (6, 3)
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    page.close()
