"""The page in a browser: its whole story, at a phone's width and a desk's, in light and dark.

They need Playwright (``pip install playwright``) and a ``chromium`` on the path, and skip without.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from tests.server.conftest import photo_of
from tests.server.serving import Server, serving

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
NAMELESS = """
[...document.querySelectorAll('input, select, button, canvas[role], [tabindex="0"], video')].filter(one =>
  !one.closest('[aria-hidden="true"]') && !one.labels?.length && !one.ariaLabel && !one.textContent.trim()
  && one.id !== 'video').map(one => one.outerHTML)
"""
WIDE = """
[...document.querySelectorAll('main *, header *')].filter(one => !one.closest('.unseen, .class, option')
  && !one.matches('.unseen') && one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => one.outerHTML.slice(0, 80))
"""
CONTRASTS = """
() => {
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const texts = 'h1, h2, p, label, button, dt, dd, a, figcaption span, summary, pre, select, .faint';
  return [...document.querySelectorAll(texts)]
    .filter(one => one.offsetParent && one.textContent.trim() && !one.closest('.unseen, [aria-hidden="true"]'))
    .map(one => {
      const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))];
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), one.outerHTML.slice(0, 60)];
    }).sort((x, y) => x[0] - y[0])[0];
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


class Opened:
    """A page, with what goes wrong in it and what it asks for."""

    def __init__(self, browser: Any, url: str, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **settings})
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.addresses: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "console", lambda message: self.wrong.append(message.text) if message.type in ("error", "warning") else None
        )
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.goto(url)

    def choose(self, image: Path) -> None:
        self.page.locator("#settings").wait_for()
        self.page.set_input_files("#file", image)

    def wait_for_map(self, method: str) -> None:
        self.page.locator("#maker", has_text=f"By {method}").wait_for()


@pytest.fixture
def opened(browser: Any, server: Server) -> Iterator[Opened]:
    page = Opened(browser, server.url, accept_downloads=True)
    page.page.set_default_timeout(60_000)
    yield page
    page.context.close()
    assert page.wrong == []
    assert [one for one in page.addresses if not one.startswith((server.url, "blob:"))] == []


def test_the_whole_story(opened: Opened, server: Server, folder: Path, tmp_path: Path) -> None:
    page = opened.page
    expected = onnx_cam.explain(folder / "model.onnx", folder / "cat.jpg")
    assert isinstance(expected, onnx_cam.Explanation)
    # An image comes in: a first map by the cheapest method, then the chosen one.
    opened.choose(folder / "cat.jpg")
    opened.wait_for_map("scorecam paper")
    methods = [request for request in opened.addresses if request.endswith("api/explain")]
    assert len(methods) == 2
    assert page.locator("#subject").inner_text() == "Why cat (1)?"
    # The likeliest classes with their bars.
    names = page.locator("#top .class .name").all_inner_texts()
    assert names == ["cat (1)", "fish (2)", "dog (3)", "bird (0)"]
    widths = [float(one.evaluate("one => one.style.width").rstrip("%")) for one in page.locator("#top .share").all()]
    assert widths == pytest.approx([100 * target.score for target in expected.top], abs=0.01)
    # The value at a point: by the mouse, and by the arrow keys.
    frame, readout = page.locator("#frame"), page.locator("#value")
    box = frame.bounding_box()
    frame.hover(position={"x": box["width"] * 20.5 / 48, "y": box["height"] * 15.5 / 36})
    assert readout.inner_text() == f"Value {expected.map[15, 20]:.2f} at 20, 15"
    frame.hover(position={"x": 2, "y": 2})
    assert readout.inner_text() == "The network does not see this point, at 0, 0."
    frame.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(14):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    assert readout.inner_text() == f"Value {expected.map[14, 15]:.2f} at 15, 14"
    page.keyboard.press("Escape")
    # Opacity, colours, and the image beside the map.
    page.locator("#opacity").fill("80")
    assert page.locator("#heat").evaluate("one => getComputedStyle(one).opacity") == "0.8"
    page.get_by_label("Side by side", exact=True).check()
    assert page.get_by_role("img", name="The image without the map").is_visible()
    page.get_by_label("Colours", exact=True).select_option("viridis")
    # What is drawn is the overlay: the image's pixel and the map's colour, at 80 %.
    drawn = page.locator("#heat").evaluate("one => [...one.getContext('2d').getImageData(20, 15, 1, 1).data]")
    overlay = expected.overlay(1.0, "viridis")[15, 20]
    np.testing.assert_allclose(drawn[:3], overlay, atol=1)
    # Files, and the command that makes them.
    downloads = {}
    for label in ("PNG", "npy", "JSON"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"Download {label}", exact=True).click()
        downloads[label] = tmp_path / str(waiting.value.suggested_filename)
        waiting.value.save_as(downloads[label])
    assert {path.name for path in downloads.values()} == {
        f"cat_scorecam-paper_1-cat.{end}" for end in ("png", "npy", "json")
    }
    np.testing.assert_array_equal(np.load(downloads["npy"]), expected.map)
    from onnx_cam.drawing.overlay import encode_png

    assert downloads["PNG"].read_bytes() == encode_png(expected.overlay(0.8, "viridis"))
    record = json.loads(downloads["JSON"].read_text(encoding="utf-8"))
    assert record["image_sha256"] == hashlib.sha256((folder / "cat.jpg").read_bytes()).hexdigest()
    assert page.locator("#command").inner_text() == "onnx-cam explain model.onnx cat.jpg --method scorecam --target 1"


