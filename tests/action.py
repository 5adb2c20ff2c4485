"""The GitHub action and the workflows taken apart: inputs, jobs, and steps with their scripts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.image.configurations.yaml_subset import parse_yaml

_SCRIPT = re.compile(r"^(?P<indent> *)run: \|\n(?P<body>(?:(?P=indent) +.*\n|\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Action:
    """The parsed file; each step's ``run`` holds its script."""

    content: dict[str, Any]

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The steps by their names."""
        return {step["name"]: step for step in self.content["runs"]["steps"]}


def read_action(text: str) -> Action:
    """Parse the action's file."""
    return Action(read_yaml(text))


def read_yaml(text: str) -> dict[str, Any]:
    """Parse an action or a workflow: block scalars are taken out first, as our reader of YAML refuses them."""
    scripts: list[str] = []

    def take_out(match: re.Match[str]) -> str:
        lines = match["body"].splitlines()
        width = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        scripts.append("\n".join(line[width:] for line in lines) + "\n")
        return f"{match['indent']}run: {len(scripts) - 1}\n"

    parsed = parse_yaml(_quote_expressions(_SCRIPT.sub(take_out, text)))
    assert isinstance(parsed, dict)
    _put_back(parsed, scripts)
    return parsed


def _put_back(parsed: object, scripts: Sequence[str]) -> None:
    """Put the scripts in the place of their numbers."""
    if isinstance(parsed, dict):
        if isinstance(parsed.get("run"), int):
            parsed["run"] = scripts[parsed["run"]]
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        for part in parsed:
            _put_back(part, scripts)


def _quote_expressions(text: str) -> str:
    """Quote values with an expression, whose braces YAML itself allows in a plain scalar."""
    return re.sub(r": (\$\{\{.*\}\})$", lambda match: f': "{match[1]}"', text, flags=re.MULTILINE)
