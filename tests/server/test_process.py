"""The server as a process: how it starts, how it ends, and what ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.conftest import photo_of
from tests.server.serving import CLIENT, Server, events_of, failing_model, serving, slow_model, start

LONG = {"method": "sscam1", "samples": "40"}  # thousands of passes of the slow model


def program(*words: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "onnx_cam", "serve", *map(str, words)]
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | (environment or {})
    return subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=60)


class Stream(threading.Thread):
    """A request for a long map, in a thread of its own, with its events."""

    def __init__(self, server: Server, **fields: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._fields = LONG | fields
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = 0.0
        self._client = httpx.Client(trust_env=False, timeout=60)
        self._response: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        request = self._client.build_request(
            "POST",
            self._server.url + "api/explain",
            files={"image": ("a.png", photo_of(0))},
            data=self._fields,
            headers={"Accept": "text/event-stream"},
        )
        try:
            self._response = self._client.send(request, stream=True)
            for event in events_of(self._response):
                self.events.append(event)
        except httpx.HTTPError:
            pass
        finally:
            self.ended = time.monotonic()

    def wait_for(self, name: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not any(event == name for event, _ in self.events):
            assert time.monotonic() < deadline, self.events
            time.sleep(0.02)

    def leave(self) -> None:
        """Close the connection, as a browser does that cancels."""
        assert self._response is not None
        stream = self._response.extensions["network_stream"]
        with contextlib.suppress(OSError):  # it has ended by itself
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


# --- how it starts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_a_host_that_others_can_reach_needs_a_token(host: str, folder: Path) -> None:
    done = program(folder / "model.onnx", "--host", host)
    assert done.returncode == 2  # wrong usage: the command's words alone tell
    assert "so a token is needed: add --token" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", ""), "invalid host ''"),
        (("--host", "a b"), "invalid host 'a b'"),
        (("--token", ""), "invalid token"),
        (("--token", "zwei Worte"), "invalid token"),
        (("--token", "schlüssel"), "invalid token"),
        (("--allow-host", "http://x"), "invalid name 'http://x'"),
        (("--port", "70000"), "70000"),
        (("--time-limit", "0"), "0"),
        (("--queue", "0"), "0"),
    ],
)
def test_wrong_usage_is_told_before_the_model_is_loaded(words: tuple[str, str], message: str) -> None:
    done = program("missing.onnx", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "missing.onnx" not in done.stderr.replace("serve missing.onnx", "")


def test_a_port_that_is_taken_is_one_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = program(folder / "model.onnx", "--port", str(port))
    assert done.returncode == 1
    reason = "address already in use; choose another with --port"
    assert done.stderr == f"onnx-cam: error: cannot listen at 127.0.0.1, port {port}: {reason}\n"


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machines_is_one_line(host: str, folder: Path) -> None:
    done = program(folder / "model.onnx", "--host", host, "--token", "t")
    assert done.returncode == 1
    assert done.stderr.startswith("onnx-cam: error: cannot listen at ")
    assert done.stderr.count("\n") == 1


def test_a_missing_model_is_one_line() -> None:
    done = program("missing.onnx", "--port", "0")
    assert done.returncode == 1
    assert done.stderr == "onnx-cam: error: no model file 'missing.onnx'; expected the path of an .onnx file\n"


def test_a_missing_extra_is_one_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ImportError('not here', name='starlette')\n", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from onnx_cam.__main__ import main; main()"
    words = [sys.executable, "-c", code, "serve", str(folder / "model.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "onnx-cam: error: onnx-cam serve needs starlette, which is not installed; install it with: "
        "pip install 'onnx-cam[serve]'\n"
    )


def test_the_token_can_come_from_the_environment(folder: Path) -> None:
    with serving("model.onnx", cwd=folder, environment={"ONNX_CAM_TOKEN": "abc"}) as running:
        assert CLIENT.get(running.url + "api/model").status_code == 401
        assert CLIENT.get(running.url + "api/model", headers={"Authorization": "Bearer abc"}).status_code == 200


def test_it_listens_at_an_ipv6_address(folder: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving("model.onnx", "--host", "::1", cwd=folder) as running:
        assert running.url.startswith("http://[::1]:")
        assert CLIENT.get(running.url + "health").status_code == 200


def test_nothing_is_printed_for_requests(folder: Path) -> None:
    with serving("model.onnx", cwd=folder) as running:
        for path in ("", "health", "nowhere"):
            CLIENT.get(running.url + path)
        damaged = {"Content-Type": "multipart/form-data; boundary=x"}
        assert CLIENT.post(running.url + "api/predict", content=b"rubbish", headers=damaged).status_code == 400
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(b"no HTTP at all\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 400"
        running.process.terminate()
        assert running.process.wait(20) == 0
        assert running.rest() == "".join(running.said)


# --- how it ends


@pytest.fixture
def slow_server(tmp_path: Path) -> Server:
    return start(slow_model(tmp_path), "--preprocess", "unit")


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_during_a_map_ends_it_soon(sent: signal.Signals, status: int, slow_server: Server) -> None:
    running, waiting = Stream(slow_server), Stream(slow_server)
    for stream in (running, waiting):
        stream.wait_for("progress" if stream is running else "waiting")
    started = time.monotonic()
    slow_server.process.send_signal(sent)
    assert slow_server.process.wait(15) == status
    assert time.monotonic() - started < 10
    for stream in (running, waiting):
        stream.join(10)
        assert stream.events[-1][0] == "error"
        assert stream.events[-1][1] == {"error": "the server is shutting down; try again later", "status": 503}
    said = slow_server.rest()
    assert "Traceback" not in said
    assert ("interrupted" in said) == (sent == signal.SIGINT)


def test_a_signal_while_nothing_happens_ends_it_at_once(folder: Path) -> None:
    running = start("model.onnx", cwd=folder)
    with httpx.Client() as client:
        client.get(running.url + "health")  # its connection stays open
        running.process.terminate()
        assert running.process.wait(15) == 0
    assert "Traceback" not in running.rest()


# --- cancelling


def test_a_client_that_leaves_stops_the_work(slow: Server) -> None:
    stream = Stream(slow)
    stream.wait_for("progress")
    stream.leave()
    started = time.monotonic()
    answer = slow.post("api/explain", photo_of(1), method="gradcam")  # it waits for its turn
    assert answer.status_code == 200
    assert time.monotonic() - started < 15  # of some minutes that the map takes


def test_a_client_without_events_that_leaves_stops_the_work_too(slow: Server) -> None:
    with pytest.raises(httpx.ReadTimeout), httpx.Client(trust_env=False, timeout=2) as client:
        client.post(slow.url + "api/explain", files={"image": ("a.png", photo_of(0))}, data=LONG)
    started = time.monotonic()
    assert slow.post("api/explain", photo_of(1), method="gradcam").status_code == 200
    assert time.monotonic() - started < 15


def test_two_that_cancel_at_once_disturb_nobody(slow: Server) -> None:
    streams = [Stream(slow) for _ in range(3)]
    streams[0].wait_for("progress")
    for stream in streams[1:]:
        stream.wait_for("waiting")
    third = threading.Thread(target=lambda: answers.append(slow.post("api/explain", photo_of(1), method="gradcam")))
    answers: list[httpx.Response] = []
    third.start()
    leaving = [threading.Thread(target=stream.leave) for stream in streams]
    for thread in leaving:
        thread.start()
    third.join(30)
    assert [answer.status_code for answer in answers] == [200]


def test_one_that_waits_and_leaves_makes_room_in_the_queue(slow: Server) -> None:
    streams = [Stream(slow) for _ in range(9)]  # one is worked on, and eight may wait
    for stream in streams:
        deadline = time.monotonic() + 40
        while not stream.events and time.monotonic() < deadline:
            time.sleep(0.02)
    assert sorted(stream.events[-1][0] for stream in streams)[-8:] == ["waiting"] * 8
    full = slow.post("api/explain", photo_of(1), method="gradcam")
    assert full.status_code == 429
    assert full.json()["error"] == "8 requests wait for the model already; try again later"
    next(stream for stream in streams if stream.events[-1][0] == "waiting").leave()
    deadline = time.monotonic() + 20
    probe = Stream(slow)
    while not probe.events and time.monotonic() < deadline:
        probe.join(0.5)
        if not probe.is_alive() and not probe.events:
            probe = Stream(slow)  # it was told that the queue is full
    assert probe.events[0][0] == "waiting"
    for stream in [*streams, probe]:
        stream.leave()


def test_the_time_limit_ends_a_map(tmp_path: Path) -> None:
    with serving(slow_model(tmp_path), "--preprocess", "unit", "--time-limit", "4") as running:
        answer = running.post("api/explain", photo_of(0), **LONG)
        assert answer.status_code == 504
        assert "the map was not ready after 4 s, the time limit of this server" in answer.json()["error"]
        quick = running.post("api/predict", photo_of(0))
        assert quick.status_code == 200


# --- a model that fails


def test_a_model_that_fails_on_every_run_is_one_line_each_time(tmp_path: Path) -> None:

    white, grey = (png_of(level) for level in (255, 124))
    with serving(failing_model(tmp_path)) as running:
        for path in ("api/explain", "api/predict", "api/explain"):
            answer = running.post(path, white)
            assert answer.status_code == 500
            assert answer.json().keys() == {"error"}
            assert answer.json()["error"].startswith("failing.onnx")
            assert "\n" not in answer.json()["error"]
        assert running.post("api/explain", grey, method="gradcam").status_code == 200


def png_of(level: int) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()
