"""How long the first map of a process takes, from the shell to the written overlay, for one checkout or more.

    python -m benchmarks.first_map MODEL IMAGE [--checkout before=FOLDER --checkout after=.] [--rounds 15]

Every run is a process of its own, and the checkouts take turns, so that other work on the machine hits all of them
alike. Modules are compiled before, as in an installed package. The first run of a model begins with an empty cache
folder, later ones with what that left there; beside the wall time, which other work changes, stands the time of all
processors, which it changes less. The stages are those of the Python API in another process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from statistics import median

import click

STAGES = """
import json, sys, time
rows = [("start of Python", 0.0, time.process_time())]
began = time.perf_counter()
def ended(stage):
    rows.append((stage, time.perf_counter() - began, time.process_time()))
import onnx_cam
onnx_cam.load, onnx_cam.explain
ended("imports")
model = onnx_cam.load(sys.argv[1])
ended("load")
layer = model.layer()
ended("layers")
picture = model.open_picture(sys.argv[2], model.preprocessing)
ended("image")
result = onnx_cam.explain(model, picture, method="cam")
ended("session and map")
result.save(sys.argv[3])
ended("overlay, map and record")
print(json.dumps(rows))
"""
"""What a process runs to tell its stages: each line adds the time until then."""

Times = tuple[float, float]
"""Wall time and the time of all processors, in seconds."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[Times, str]:
    """Run a command in a process of its own; return how long it took, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), process.stdout


class Checkout:
    """A checkout of onnx-cam, with a cache folder and compiled modules of its own."""

    def __init__(self, name: str, root: Path, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.cache = self.folder / "cache"
        self.folder.mkdir()
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
            "PYTHONPATH": str(root),
            "PYTHONPYCACHEPREFIX": str(folder / "compiled" / name),
            "XDG_CACHE_HOME": str(self.cache),
        }

    def explain(self, model: str, image: str) -> Times:
        """Return how long the command line takes."""
        command = ("explain", model, image, "--method", "cam", "--out", "maps", "--quiet")
        return run((sys.executable, "-m", "onnx_cam", *command), self.environment, self.folder)[0]

    def first(self, model: str, image: str) -> Times:
        """Return how long the command line takes with an empty cache folder."""
        rmtree(self.cache, ignore_errors=True)
        return self.explain(model, image)

    def help(self) -> Times:
        """Return how long ``--help`` takes."""
        return run((sys.executable, "-m", "onnx_cam", "--help"), self.environment, self.folder)[0]

    def stages(self, model: str, image: str) -> dict[str, Times]:
        """Return how long each stage takes."""
        command = (sys.executable, "-c", STAGES, model, image, "maps")
        whole, printed = run(command, self.environment, self.folder)
        times: dict[str, Times] = {}
        last = (0.0, 0.0)
        for stage, wall, processors in json.loads(printed):
            times[stage] = (wall - last[0], processors - last[1])
            last = (wall, processors)
        times["end of Python"] = (whole[0] - last[0], whole[1] - last[1])  # its start counts here, too, on the clock
        return times


def shown(times: Sequence[Times]) -> str:
    """Return medians as text."""
    return f"{median(wall for wall, _ in times):.2f} / {median(processors for _, processors in times):.2f}"


@click.command()
@click.argument("model", type=click.Path(exists=True, resolve_path=True))
@click.argument("image", type=click.Path(exists=True, resolve_path=True))
@click.option("--checkout", "checkouts", multiple=True, metavar="NAME=FOLDER", default=("this=.",), show_default=True)
@click.option("--rounds", default=15, show_default=True, help="How many runs of each kind.")
def main(model: str, image: str, checkouts: tuple[str, ...], rounds: int) -> None:
    """Print medians as Markdown: seconds of wall time / of all processors."""
    figures: dict[tuple[str, str], list[Times]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        pairs = [pair.partition("=")[::2] for pair in checkouts]
        measured = [Checkout(name, Path(root).resolve(), Path(temporary)) for name, root in pairs]
        for checkout in measured:  # compile the modules, and read all files once
            checkout.explain(model, image)
            checkout.stages(model, image)
        for _ in range(rounds):
            for checkout in measured:
                figures["first run", checkout.name].append(checkout.first(model, image))
                figures["later run", checkout.name].append(checkout.explain(model, image))
                figures["`--help`", checkout.name].append(checkout.help())
                for stage, times in checkout.stages(model, image).items():
                    figures[f"later run, {stage}", checkout.name].append(times)
    names = [checkout.name for checkout in measured]
    print(f"| seconds, wall / processors | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in dict.fromkeys(what for what, _ in figures):
        print(f"| {row} | {' | '.join(shown(figures[row, name]) for name in names)} |")


if __name__ == "__main__":
    main()
