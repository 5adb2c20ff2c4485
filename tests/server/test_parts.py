"""The parts of the server by themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

import onnx_cam
from onnx_cam.errors import ImageError, OutOfMemoryError, ScoreError, SettingError, TargetError
from onnx_cam.runtime.scorer import Progress
from onnx_cam.server.address import AllowedHosts, check_address, is_local
from onnx_cam.server.body import TimedBody
from onnx_cam.server.engine import Engine
from onnx_cam.server.fields import EXPLAIN_FIELDS, read_fields
from onnx_cam.server.folders import Folders
from onnx_cam.server.form import Form, Upload, read_form
from onnx_cam.server.guard import BrokenAnswer, Guard
from onnx_cam.server.holding import Holding
from onnx_cam.server.jobs import Event, Job, Progressed, Waiting
from onnx_cam.server.kept import KeptResults
from onnx_cam.server.limits import Limits
from onnx_cam.server.order import ExplainOrder
from onnx_cam.server.problems import Problem, as_problem, problem_response

# --- addresses


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("127.1", False),  # a name, as far as one can tell
        ("localhost.example.org", False),
    ],
)
def test_which_hosts_are_local(host: str, local: bool) -> None:
    assert is_local(host) == local
    if local:
        check_address(host, None)
    else:
        with pytest.raises(SettingError, match="token"):
            check_address(host, None)
        check_address(host, "t")


def test_which_hosts_a_request_may_name() -> None:
    closed, open_ = AllowedHosts.of("127.0.0.1", ["Cam.Example.org"]), AllowedHosts.of("0.0.0.0")
    for name in ("cam.example.org", "CAM.EXAMPLE.ORG:80", "localhost:1", "127.0.0.1", "[::1]"):
        assert closed.allows(name)
    for name in ("example.org", "cam.example.org.evil", "10.1.1.1", "[2001:db8::1]", "", ":80", "a b", "x@localhost"):
        assert not closed.allows(name)
    for name in ("10.1.1.1:8000", "[2001:db8::1]:80", "localhost"):
        assert open_.allows(name)
    for name in ("evil.example", "10.1.1.1.evil.example", "2001:db8::1"):
        assert not open_.allows(name)


# --- bodies and forms


def message(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_has_its_time_and_more_for_its_bytes() -> None:
    """0.3 s, and a second for each 1,000 bytes: 2,000 bytes in 1 s are in time, the rest after 3 s is not."""
    limits = Limits(body_seconds=0.3, body_rate=1000, body_bytes=10_000)

    async def run() -> float:
        messages = [(0.0, message(bytes(2000))), (1.0, message(bytes(1))), (30.0, message(b""))]

        async def receive() -> Any:
            pause, one = messages.pop(0)
            await asyncio.sleep(pause)
            return one

        body = TimedBody(receive, Headers({"content-length": "5000"}), limits)
        started = time.monotonic()
        await body.receive()
        await body.receive()
        with pytest.raises(Problem, match="2,001 bytes in") as failed:
            await body.receive()
        assert failed.value.status == 408
        return time.monotonic() - started

    assert 2.2 < asyncio.run(run()) < 5


def test_a_client_that_takes_nothing_of_its_answer_is_left() -> None:
    """It takes a megabyte, and no more: the answer ends after the time for that, and not before."""
    taken = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response(bytes(4 << 20))(scope, receive, send)

    async def send(one: Any) -> None:
        nonlocal taken
        taken += len(one.get("body", b""))
        if taken > 1 << 20:
            await asyncio.sleep(60)

    async def receive() -> Any:
        return message(b"", more=False)

    guard = Guard(app, AllowedHosts.of("127.0.0.1"), None, Limits(send_seconds=0.3))
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    started = time.monotonic()
    with pytest.raises(BrokenAnswer):
        asyncio.run(guard(scope, receive, send))
    assert 0.25 < time.monotonic() - started < 10
    assert 1 << 20 < taken < 2 << 20


async def chunks_of(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


FORM = (
    b"--x\r\n"
    b'Content-Disposition: form-data; name="method"\r\n\r\ncam\r\n--x\r\n'
    b'Content-Disposition: form-data; name="target"\r\n\r\n1\r\n--x\r\n'
    b'content-disposition: form-data; filename="dir/caf\xc3\xa9.png"; name="image"\r\nContent-Type: image/png\r\n\r\n'
    b"\r\n--y\r\n\x00\xff--x\r\n--x\r\n"
    b'Content-Disposition: form-data; name="target"\r\n\r\n2\r\n--x--\r\nepilogue'
)


def test_the_headers_of_a_part_are_bounded() -> None:
    long = b"--x\r\n" + b"".join(b"A: %b\r\n" % (b"b" * 3000) for _ in range(7)) + b"\r\n\r\n--x--\r\n"
    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    with pytest.raises(Problem, match="has headers of more than 10,000 bytes"):
        asyncio.run(read_form(headers, chunks_of(long, 100)))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_a_form_is_the_same_however_it_arrives(size: int) -> None:
    headers = Headers({"content-type": 'multipart/form-data; boundary="x"'})
    form = asyncio.run(read_form(headers, chunks_of(FORM, size)))
    assert form.values == {"method": ["cam"], "target": ["1", "2"]}
    assert form.files == {"image": [Upload("café.png", b"\r\n--y\r\n\x00\xff--x")]}


def test_reading_a_large_form_takes_no_long_time() -> None:
    """Twenty megabytes of what looks like the beginning of a boundary."""
    begin = b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    content = begin + b"\r\n--xy" * (3 << 20) + b"\r\n--xyz--\r\n"
    headers = Headers({"content-type": "multipart/form-data; boundary=xyz"})
    started = time.process_time()
    form = asyncio.run(read_form(headers, chunks_of(content, 65_536)))
    assert len(form.files["image"][0].content) == 6 * (3 << 20)
    assert time.process_time() - started < 20


def test_what_is_held_in_memory_is_counted_and_given_back() -> None:
    holding = Holding(Limits(held_bytes=1000, bodies=2))

    async def read(size: int) -> Any:
        held = holding.enter()
        try:
            async for _ in held.count(chunks_of(bytes(size), 100)):
                pass
        except Problem:
            held.release()
            raise
        return held

    first = asyncio.run(read(600))
    with pytest.raises(Problem, match="as many requests as it can") as full:
        asyncio.run(read(600))
    assert full.value.status == 429
    assert "Retry-After" in full.value.headers
    second = asyncio.run(read(400))
    first.release()
    first.release()  # twice is once
    asyncio.run(read(600)).release()
    second.release()


# --- jobs


def work_of(steps: int, seconds: float = 0.01) -> Callable[[Progress], bytes]:
    def work(progress: Progress) -> bytes:
        for done in range(1, steps + 1):
            time.sleep(seconds)
            progress(done, steps)
        return b"done"

    return work


async def finish(job: Job) -> list[Event]:
    return [event async for event in job.events(0.2) if event is not None]


def test_jobs_run_one_after_the_other_in_their_order() -> None:
    async def run() -> None:
        engine = Engine(Limits())
        running: list[int] = []
        most = []

        def work(i: int) -> Callable[[Progress], bytes]:
            def run_one(progress: Progress) -> bytes:
                running.append(i)
                most.append(len(running))
                time.sleep(0.02)
                running.remove(i)
                return str(i).encode()

            return run_one

        jobs = [engine.submit(work(i)) for i in range(8)]
        events = await asyncio.gather(*map(finish, jobs))
        assert [job.content for job in jobs] == [str(i).encode() for i in range(8)]
        assert max(most) == 1
        positions = [event.position for event in events[-1] if isinstance(event, Waiting)]
        assert positions == sorted(positions, reverse=True)
        assert positions[-1] == 1
        engine.stop()
        assert engine.join(2)

    asyncio.run(run())


def test_progress_tells_the_seconds_that_are_left() -> None:
    async def run() -> None:
        engine = Engine(Limits())
        events = await finish(engine.submit(work_of(40, 0.02)))
        progress = [event for event in events if isinstance(event, Progressed)]
        assert progress[-1] == Progressed(40, 40, progress[-1].seconds_left)
        middle = min(progress, key=lambda event: abs(event.done - 20))
        assert middle.seconds_left is not None
        assert 0.2 < middle.seconds_left < 2  # some 0.4 s, on a machine that has little else to do
        engine.stop()

    asyncio.run(run())


def test_a_job_that_is_cancelled_ends_at_its_next_progress_and_the_next_one_runs() -> None:
    async def run() -> None:
        engine = Engine(Limits())
        reached: list[int] = []

        def endless(progress: Progress) -> bytes:
            for done in range(10_000):
                reached.append(done)
                time.sleep(0.01)
                progress(done, 10_000)
            return b""

        first, second = engine.submit(endless), engine.submit(work_of(1))
        third = engine.submit(work_of(1))
        await asyncio.sleep(0.1)
        engine.cancel(first)
        engine.cancel(third)
        assert await finish(second)
        assert len(reached) < 1000
        assert second.content == b"done"
        with pytest.raises(Problem, match="the client has left"):
            await finish(third)
        engine.stop()

    asyncio.run(run())


def test_a_job_has_a_time_limit_even_where_it_reports_nothing() -> None:
    async def run() -> None:
        engine = Engine(Limits(seconds=0.2))
        free = threading.Event()
        stuck = engine.submit(lambda progress: bytes(free.wait(20)))
        with pytest.raises(Problem, match=r"not ready after 0\.2 s") as failed:
            await finish(stuck)
        assert failed.value.status == 504
        free.set()
        engine.stop()

    asyncio.run(run())


def test_the_queue_is_bounded_and_ends_with_the_engine() -> None:
    async def run() -> None:
        engine = Engine(Limits(waiting=2))
        jobs = [engine.submit(work_of(1000))]
        await asyncio.sleep(0.1)
        jobs += [engine.submit(work_of(1)) for _ in range(2)]
        with pytest.raises(Problem, match="2 requests wait for the model already") as full:
            engine.submit(work_of(1))
        assert full.value.status == 429
        assert 1 <= int(full.value.headers["Retry-After"]) <= 60
        engine.stop()
        for job in jobs:
            with pytest.raises(Problem, match="shutting down") as ending:
                await finish(job)
            assert ending.value.status == 503
        with pytest.raises(Problem, match="shutting down"):
            engine.submit(work_of(1))
        assert engine.join(2)

    asyncio.run(run())


def test_an_error_of_the_work_is_that_of_the_job() -> None:
    def work(progress: Progress) -> bytes:
        raise TargetError("no class 9")

    async def run() -> None:
        engine = Engine(Limits())
        with pytest.raises(Problem, match="no class 9") as failed:
            await finish(engine.submit(work))
        assert failed.value.status == 422
        await finish(engine.submit(work_of(1)))  # the engine goes on
        engine.stop()

    asyncio.run(run())


def test_an_error_names_no_folder_of_the_model() -> None:
    def work(progress: Progress) -> bytes:
        raise ScoreError("cannot read '/srv/secret/weights.bin' beside /srv/secret/model.onnx")

    async def run() -> None:
        engine = Engine(Limits(), Folders.of("/srv/secret/model.onnx"))
        with pytest.raises(Problem) as failed:
            await finish(engine.submit(work))
        assert failed.value.message == "cannot read 'weights.bin' beside model.onnx"
        engine.stop()

    asyncio.run(run())


# --- errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImageError("a"), 422),
        (SettingError("a"), 422),
        (ScoreError("a"), 500),
        (OutOfMemoryError("a"), 500),
        (MemoryError("cannot allocate"), 500),
        (KeyError("a"), 500),
        (RuntimeError("two\nlines\x1b[31m"), 500),
    ],
)
def test_every_error_is_one_line(error: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
    response = problem_response(as_problem(error))
    assert response.status_code == status
    text = bytes(response.body).decode()
    assert "\\n" not in text
    assert "\x1b" not in text
    is_bug = isinstance(error, KeyError | RuntimeError)
    assert ("this is a bug in onnx-cam" in text) == is_bug
    assert bool(caplog.records) == is_bug


# --- settings


def test_more_noise_than_fits_in_memory_is_refused(folder: Path) -> None:
    model = onnx_cam.load(folder / "model.onnx")
    form = Form({"method": ["sscam1"], "samples": ["11"]}, {"image": [Upload("a.png", b"a")]})
    fields = 3 * 20 * 20 * 4  # bytes of a noise field
    assert ExplainOrder.of(form, model, Limits(noise_bytes=11 * fields)).method.parameters["samples"] == 11
    with pytest.raises(SettingError, match=r"invalid samples=11 of sscam1: this server takes at most 10"):
        ExplainOrder.of(form, model, Limits(noise_bytes=11 * fields - 1))


def test_a_field_is_read_as_its_kind() -> None:
    values = {"seed": ["18446744073709551615"], "sigma": [".5e1"], "batch_size": ["auto"], "include": ["map, cam"]}
    assert read_fields(Form(values), EXPLAIN_FIELDS) == {
        "seed": 2**64 - 1,
        "sigma": 5.0,
        "batch_size": None,
        "include": frozenset({"map", "cam"}),
    }
    for wrong in ("1_0", " 1", "1.0", "१", "0x1", "+1"):
        with pytest.raises(SettingError, match="invalid seed"):
            read_fields(Form({"seed": [wrong]}), EXPLAIN_FIELDS)


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"seconds": float("nan")}, {"waiting": 0}])
def test_limits_are_checked(limits: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="invalid"):
        Limits(**limits)


def test_results_are_kept_for_a_while_and_make_room(folder: Path) -> None:
    result = onnx_cam.explain(folder / "model.onnx", folder / "cat.jpg", method="cam")
    assert isinstance(result, onnx_cam.Explanation)
    size = result.pixels.nbytes + result.map.nbytes + result.cam.nbytes
    kept = KeptResults(Limits(kept_bytes=2 * size, kept_seconds=0.3))
    keys = [kept.add(result, {"number": i}) for i in range(3)]
    assert len(set(keys)) == 3
    with pytest.raises(Problem, match="there is no such result"):
        kept.find(keys[0])
    assert [kept.find(key)[1]["number"] for key in keys[1:]] == [1, 2]
    time.sleep(0.35)
    with pytest.raises(Problem, match="there is no such result") as old:
        kept.find(keys[2])
    assert old.value.status == 404
    alone = KeptResults(Limits(kept_bytes=1))
    np.testing.assert_array_equal(alone.find(alone.add(result, {}))[0].cam, result.cam)  # the last one always fits