def test_another_class_method_layer_and_budget(opened: Opened, folder: Path) -> None:
    page = opened.page
    opened.choose(folder / "cat.jpg")
    opened.wait_for_map("scorecam")
    page.locator("[data-key='explain 3']").click()
    page.locator("#subject", has_text="Why dog (3)?").wait_for()
    opened.wait_for_map("scorecam")
    assert page.locator("[data-key='explain 3']").get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.textContent").startswith("dog (3)")  # the focus stays
    # A second class, for the contrast, and back.
    page.get_by_role("button", name="Why dog (3) rather than cat (1)?").click()
    page.locator("#subject", has_text="Why dog (3) rather than cat (1)?").wait_for()
    opened.wait_for_map("scorecam")
    assert page.locator("#command").inner_text().endswith("--method scorecam --target 3 --versus 1")
    page.get_by_role("button", name="Why dog (3) rather than cat (1)?").click()
    page.locator("#subject").get_by_text("Why dog (3)?", exact=True).wait_for()
    page.get_by_label("Method", exact=True).select_option("sscam2")
    opened.wait_for_map("sscam2 range")
    page.get_by_label("Variant", exact=True).select_option("authors")  # the map of range is empty here
    opened.wait_for_map("sscam2 authors")
    # A map with noise has error bars.
    assert "Relative error" in page.locator("#precision").inner_text()
    assert page.locator("#interval").evaluate("one => parseFloat(one.style.width) > 0")
    page.get_by_label("Standard deviation", exact=True).check()
    page.locator("#frame").hover()
    assert " ± 0." in page.locator("#value").inner_text()
    page.get_by_label("Layer", exact=True).select_option("relu1")
    page.locator("#facts", has_text="relu1, 6×10×10").wait_for()
    page.get_by_label("Budget").fill("50 %")
    page.get_by_label("Budget").press("Enter")
    page.locator("#command", has_text="--budget 0.5").or_(page.locator("#command", has_text="--budget 50%")).wait_for()
    # A class by its name, and one that there is not.
    page.get_by_label("Another class").fill("fish")
    page.get_by_label("Another class").press("Enter")
    page.locator("#subject", has_text="Why fish (2)?").wait_for()
    page.get_by_label("Another class").fill("dogs")
    page.get_by_label("Another class").press("Enter")
    page.locator("#alert", has_text="no class named 'dogs'; did you mean 'dog'?").wait_for()
    opened.wrong.clear()  # the browser reports the refusals by itself


def test_an_image_that_cannot_be_read_is_told_and_the_next_one_works(opened: Opened, folder: Path) -> None:
    opened.choose(folder / "labels.txt")
    opened.page.locator("#alert", has_text="'labels.txt' is not an image that can be read").wait_for()
    assert opened.page.locator("#alert").get_attribute("role") == "alert"
    opened.wrong.clear()
    opened.choose(folder / "dog.jpg")
    opened.wait_for_map("scorecam")
    assert opened.page.locator("#alert").is_hidden()


