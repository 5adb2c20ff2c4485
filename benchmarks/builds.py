"""Two builds compared: which planted defects the gates find, which harmless rebuilds they accept, and their power.

    python -m benchmarks.builds MODEL ../shared/images [--preprocess imagenet]

Of the photos 24 are compared, six of them of one class, which the shortcut leads to; crops and flips of the others
calibrate the quantized builds. A defect is strong where it flips 25 % of the predictions or moves the maps by four
noise floors: such a defect must fail a gate, and no harmless rebuild may. The power curve is how often a gate fails for
noise of one strength on one convolution, over seeds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import click

import onnx_cam
from benchmarks.made_builds.defects import DEFECTS, noisy_convolution
from benchmarks.made_builds.original import Build, Make, Original, choose_photos, edited
from benchmarks.made_builds.rebuilds import REBUILDS
from benchmarks.versions import versions_line
from onnx_cam.builds.gates import DEFAULT_GATES, judge, read_gates
from onnx_cam.metrics.interval import Interval

HOT_DOG = 934  # the class of six of the photos
STRONG_FLIPS, STRONG_MAPS = 0.25, 4.0
FLIP_LIMITS, MAP_LIMITS = (0.02, 0.05, 0.1, 0.2), (2.0, 2.5, 3.0, 4.0, 5.0)
PLACES = {"early": 0.1, "middle": 0.5, "late": 0.95}
NOISES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)

Figures = Mapping[str, Interval]


@dataclass(frozen=True)
class Row:
    """What a comparison with one build gave."""

    name: str
    figures: Figures

    def value(self, figure: str) -> float:
        """Return a figure's value."""
        value = self.figures[figure].value
        assert value is not None
        return value

    @property
    def is_strong(self) -> bool:
        """Whether a gate must fail for this defect."""
        return self.value("flips") >= STRONG_FLIPS or self.value("maps") >= STRONG_MAPS

    def failed(self, gates: Sequence[str] = DEFAULT_GATES) -> list[str]:
        """Return the gates that fail."""
        return [one.gate.text for one in judge(read_gates(gates), self.figures) if one.failed]

    def __str__(self) -> str:
        maps = self.figures["maps"]
        failed = ", ".join(f"`{gate}`" for gate in self.failed()) or "none"
        cells = (
            self.name,
            f"{100 * self.value('flips'):.0f} %",
            f"{100 * self.value('drift'):.1f} %",
            f"{self.value('map_distance'):.3f}",
            f"{self.value('maps'):.2f} ({maps.low:.2f} to {maps.high:.2f})",
            f"{100 * self.value('changed'):.0f} %",
            failed,
        )
        return f"| {' | '.join(cells)} |"


class Bench:
    """An original and its photos; builds of it are made, compared with it, and thrown away."""

    def __init__(self, model: str, images: Path, preprocess: str, folder: Path) -> None:
        self.folder = folder
        self.photos, calibration = choose_photos(images, folder)
        loaded = onnx_cam.load(model, device="cpu", preprocess=preprocess)
        assert loaded.preprocessing is not None
        self.original = Original(Path(model), loaded.preprocessing, calibration, HOT_DOG)
        # The old side is the same each time.
        self.baseline = folder / "old.baseline"
        onnx_cam.save_baseline(loaded, self.photos, self.baseline)

    def row(self, name: str, make: Make) -> Row:
        """Make a build and compare it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            build: Build = make(self.original, Path(folder) / "new.onnx")
            preprocessing = build.preprocessing or self.original.preprocessing
            result = onnx_cam.diff(self.baseline, build.path, self.photos, new_preprocess=preprocessing)
        return Row(name, result.figures)

    def rows(self, makes: Mapping[str, Make]) -> Iterator[Row]:
        """Compare builds, and print each line as it comes."""
        print(
            "\n| build | flips | drift | d | d / floor | changed | gates that failed |\n|---|---|---|---|---|---|---|"
        )
        for name, make in makes.items():
            row = self.row(name, make)
            print(row, flush=True)
            yield row


def judge_limits(defects: Sequence[Row], rebuilds: Sequence[Row]) -> None:
    """Print how many strong defects are found, all defects, and false alarms, for other limits of the gates."""
    strong = [row for row in defects if row.is_strong]
    print("\n| flips above | maps above | strong defects found | all found | false alarms |\n|---|---|---|---|---|")
    for flips, maps in product(FLIP_LIMITS, MAP_LIMITS):
        gates = (f"flips>{flips}", f"maps>{maps}")
        found = [sum(bool(row.failed(gates)) for row in rows) for rows in (strong, defects, rebuilds)]
        print(
            f"| {100 * flips:.0f} % | {maps:g} | {found[0]} of {len(strong)} | {found[1]} of {len(defects)} "
            f"| {found[2]} of {len(rebuilds)} |"
        )


def power(bench: Bench, seeds: int) -> None:
    """Print how often a gate fails for noise on a convolution, with the median figures."""
    print(f"\n| convolution | noise | flips | d / floor | a gate failed, of {seeds} |\n|---|---|---|---|---|")
    for (name, place), noise in product(PLACES.items(), NOISES):
        rows = [
            bench.row(name, edited(partial(noisy_convolution, place=place, noise=noise, seed=seed)))
            for seed in range(seeds)
        ]
        flips, maps = (median(row.value(figure) for row in rows) for figure in ("flips", "maps"))
        failed = sum(bool(row.failed()) for row in rows)
        print(f"| {name} | {100 * noise:.0f} % | {100 * flips:.0f} % | {maps:.2f} | {failed} |", flush=True)


@click.command()
@click.argument("model", type=click.Path(exists=True))
@click.argument("images", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--preprocess", default="auto", show_default=True, help="How the original is preprocessed.")
@click.option("--seeds", default=5, show_default=True, help="Noises of each strength on each convolution; 0: no curve.")
def main(model: str, images: Path, preprocess: str, seeds: int) -> None:
    """Print the matrix, other limits of the gates, and the power curve as Markdown."""
    print(versions_line())
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(model, images, preprocess, Path(folder))
        defects, rebuilds = list(bench.rows(DEFECTS)), list(bench.rows(REBUILDS))
        judge_limits(defects, rebuilds)
        missed = [row.name for row in defects if row.is_strong and not row.failed()]
        alarms = [row.name for row in rebuilds if row.failed()]
        print(f"\nStrong defects missed: {', '.join(missed) or 'none'}. False alarms: {', '.join(alarms) or 'none'}.")
        if seeds:
            power(bench, seeds)


if __name__ == "__main__":
    main()
