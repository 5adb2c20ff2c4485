"""The walk through the code is the way that the command really takes."""

from __future__ import annotations

import re
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from onnx_cam.cli.main import main
from tests.examples import write_example_files
from tests.places import ROOT
from tests.test_packaging import LAYERS

WALK = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
FLOORS = {room: i for i, rooms in enumerate(LAYERS) for room in rooms}


class Function(NamedTuple):
    file: str
    name: str

    @property
    def floor(self) -> int:
        return FLOORS[Path(self.file).parts[1].removesuffix(".py")]


class Call(NamedTuple):
    caller: Function | None
    function: Function


HOPS = [Function(*hop) for hop in re.findall(r"^\| `([\w./]+)` \| `([\w.]+)` \|", WALK, flags=re.MULTILINE)]


@contextmanager
def traced() -> Iterator[list[Call]]:
    """Record every call of the package's functions, with the package's function that it came from."""
    calls: list[Call] = []
    stacks: dict[int, list[Function | None]] = defaultdict(list)  # by thread; None: a function of another package

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        stack = stacks[threading.get_ident()]
        if event == "call":
            path = Path(frame.f_code.co_filename)
            function = None
            if path.is_relative_to(ROOT / "onnx_cam"):
                function = Function(str(path.relative_to(ROOT)), frame.f_code.co_qualname)
                calls.append(Call(next((outer for outer in reversed(stack) if outer), None), function))
            stack.append(function)
        elif event == "return" and stack:
            stack.pop()

    threading.setprofile(profile)  # the command's own threads, too
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Run the command of the document, and return the calls that it made."""
    (command,) = re.findall(r"^ +onnx-cam (.*)$", WALK, flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    write_example_files(tmp_path)
    (tmp_path / "cat.jpg").rename(tmp_path / "img.jpg")
    with traced() as calls:
        result = CliRunner().invoke(main, command.split())
    assert result.exit_code == 0, result.output
    return calls


def test_the_hops_are_taken_in_the_order_of_the_document(calls: list[Call]) -> None:
    assert len(HOPS) > 30
    remaining = iter(call.function for call in calls)
    for hop in HOPS:
        assert hop in remaining, f"{hop} is not called after the hop before it"


def test_calls_go_down_except_for_those_that_the_document_names(calls: list[Call]) -> None:
    upward = {
        call.function
        for call in calls
        if call.caller and call.function.floor < call.caller.floor and call.function.name != "<module>"
    }
    marked = re.findall(r"^\| `([\w./]+)` \| `([\w.]+)` \|.*goes back up\*\*", WALK, flags=re.MULTILINE)
    assert upward == {Function(*hop) for hop in marked}
