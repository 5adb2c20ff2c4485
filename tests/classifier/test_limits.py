"""Memory that runs out and runs that are cut short, for real, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

LAYER = "_blocks.15._bn2"  # 320 channels, 7×7


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_running_out_of_memory_halves_the_batch_and_loses_no_score(
    lite0_path: Path, photo: Path, tmp_path: Path
) -> None:
    code = """
        import json, resource, sys
        import numpy as np, onnx_cam
        model = onnx_cam.load(sys.argv[1], device="cpu", threads=2)
        settings = dict(layer=sys.argv[3])
        whole = onnx_cam.explain(model, sys.argv[2], batch_size=8, **settings)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), used + (300 << 20)))
        halved = onnx_cam.explain(model, sys.argv[2], batch_size=256, **settings)
        np.save(sys.argv[4], [whole.weights, halved.weights])
        print(json.dumps([halved.batch_size, halved.warnings, halved.passes, whole.passes]))
    """
    ran = run(code, str(lite0_path), str(photo), LAYER, str(tmp_path / "weights.npy"))
    assert ran.returncode == 0, ran.stderr
    batch, warnings, passes, passes_without = json.loads(ran.stdout)
    assert 1 <= batch <= 128
    assert len(warnings) == 1
    assert f"continued with batch size {batch}" in warnings[0]
    assert passes == passes_without - 2  # the tapped pass and the baseline are known
    weights = np.load(tmp_path / "weights.npy")
    np.testing.assert_allclose(weights[1], weights[0], atol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_what_cannot_fit_at_all_says_what_it_needed(lite0_path: Path, photo: Path) -> None:
    code = """
        import resource, sys
        from onnx_cam.cli.main import main
        import onnx_cam, numpy, onnxruntime, cv2
        onnx_cam.explain(onnx_cam.load(sys.argv[1], device="cpu", threads=2), sys.argv[2], layer=sys.argv[3])
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), used + (100 << 20)))
        main(["explain", *sys.argv[1:3], "--layer", sys.argv[3], "--method", "sscam2", "--samples", "9999"])
    """
    ran = run(code, str(lite0_path), str(photo), LAYER)
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "out of memory" in ran.stderr or "MiB" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("where", ["Sender().__del__()", "Sender()"])
def test_an_interrupt_ends_the_run_within_a_batch(lite0_path: Path, photo: Path, tmp_path: Path, where: str) -> None:
    """The second one comes within a destructor, where Python drops it."""
    code = f"""
        import os, signal, sys, time
        from onnx_cam.cli.main import main
        class Sender:
            sent = False
            def __del__(self):
                if not Sender.sent:
                    Sender.sent = True
                    print(time.monotonic(), file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGINT)
        def interrupt(*_):
            {where}
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 4)
        try:
            main(["explain", *sys.argv[1:3], "--method", "sscam2", "--samples", "100", "--out", sys.argv[3]])
        except SystemExit as end:
            print(time.monotonic(), file=sys.stderr)
            raise
    """
    ran = run(code, str(lite0_path), str(photo), str(tmp_path / "out"))
    assert ran.returncode == 130
    sent, said, ended = ran.stderr.splitlines()
    assert said == "onnx-cam: interrupted"
    assert float(ended) - float(sent) < 2
    assert not list(tmp_path.rglob("*.*"))
