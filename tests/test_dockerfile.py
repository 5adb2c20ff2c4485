"""The Dockerfile: what it copies is there, whom it runs as, and what its health check tells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.places import ROOT

DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENT = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")


def lines(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, flags=re.MULTILINE)


def test_the_extras_exist() -> None:
    (extras,) = [line.removeprefix("EXTRAS=") for line in lines("ARG") if line.startswith("EXTRAS=")]
    assert extras == "cpu,serve"
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_python_is_one_that_is_tested() -> None:
    (python,) = [line.removeprefix("PYTHON=") for line in lines("ARG") if line.startswith("PYTHON=")]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    assert [line.split(" AS ") for line in lines("FROM")] == [
        ["python:${PYTHON}-slim", "build"],
        ["python:${PYTHON}-slim", "cli"],
        ["cli", "serve"],
    ]


def test_what_is_copied_is_sent_to_the_builder_and_nothing_else() -> None:
    copied = {word for line in lines("COPY") if "--from" not in line for word in line.split()[:-1]}
    ignored, *patterns = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert ignored == "*"
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == copied
    assert all((ROOT / path).exists() for path in copied)


def test_what_the_wheel_is_built_from_is_copied() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        *PROJECT["license-files"],
        "pyproject.toml",
        "hatch_build.py",
    }
    copied = {word for line in lines("COPY") for word in line.split()[:-1]}
    assert needed <= copied


def test_compiled_files_of_the_clone_stay_there() -> None:
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert any(fnmatch("onnx_cam/__pycache__", pattern) for pattern in patterns)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    (user,) = lines("USER")
    assert all(int(part) > 0 for part in user.split(":"))
    assert DOCKERFILE.index("USER") < DOCKERFILE.index("ENTRYPOINT")


def test_whatever_is_written_goes_to_the_folder_that_is_writable() -> None:
    (environment,) = lines("ENV")
    settings = dict(word.split("=", 1) for word in environment.split())
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        assert settings[name].startswith("/tmp"), name
    assert settings["ORT_DISABLE_TELEMETRY"] == "1"
    assert DOCUMENT.count("--read-only --tmpfs /tmp") == DOCUMENT.count("docker run ") == 2


def health_check(port: int) -> int:
    """Run the image's health check against a port of this machine, and return its exit status."""
    (line,) = lines("HEALTHCHECK")
    program, option, code = json.loads(line.split("CMD ")[1])
    assert (program, option) == ("python", "-c")
    command = [sys.executable, option, code.replace("8000", str(port))]
    return subprocess.run(command, capture_output=True, check=False).returncode


@contextmanager
def server(status: int) -> Iterator[int]:
    """Answer ``GET /health`` with a status, and everything else with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_port
        http.shutdown()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_tells_what_the_server_says(status: int, expected: int) -> None:
    with server(status) as port:
        assert health_check(port) == expected


def test_without_a_server_the_health_check_fails() -> None:
    with server(200) as port:
        pass
    assert health_check(port) == 1


def test_the_health_check_asks_the_port_that_is_served() -> None:
    (port,) = lines("EXPOSE")
    assert f"'127.0.0.1', {port}" in DOCKERFILE
    assert f'"--port", "{port}"' in DOCKERFILE
    assert f":{port}:{port}" in DOCUMENT
