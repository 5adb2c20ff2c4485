"""The OpenAPI description: it is true, and complete."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.server import Limits, make_app
from onnx_cam.server.description import describe_api
from onnx_cam.server.fields import EXPLAIN_FIELDS
from tests.server.serving import CLIENT, Server, serving


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    return CLIENT.get(server.url + "openapi.json").json()


def test_every_setting_of_explain_is_a_field() -> None:
    settings = set(inspect.signature(onnx_cam.explain).parameters) - {"model", "image", "progress"}
    names = [one.name for one in EXPLAIN_FIELDS]
    assert set(names) == settings | {"alpha", "colormap", "side", "include"}
    assert len(names) == len(set(names))


def test_the_form_is_described_field_by_field(description: Any) -> None:
    form = description["paths"]["/api/explain"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"].keys() == {"image", *(one.name for one in EXPLAIN_FIELDS)}
    assert form["required"] == ["image"]
    assert form["additionalProperties"] is False
    assert form["properties"]["method"]["enum"] == list(onnx_cam.METHODS)


def test_every_field_of_a_record_is_described(description: Any, server: Server, folder: Path) -> None:
    (result,) = server.explain(folder / "cat.jpg")
    described = description["components"]["schemas"]["Result"]
    assert set(described["required"]) == result.keys() - {"constants", "custom_ops"}


def test_every_route_is_described(description: Any, folder: Path) -> None:
    app = make_app(onnx_cam.load(folder / "model.onnx"))
    routes = {route.path for route in app.routes} - {"/", "/static/{name}", "/openapi.json"}  # type: ignore[attr-defined]
    assert routes == set(description["paths"])


def test_a_token_is_described_where_one_is_needed() -> None:
    assert "securitySchemes" not in json.loads(describe_api(Limits(), with_token=False))["components"]
    closed = json.loads(describe_api(Limits(), with_token=True))
    assert closed["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    for path, operations in closed["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == (path != "/health")


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.parametrize("token", [None, "let-me-in"])
def test_schemathesis_finds_nothing(token: str | None, folder: Path) -> None:
    """Whether bytes are an image is nothing that a schema can say, so that one check of its checks does not apply."""
    with serving("model.onnx", *(("--token", token) if token else ()), cwd=folder) as running:
        words = ["run", running.url + "openapi.json", "--max-examples", "25", "--seed", "1", "--no-color"]
        words += ["--exclude-checks", "positive_data_acceptance"]
        words += ["--header", f"Authorization: Bearer {token}"] if token else []
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        assert "Selected: 6/6" in done.stdout
