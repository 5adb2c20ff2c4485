"""Runs the gallery: the commands and the Python of `docs/gallery.md`, in their order, in the folder `docs/gallery/`.

The page shows the pictures that they write there. Nothing else makes them, and none is kept in the repository, so that
a picture always is what its command gives today.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from onnx_cam.cli.main import main

__all__ = ["FOLDER", "PAGE", "run_gallery", "steps"]

PAGE = Path(__file__).resolve().parents[1] / "gallery.md"
FOLDER = PAGE.with_suffix("")

_BLOCK = re.compile(r"^```(?P<language>python|sh)\n(?P<text>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_NOT_RUN = "pip install "
"""The packages are there already where the gallery is built."""


def steps(text: str) -> Iterator[tuple[str, str]]:
    r"""Yield what a page has its reader do: ``("python", block)`` or ``("sh", command)``.

    Examples
    --------
    >>> list(steps("```sh\nonnx-cam check\nonnx-cam explain model.onnx \\\n    cat.jpg\n```\n"))
    [('sh', 'onnx-cam check'), ('sh', 'onnx-cam explain model.onnx cat.jpg')]
    """
    for block in _BLOCK.finditer(text):
        if block["language"] == "python":
            yield "python", block["text"]
        else:
            for line in re.sub(r"\s*\\\n\s*", " ", block["text"]).splitlines():
                yield "sh", line


def run_gallery() -> int:
    """Make every picture of the gallery, and return how many commands and blocks of Python that took.

    Raises
    ------
    RuntimeError
        A command ended with another exit status than 0; its output is in the message.
    """
    FOLDER.mkdir(exist_ok=True)
    variables: dict[str, object] = {}
    done = 0
    with contextlib.chdir(FOLDER):
        for language, content in steps(PAGE.read_text(encoding="utf-8")):
            if language == "python":
                exec(compile(content, PAGE.name, "exec"), variables)
            elif not content.startswith(_NOT_RUN) and not _is_downloaded(content):
                _run(content)
            done += 1
    return done


def _is_downloaded(command: str) -> bool:
    """Tell whether all wheels that a ``pip download`` fetches are there from an earlier build."""
    wheels = [
        f"{name.replace('-', '_')}-{version}-*.whl" for name, version in re.findall(r"([\w-]+)==([\w.]+)", command)
    ]
    return command.startswith("pip download ") and all(any(Path().glob(wheel)) for wheel in wheels)


def _run(command: str) -> None:
    words, _, file = command.partition(" > ")
    program, *arguments = shlex.split(words)
    if program == "onnx-cam":
        status, output, messages = _run_here(arguments)
    else:
        run = subprocess.run([sys.executable, "-m", program, *arguments], capture_output=True, text=True, check=False)
        status, output, messages = run.returncode, run.stdout, run.stderr
    if status:
        raise RuntimeError(f"'{command}' ended with exit status {status}:\n{output}{messages}")
    if file:
        Path(file.strip()).write_text(output, encoding="utf-8")


def _run_here(arguments: list[str]) -> tuple[int, str, str]:
    """Run an ``onnx-cam`` command in this process, which saves the imports of a new one."""
    with contextlib.redirect_stdout(io.StringIO()):
        result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout, result.stderr
