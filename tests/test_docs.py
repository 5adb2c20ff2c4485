"""What the documents say is so."""

from __future__ import annotations

import re

import pytest

from onnx_cam.cli.main import main
from onnx_cam.methods import METHODS
from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_documented_with_an_example(command: str) -> None:
    assert f"| `{command}` |" in README
    assert re.search(rf"`onnx-cam {command}\b[^`]*`", README)
    text = main.commands[command].help or ""
    assert re.search(rf"Examples?:\n *onnx-cam {command}", text)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_option_has_a_help_text(command: str) -> None:
    for option in main.commands[command].params:
        if option.param_type_name == "option" and option.name not in ("method", "colormap"):
            assert getattr(option, "help", None), option.name


def test_every_method_and_variant_is_in_the_table() -> None:
    for name, method in METHODS.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
        for variant in method.variants:
            assert f"`{variant}`" in row


def test_the_two_commands_of_a_fresh_machine_are_there() -> None:
    lines = [line.strip() for line in README.splitlines()]
    assert 'pip install ".[cpu,demo]" && onnx-cam demo' in lines
    assert 'pip install ".[cpu,dev]" && pytest' in lines


def test_links_lead_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/evaluation.md"):
        path = ROOT / document
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), target


def test_pictures_that_the_program_made_are_pictures() -> None:
    from PIL import Image

    for path in (ROOT / "docs" / "images").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200


def test_the_changelog_knows_the_version() -> None:
    import onnx_cam

    assert f"## {onnx_cam.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