FOCUSED = """
[document.activeElement].map(one => one.id || one.dataset?.key || one.className || one.textContent)[0]
"""
PUT = """
async ([kind, base64]) => {
  const bytes = Uint8Array.from(atob(base64), one => one.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], 'put.png', {type: 'image/png'}));
  const event = kind === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true})
    : new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
}
"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_an_image_can_be_pasted_and_dropped(kind: str, opened: Opened) -> None:
    import base64

    opened.page.locator("#settings").wait_for()
    opened.page.evaluate(PUT, [kind, base64.b64encode(photo_of(3)).decode()])
    opened.wait_for_map("scorecam")
    assert "put.png" in opened.page.locator("#command").inner_text()


def test_a_picture_can_be_taken_with_the_camera(opened: Opened) -> None:
    page = opened.page
    page.locator("#settings").wait_for()
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("dialog", name="Camera").wait_for()
    page.wait_for_timeout(1000)  # the fake camera needs a moment
    page.get_by_role("button", name="Take the picture").click()
    opened.wait_for_map("scorecam")
    assert "camera.png" in page.locator("#command").inner_text()


def test_a_phone_is_offered_its_own_camera(browser: Any, server: Server) -> None:
    phone = Opened(browser, server.url, viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    phone.page.locator("#settings").wait_for()
    with phone.page.expect_file_chooser() as chooser:
        phone.page.get_by_role("button", name="Use the camera").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    phone.context.close()


def test_cancel_cancels(browser: Any, slow: Server, tmp_path: Path) -> None:
    """Two browsers at once: the server works for neither after that."""
    (tmp_path / "photo.png").write_bytes(photo_of(0))
    both = [Opened(browser, slow.url) for _ in range(2)]
    for one in both:
        one.page.set_default_timeout(60_000)
        one.page.locator("#settings").wait_for()
        one.page.get_by_label("Method", exact=True).select_option("sscam1")
        one.page.locator("#more summary").click()
        one.page.get_by_label("Samples N", exact=True).fill("40")
        one.choose(tmp_path / "photo.png")
    both[0].page.locator("#passes", has_text="forward passes").wait_for()
    both[0].page.locator("#passes", has_text=" left").wait_for()
    both[1].page.locator("#passes", has_text="before this one").wait_for()
    assert both[0].page.locator("#bar").evaluate("bar => bar.position") > 0
    for one in both:
        one.page.get_by_role("button", name="Cancel").click()
    for one in both:
        one.page.locator("#progress").wait_for(state="hidden")
    assert "cancelled" in both[0].page.locator("#maker").inner_text()
    assert both[0].page.locator("#announcer").inner_text() == "Cancelled."
    assert slow.post("api/predict", photo_of(1)).status_code == 200
    for one in both:
        assert one.wrong == []
        one.context.close()


def test_the_page_asks_for_the_token(browser: Any, folder: Path) -> None:
    with serving("model.onnx", "--token", "let-me-in", cwd=folder) as running:
        opened = Opened(browser, running.url)
        page = opened.page
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        page.locator("#alert", has_text="the token is wrong").wait_for()
        page.get_by_label("Token", exact=True).fill("let-me-in")
        page.keyboard.press("Enter")
        page.locator("#model", has_text="model.onnx").wait_for()
        opened.choose(folder / "cat.jpg")
        opened.wait_for_map("scorecam")
        page.reload()  # this tab remembers it
        page.locator("#model", has_text="model.onnx").wait_for()
        assert page.evaluate("document.cookie") == ""
        opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300])
def test_it_fits_and_can_be_read(browser: Any, server: Server, folder: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, server.url, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = opened.page
    opened.choose(folder / "cat.jpg")
    page.get_by_label("Method", exact=True).select_option("sscam2")
    opened.wait_for_map("sscam2")
    page.locator("#more summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(WIDE) == []
    assert page.evaluate(NAMELESS) == []
    ratio, where = page.evaluate(CONTRASTS)
    assert ratio >= 4.5, where
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    opened.context.close()
    assert opened.wrong == []


def test_everything_can_be_reached_by_the_keyboard(opened: Opened, folder: Path) -> None:
    opened.choose(folder / "cat.jpg")
    opened.wait_for_map("scorecam")
    page = opened.page
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate(FOCUSED)
        if name in seen:
            break
        seen.append(name)
    order = ["skip", "camera", "file", "frame", "opacity", "colormap", "beside", "explain 1", "explain 2", "contrast 2"]
    order += ["other-class", "method", "layer", "budget", "explain", "command", "copy", "api"]
    assert [name for name in seen if name in order] == order
