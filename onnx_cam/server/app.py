"""The routes, and what each of them answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.drawing.overlay import check_drawing
from onnx_cam.server.address import AllowedHosts, check_address
from onnx_cam.server.description import describe_api
from onnx_cam.server.fields import EXPLAIN_FIELDS, read_fields
from onnx_cam.server.form import Form, read_form
from onnx_cam.server.guard import Guard
from onnx_cam.server.jobs import Work
from onnx_cam.server.kept import FILES
from onnx_cam.server.limits import Limits
from onnx_cam.server.order import ExplainOrder, PredictOrder
from onnx_cam.server.outcome import EVENT_STREAM, EventStream, content_of
from onnx_cam.server.page import page_files
from onnx_cam.server.problems import Problem, as_problem, problem_response
from onnx_cam.server.service import Service
from onnx_cam.server.work import explain_upload, predict_upload

__all__ = ["make_app"]

_JSON = "application/json"
_DOWNLOADS = 2  # files that are made at once; making a PNG of a large photo takes a second

Order = TypeVar("Order")


def make_app(
    classifier: Classifier,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    allow_hosts: Sequence[str] = (),
    limits: Limits | None = None,
    loading: Sequence[tuple[str, str]] = (),
) -> Starlette:
    """Return the page and the HTTP API of a model as an ASGI application, for a server of your own.

    Parameters
    ----------
    classifier : Classifier
        What :func:`onnx_cam.load` returned. Nobody else may use it meanwhile: its maps would wait for theirs.
    host : str
        The name or the IP address that the server will listen at; it settles which Host headers are taken.
    token : str, optional
        What every request of the API has to show.
    allow_hosts : sequence of str
        Further names that requests may call the server by.
    limits : Limits, optional
    loading : sequence of (str, str)
        The options that the model was loaded with on a command line, and their values, such as
        ``("--labels", "imagenet")``: the page shows the command that repeats a map.

    Returns
    -------
    starlette.applications.Starlette
        Its ``state.service.engine.stop()`` ends all work.

    Raises
    ------
    SettingError
        Others can reach the host, and there is no token.

    Examples
    --------
    >>> import onnx_cam
    >>> app = make_app(onnx_cam.load("model.onnx"))
    >>> [route.path for route in app.routes if "explain" in route.path]
    ['/api/explain']
    """
    check_address(host, token, allow_hosts)
    limits = limits or Limits()
    service = Service(classifier, limits, loading)
    routes = _Routes(service, with_token=token is not None)
    guard = Middleware(Guard, hosts=AllowedHosts.of(host, allow_hosts), token=token, limits=limits)
    app = Starlette(routes=routes.all(), middleware=[guard], exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False  # a redirect would repeat the Host header
    app.state.service = service
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    return problem_response(as_problem(error))


class _Routes:
    """The routes of one service."""

    def __init__(self, service: Service, *, with_token: bool) -> None:
        self._service = service
        self._files = page_files()
        self._description = describe_api(service.limits, with_token=with_token)
        self._downloads = asyncio.Semaphore(_DOWNLOADS)

    def all(self) -> list[Route]:
        get = ["GET"]
        return [
            Route("/", self._page, methods=get),
            Route("/static/{name}", self._file, methods=get),
            Route("/health", _fixed(b'{"status": "ok"}'), methods=get),
            Route("/openapi.json", _fixed(self._description), methods=get),
            Route("/api/model", _fixed(self._service.inspection), methods=get),
            Route("/api/choices", _fixed(self._service.choices), methods=get),
            Route("/api/explain", self._explain, methods=["POST"]),
            Route("/api/predict", self._predict, methods=["POST"]),
            Route("/api/results/{key}/{name}", self._download, methods=get),
        ]

    async def _page(self, request: Request) -> Response:
        return self._files["page.html"].response()

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files or name == "page.html":
            raise HTTPException(404)
        return self._files[name].response()

    async def _explain(self, request: Request) -> Response:
        service = self._service
        make_order = partial(ExplainOrder.of, classifier=service.classifier, limits=service.limits)
        wants_events = EVENT_STREAM in request.headers.get("accept", "").lower()
        return await self._answer(request, make_order, partial(partial, explain_upload, service), wants_events)

    async def _predict(self, request: Request) -> Response:
        return await self._answer(request, PredictOrder.of, partial(partial, predict_upload, self._service))

    async def _answer(
        self,
        request: Request,
        make_order: Callable[[Form], Order],
        make_work: Callable[[Order], Work],
        wants_events: bool = False,
    ) -> Response:
        """Read a form, judge it, let the engine work on it, and return what comes out."""
        service = self._service
        _check_query(request)
        service.engine.check_room()
        held = service.holding.enter()
        try:
            async with aclosing(held.count(request.stream())) as chunks:
                form = await read_form(request.headers, chunks)
            job = service.engine.submit(make_work(make_order(form)))
            if wants_events:
                return EventStream(job, service.engine, held.release)
            return Response(await content_of(job, service.engine, request), media_type=_JSON)
        except BaseException:
            held.release()
            raise

    async def _download(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            raise Problem(404, f"a result has no file {name[:100]!r}; expected one of {', '.join(FILES)}")
        drawing = Form(values={key: request.query_params.getlist(key) for key in request.query_params})
        settings = read_fields(drawing, [one for one in EXPLAIN_FIELDS if one.name in ("alpha", "colormap")])
        alpha, colormap = settings.get("alpha", 0.5), settings.get("colormap", "turbo")
        check_drawing(alpha, colormap)
        result, record = self._service.kept.find(request.path_params["key"])
        async with self._downloads:
            content = await asyncio.to_thread(FILES[name].make, result, record, alpha, colormap)
        return Response(content, media_type=FILES[name].media_type)


def _check_query(request: Request) -> None:
    if request.url.query:
        raise Problem(422, "the address holds settings after its question mark; expected them as fields of the form")


def _fixed(content: bytes) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that always answers the same."""

    async def answer(request: Request) -> Response:
        return Response(content, media_type=_JSON)

    return answer
