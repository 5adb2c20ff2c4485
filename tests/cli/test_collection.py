"""Python's garbage collection is paused while modules are imported, and goes on as before."""

from __future__ import annotations

import gc

import pytest

from onnx_cam.cli.collection import without_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_it_goes_on_as_before(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        with without_collection():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()
