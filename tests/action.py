"""The GitHub action taken apart: its inputs, and its steps with their scripts."""

from __future__ import annotations

import re
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
    """Parse the file: its block scalars are taken out first, as our reader of YAML refuses them."""
    scripts: list[str] = []

    def take_out(match: re.Match[str]) -> str:
        lines = match["body"].splitlines()
        width = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        scripts.append("\n".join(line[width:] for line in lines) + "\n")
        return f"{match['indent']}run: {len(scripts) - 1}\n"

    parsed = parse_yaml(_quote_expressions(_SCRIPT.sub(take_out, text)))
    assert isinstance(parsed, dict)
    for step in parsed["runs"]["steps"]:
        if "run" in step:
            step["run"] = scripts[step["run"]]
    return Action(parsed)


def _quote_expressions(text: str) -> str:
    """Quote values with an expression, whose braces YAML itself allows in a plain scalar."""
    return re.sub(r": (\$\{\{.*\}\})$", lambda match: f': "{match[1]}"', text, flags=re.MULTILINE)
