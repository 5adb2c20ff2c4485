"""The survey's page in a browser: answered, reloaded, saved and scored.

They need Playwright (``pip install playwright``) and a ``chromium`` on the path, and skip without.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onnx_cam.evaluation.survey import Survey, make_survey, score_survey
from tests.evaluation.survey_run import distinct, handmade, noise

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

METHODS = ("scorecam", "sscam2", "layercam")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
BLOCKED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    twin = {"scorecam": noise(1), "sscam2": noise(2), "layercam": 3 * noise(2)}
    run = handmade([*distinct(5, METHODS), twin])
    return make_survey(run, tmp_path_factory.mktemp("survey"), seed=11)


@pytest.fixture
def page(browser: Any, survey: Survey) -> Iterator[Any]:
    """The page, opened from its file, without a network; what goes wrong in it fails the test."""
    context = browser.new_context(offline=True, accept_downloads=True, viewport={"width": 400, "height": 800})
    opened, wrong = context.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else wrong.append(request.url),
    )
    opened.goto(survey.page.as_uri())
    yield opened
    context.close()
    assert wrong == []


def begin(page: Any, name: str) -> None:
    page.get_by_label("Your name, or a code").fill(name)
    page.get_by_role("button", name="Start").click()


def tick(page: Any, item: str, *choices: str) -> None:
    """Go to an image and tick what is given."""
    heading = page.get_by_role("heading", name=f"Image {item} of 6", exact=True)
    while not heading.is_visible():
        page.get_by_role("button", name="Next", exact=True).click()
    for choice in choices:
        name = choice if choice == "Not sure" else f"Map {choice}"
        page.get_by_role("checkbox", name=name, exact=True).check()


def ticked(page: Any, item: str) -> list[str]:
    return [box.get_attribute("value") for box in page.locator(f'input[name="{item}"]:checked').all()]


def save(page: Any, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save answers").click()
    path = folder / str(waiting.value.suggested_filename)
    waiting.value.save_as(path)
    return path


def letter(survey: Survey, item: str, method: str) -> str:
    return next(name for name, methods in survey.key.items[item].maps.items() if method in methods)


def test_two_reviewers_answers_give_the_shares_computed_by_hand(page: Any, survey: Survey, tmp_path: Path) -> None:
    twin = next(number for number, item in survey.key.items.items() if len(item.maps) == 2)
    others = [number for number in survey.key.items if number != twin]

    def answer(number: str, *methods: str) -> None:
        tick(page, number, *({letter(survey, number, method) for method in methods} or ("Not sure",)))

    choices: dict[str, tuple[tuple[str, ...], ...]] = {
        "Ada": (("scorecam",), ("scorecam", "sscam2"), (), ("layercam",), METHODS),
        "Bob B.": (("scorecam",), ("sscam2",), (), ("layercam",)),  # and leaves the fifth open
    }
    on_twin = {"Ada": ("sscam2",), "Bob B.": ("scorecam",)}
    files = []
    for name, chosen in choices.items():
        begin(page, name)
        of_item = dict(zip(others, chosen, strict=False)) | {twin: on_twin[name]}
        for number in sorted(of_item):
            answer(number, *of_item[number])
            if number == "3":
                page.reload()
                assert page.get_by_role("heading", name="Image 3 of 6").is_visible()
        files.append(save(page, tmp_path))
        page.get_by_role("button", name="Change").click()
    assert [file.name for file in files] == [
        f"answers-{survey.key.survey}-Ada.json",
        f"answers-{survey.key.survey}-Bob-B-.json",
    ]

    score = score_survey(survey.page.parent, files)
    # Ada: 1 to scorecam; 1/2 to scorecam and sscam2; not sure; 1 to layercam; 1/3 to each; and of the map that is
    # sscam2's and layercam's, 1/2 to each. Bob: 1 to scorecam, sscam2 and layercam; not sure; 1 to scorecam.
    sums = {
        "scorecam": (1 + 1 / 2 + 1 / 3) + 2,
        "sscam2": (1 / 2 + 1 / 3 + 1 / 2) + 1,
        "layercam": (1 + 1 / 3 + 1 / 2) + 1,
    }
    assert {name: share.value for name, share in score.shares.items()} == pytest.approx(
        {name: total / 11 for name, total in sums.items()}
    )
    assert {name: share.value for name, share in score.sure_shares.items()} == pytest.approx(
        {name: total / 9 for name, total in sums.items()}
    )
    assert score.not_sure.value == pytest.approx(2 / 11)
    assert (score.answers, score.unanswered, [r.name for r in score.reviewers]) == (11, 1, ["Ada", "Bob B."])
    assert score.agreement is not None
    # Images that both answered: the same; 1/2; the same; the same; nothing in common.
    assert score.agreement.overlap == pytest.approx((1 + 1 / 2 + 1 + 1 + 0) / 5)


def test_a_saved_file_brings_the_answers_to_another_browser(
    page: Any, browser: Any, survey: Survey, tmp_path: Path
) -> None:
    begin(page, "Ada")
    tick(page, "1", "A")
    tick(page, "2", "Not sure")
    saved = save(page, tmp_path)
    elsewhere = browser.new_page()
    elsewhere.goto(survey.page.as_uri())
    elsewhere.get_by_label("continue from a file").set_input_files(saved)
    elsewhere.get_by_role("heading", name="Image 3 of 6").wait_for()  # the first without an answer
    assert (ticked(elsewhere, "1"), ticked(elsewhere, "2")) == (["A"], ["not sure"])
    assert "Loaded 2 answers by Ada" in elsewhere.get_by_role("status").inner_text()
    elsewhere.reload()
    assert ticked(elsewhere, "1") == ["A"]
    elsewhere.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"survey": "feed"}, "it belongs to another survey"),
        ({"version": 9}, "it was saved by another version"),
        ({"reviewer": ""}, "it does not name a reviewer"),
        (None, "cannot be loaded"),
    ],
)
def test_a_file_of_no_use_is_refused_and_changes_nothing(
    change: dict[str, Any] | None, message: str, page: Any, survey: Survey, tmp_path: Path
) -> None:
    content = {"version": 1, "survey": survey.key.survey, "reviewer": "Ada", "answers": {"1": ["A"]}}
    path = tmp_path / "file.json"
    path.write_text("{" if change is None else json.dumps({**content, **change}))
    page.get_by_label("continue from a file").set_input_files(path)
    page.get_by_role("alert").wait_for()
    assert message in page.get_by_role("alert").inner_text()
    assert page.get_by_role("button", name="Start").is_visible()


@pytest.mark.parametrize("obstacle", [BLOCKED, FULL])
def test_where_nothing_can_be_kept_the_page_says_so_and_still_saves(
    obstacle: str, page: Any, survey: Survey, tmp_path: Path
) -> None:
    page.add_init_script(obstacle)
    page.reload()
    begin(page, "Ada")
    tick(page, "1", "A")
    assert "does not keep your answers" in page.get_by_role("alert").inner_text()
    asked = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.reload()
    assert asked == ["beforeunload"]
    begin(page, "Ada")
    assert ticked(page, "1") == []
    tick(page, "1", "B")
    assert json.loads(save(page, tmp_path).read_text())["answers"] == {"1": ["B"]}


def test_what_another_window_answers_is_not_lost(page: Any, survey: Survey) -> None:
    begin(page, "Ada")
    tick(page, "1", "A")
    other = page.context.new_page()
    other.goto(survey.page.as_uri())
    tick(other, "2", "B")
    tick(page, "3", "A")
    page.reload()
    assert [ticked(page, item) for item in "123"] == [["A"], ["B"], ["A"]]


def test_kept_answers_that_are_damaged_are_told(page: Any, survey: Survey) -> None:
    page.evaluate(f"localStorage.setItem('map-survey-{survey.key.survey}', '{{broken')")
    page.reload()
    assert "cannot be read" in page.get_by_role("alert").inner_text()
    assert page.evaluate(f"localStorage.getItem('map-survey-{survey.key.survey}-damaged')") == "{broken"


def test_the_keyboard_alone_is_enough(page: Any, survey: Survey) -> None:
    page.keyboard.press("Tab")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowRight", "Space", "ArrowLeft", "Space", "Enter"):
        page.keyboard.press(key)
    assert ticked(page, "1") == ["A", "B"]
    assert page.get_by_role("heading", name="Image 2 of 6").is_visible()
    for key in ("ArrowRight", "ArrowLeft", "Space"):  # round to the last choice
        page.keyboard.press(key)
    assert ticked(page, "2") == ["not sure"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert ticked(page, "2") == ["A"]  # a map and "not sure" exclude each other
    assert page.get_by_text("2 of 6 answered").is_visible()


@pytest.mark.parametrize("width", [320, 400, 1300])
def test_the_page_fits_its_window(width: int, page: Any) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    begin(page, "Ada")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("section:visible img").first.bounding_box()["width"] > 100


def test_every_choice_has_a_name_and_the_group_its_question(page: Any) -> None:
    begin(page, "Ada")
    group = page.get_by_role("group", name="Which map best explains why the program sees")
    assert group.count() == 1
    names = [label.inner_text().strip() for label in group.locator("label").all()]
    assert names[-1] == "Not sure"
    assert names[:2] == ["Map A", "Map B"]
    assert page.locator("img:not([alt])").count() == 0
