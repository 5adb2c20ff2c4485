"""What requests must pass, and what the server withstands."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.conftest import photo_of
from tests.server.serving import CLIENT, Server, serving

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def closed(folder: Path) -> Iterator[Server]:
    """A server that others may reach: it listens everywhere, and has a token and a name."""
    words = ("--host", "0.0.0.0", "--token", TOKEN, "--allow-host", "cam.example.org")
    with serving("model.onnx", *words, cwd=folder) as running:
        running.url = running.url.replace("0.0.0.0", "127.0.0.1")
        yield running


def is_line(answer: httpx.Response) -> bool:
    return answer.json().keys() == {"error"} and "\n" not in answer.json()["error"] and len(answer.json()["error"]) > 10


# --- Host and Origin

PATHS = ["", "static/page.css", "health", "api/model", "api/choices", "openapi.json", "nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "", "a b"])
def test_another_host_is_refused_everywhere(path: str, host: str, server: Server) -> None:
    answer = CLIENT.get(server.url + path, headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert answer.status_code == 400 or is_line(answer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:9", "LOCALHOST:1234", "127.0.0.2", "localhost."])
def test_this_machines_names_are_taken(host: str, server: Server) -> None:
    assert CLIENT.get(server.url + "health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_origin_is_refused_everywhere(path: str, server: Server) -> None:
    for origin in ("http://evil.example", "null", "file://", f"http://localhost:{server.port + 1}", "http://localhost"):
        answer = CLIENT.get(server.url + path, headers={"Origin": origin})
        assert answer.status_code == 403
        assert is_line(answer)


def test_a_form_of_another_site_is_refused(server: Server, folder: Path) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}):
        answer = server.post("api/explain", folder / "cat.jpg", headers=headers)
        assert answer.status_code == 403
        assert is_line(answer)


def test_the_pages_own_origin_is_taken_and_a_link_from_another_site_works(server: Server, folder: Path) -> None:
    own = {"Origin": server.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert server.post("api/predict", folder / "cat.jpg", headers=own).status_code == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert CLIENT.get(server.url, headers=followed).status_code == 200


def test_behind_a_proxy_names_are_those_that_are_allowed(closed: Server) -> None:
    def status(**headers: str) -> int:
        return CLIENT.get(closed.url + "health", headers=headers).status_code

    assert status(Host="cam.example.org") == 200
    assert status(Host="CAM.example.org:443", Origin="https://cam.example.org") == 200  # TLS ends at the proxy
    assert status(Host="192.168.1.7:8000") == 200  # others reach it by its address
    assert status(Host="evil.example") == 403
    assert status(Host="cam.example.org", Origin="https://evil.example") == 403


# --- token

WRONG_TOKENS: list[dict[str, str]] = [
    {},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": "Bearer"},
    {"Authorization": TOKEN},
    {"Authorization": f"Basic {TOKEN}"},
    {"Cookie": f"token={TOKEN}"},
]


@pytest.mark.parametrize("headers", WRONG_TOKENS, ids=str)
@pytest.mark.parametrize("path", ["api/model", "api/choices", "openapi.json", "api/results/x/map.npy", "api/nowhere"])
def test_a_wrong_token_is_refused(path: str, headers: dict[str, str], closed: Server) -> None:
    answer = CLIENT.get(closed.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert is_line(answer)
    assert TOKEN not in answer.text


def test_a_wrong_token_explains_nothing(closed: Server, folder: Path) -> None:
    assert closed.post("api/explain", folder / "cat.jpg", method="cam").status_code == 401
    right = {"Authorization": f"bearer {TOKEN}"}
    assert closed.post("api/explain", folder / "cat.jpg", method="cam", headers=right).status_code == 200
    assert CLIENT.post(f"{closed.url}api/explain?token={TOKEN}").status_code == 401


@pytest.mark.parametrize("path", ["", "health", "static/main.js"])
def test_the_page_which_asks_for_the_token_needs_none(path: str, closed: Server) -> None:
    answer = CLIENT.get(closed.url + path)
    assert answer.status_code == 200
    assert "model.onnx" not in answer.text


# --- every answer


@pytest.mark.parametrize("path", ["", "health", "api/model", "nowhere"])
def test_answers_carry_a_strict_policy(path: str, server: Server) -> None:
    headers = CLIENT.get(server.url + path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere", 404),
        ("GET", "api/model/", 404),
        ("GET", "static/page.html", 404),
        ("GET", "static/..%2f..%2fapp.py", 404),
        ("GET", "static/../app.py", 404),
        ("GET", "api/results/nothing/map.npy", 404),
        ("GET", "api/results/nothing/map.exe", 404),
        ("GET", "api/explain", 405),
        ("DELETE", "api/model", 405),
        ("POST", "", 405),
        ("OPTIONS", "api/explain", 405),
        ("TRACE", "health", 405),
        ("BREW", "health", 405),
    ],
)
def test_what_is_not_there_is_one_line(method: str, path: str, status: int, server: Server) -> None:
    answer = CLIENT.request(method, server.url + path)
    assert answer.status_code == status
    assert is_line(answer)
    assert (status == 405) == ("allow" in answer.headers)


# --- bodies


def test_a_body_of_sixty_megabytes_is_refused(server: Server) -> None:
    before = server.memory()
    answer = server.post("api/explain", bytes(60 << 20))
    assert answer.status_code == 413
    assert answer.json()["error"] == "the request is larger than 20 MB; expected a photo: make it smaller"
    assert server.memory() - before < 20  # nothing of it is kept


def test_a_body_of_undeclared_size_is_counted(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(60):
            yield bytes(1 << 20)
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = CLIENT.post(server.url + "api/explain", content=chunks(), headers=headers, timeout=60)
    assert answer.status_code == 413
    assert is_line(answer)


def test_an_image_just_below_the_limit_is_read(server: Server) -> None:
    answer = server.post("api/explain", bytes((20 << 20) - 1000))
    assert answer.status_code == 422
    assert "is not an image" in answer.json()["error"]


def raw_request(server: Server, head: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(head.replace("\n", "\r\n").encode())
    return connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    data = b""
    with contextlib.suppress(ConnectionResetError):  # what is sent after the end of the answer is not wanted
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("length", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_client_that_sends_a_byte_a_second_is_cut_off_and_disturbs_nobody(
    length: str, server: Server, folder: Path
) -> None:
    head = f"POST /api/explain HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=x\n{length}\n\n"
    part = '--x\nContent-Disposition: form-data; name="image"; filename="a.png"\n\n'.replace("\n", "\r\n")
    with raw_request(server, head) as connection:
        connection.sendall(f"{len(part):x}\r\n{part}\r\n".encode() if "chunked" in length else part.encode())
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(1):
                try:
                    connection.sendall(b"1\r\n-\r\n" if "chunked" in length else b"-")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert server.post("api/explain", folder / "cat.jpg", method="cam").status_code == 200
        started = time.monotonic()
        status, content = answer_of(connection)
        stop.set()
        dripping.join()
    assert status == 408
    assert "arrives too slowly" in content["error"]
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b'{"image": "/etc/passwd"}', 415),
        ("application/x-www-form-urlencoded", b"image=cat", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"rubbish", 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc', 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--\r\n", 400),
        (f"multipart/form-data; boundary={'x' * 300}", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A" * 100_000 + b": b\r\n\r\n\r\n--x--\r\n", 400),
    ],
)
def test_a_damaged_form_is_one_line(kind: str, body: bytes, status: int, server: Server) -> None:
    answer = CLIENT.post(server.url + "api/explain", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert is_line(answer)


def test_a_form_of_very_many_parts_is_refused(server: Server, folder: Path) -> None:
    fields = {f"field{i}": "x" for i in range(2000)}
    answer = server.post("api/explain", folder / "cat.jpg", **fields)
    assert answer.status_code in (400, 422)
    assert is_line(answer)


def test_a_very_long_field_is_refused(server: Server, folder: Path) -> None:
    answer = server.post("api/explain", folder / "cat.jpg", layer="x" * 1_000_000)
    assert answer.status_code == 422
    assert is_line(answer)
    assert len(answer.text) < 500


# --- many clients


def test_a_thousand_requests_at_once_are_answered_or_told_when_to_come_back(slow: Server) -> None:
    def request(i: int) -> httpx.Response:
        return slow.post("api/explain", photo_of(i), method="gradcam")

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(request, range(1000)))
    statuses = {status: sum(answer.status_code == status for answer in answers) for status in (200, 429)}
    assert sum(statuses.values()) == 1000
    assert statuses[200] >= 9  # the one that runs, and those that may wait
    assert statuses[429] > 0
    for answer in answers:
        if answer.status_code == 429:
            assert is_line(answer)
            assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert CLIENT.get(slow.url + "health").status_code == 200
    assert slow.post("api/explain", photo_of(0), method="gradcam").status_code == 200


def test_nothing_is_mixed_up_between_clients(server: Server) -> None:
    import hashlib

    expected = {i: server.explain(photo_of(i), method="gradcam", include="cam")[0]["cam_npy"] for i in range(10)}

    def request(i: int) -> tuple[int, dict[str, Any]]:
        return i, server.explain(photo_of(i % 10), method="gradcam", include="cam")[0]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(request, range(100)))
    assert len(answers) == 100
    for i, result in answers:
        assert result["image_sha256"] == hashlib.sha256(photo_of(i % 10)).hexdigest()
        assert result["cam_npy"] == expected[i % 10]
