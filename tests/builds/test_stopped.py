"""A comparison that was stopped goes on, and ends with the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import onnx_cam
from onnx_cam.builds.progress_file import FILE_NAME
from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.writer_lock import WriterLock
from tests.builds.made import noisy, write_build, write_photos
from tests.places import ROOT

COUNT = 12
FILES = ("diff.json", "images.csv", "junit.xml", "summary.md")

KILLED = """
import os, signal, sys
import onnx_cam
old, new, photos, out, steps = sys.argv[1:]
def watch(done, total):
    if done >= int(steps):
        os.kill(os.getpid(), signal.SIGKILL)
onnx_cam.diff(old, new, [photos], preprocess="unit", maps=6, out=out, progress=watch)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_build(tmp_path, "old.onnx")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_build(tmp_path, "new.onnx", w2=noisy(0.3))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", COUNT)


def lines(folder: Path) -> list[bytes]:
    return (folder / FILE_NAME).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("steps", [7, COUNT + 3 * 3 + 3], ids=["first round", "those whose scores moved most"])
def test_a_killed_comparison_goes_on(steps: int, old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=6, out=whole)
    arguments = [sys.executable, "-c", KILLED, *map(str, (old, new, photos, killed, steps))]
    process = subprocess.run(arguments, cwd=ROOT, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "diff.json").exists()
    stored = len(lines(killed))
    assert 1 < stored < len(lines(whole))
    with open(killed / FILE_NAME, "ab") as file:
        file.write(lines(whole)[stored][:50])  # half a line

    made: list[int] = []
    onnx_cam.diff(
        old, new, [str(photos)], preprocess="unit", maps=6, out=killed, progress=lambda done, total: made.append(done)
    )
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert len(lines(killed)) == len(lines(whole))  # nothing was done twice
    assert made[-1] == COUNT + 3 * 6


def test_another_comparison_starts_anew(old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    onnx_cam.diff(old, old, [str(photos)], preprocess="unit", out=tmp_path / "out")
    onnx_cam.diff(old, old, [str(photos)], preprocess="unit", out=tmp_path / "fresh")
    assert lines(tmp_path / "out") == lines(tmp_path / "fresh")


def test_more_images_are_added_to_those_that_are_done(old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    before = lines(tmp_path / "out")
    write_photos(photos, COUNT + 2)
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    assert lines(tmp_path / "out")[: len(before)] == before
    assert len(lines(tmp_path / "out")) == len(before) + 2


def test_maps_of_an_earlier_call_that_were_not_drawn_do_not_count(
    old: Path, new: Path, photos: Path, tmp_path: Path
) -> None:
    for maps in (12, 4):
        onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=maps, out=tmp_path / "out")
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=4, out=tmp_path / "fresh")
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_a_damaged_file_is_replaced(old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    whole = lines(tmp_path / "out")
    (tmp_path / "out" / FILE_NAME).write_bytes(whole[0] + b"{}\n" + b"".join(whole[2:]))
    onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    assert lines(tmp_path / "out") == whole


def test_two_processes_do_not_write_to_one_folder(old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    lock = WriterLock(folder / "images.lock", folder / FILE_NAME)
    with pytest.raises(OutputError, match=r"another process is writing to '.*images.jsonl'"):
        onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=folder)
    lock.release()
