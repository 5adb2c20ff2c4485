"""A web page to try a model on, and an HTTP API: one process, one model, one image at a time (extra `serve`).

Importing this package needs Starlette, uvicorn and python-multipart, and raises `MissingExtraError` without them.

=====================  ===================================================================================
:mod:`.running`        the server as a process: its address, its signals, its end
:mod:`.app`            the routes, and what each of them answers
:mod:`.service`        what the routes share: the model, the engine, and what is said of the model
:mod:`.guard`          what every request passes: Host, Origin, token, errors, and the headers of answers
:mod:`.address`        which hosts are local, and which names a request may call the server by
:mod:`.body`           a request's body, counted and timed as it arrives
:mod:`.holding`        how many bytes of requests are in memory
:mod:`.form`           a multipart form, in memory
:mod:`.fields`         the settings that a form may hold: how each is read, and how it is described
:mod:`.order`          a form as settings of :func:`onnx_cam.explain`, judged before the model runs
:mod:`.engine`         the one thread that runs the model, and the queue before it
:mod:`.jobs`           a piece of work for the engine: its progress, its result, its end before time
:mod:`.work`           what the engine does: explain, predict
:mod:`.answers`        results as JSON
:mod:`.command`        the command line that repeats a request
:mod:`.kept`           results that can be downloaded for a while
:mod:`.outcome`        from a job to a response, in one piece or as a stream of events
:mod:`.choices`        what a page offers: methods, layers, classes, colours
:mod:`.description`    the OpenAPI description
:mod:`.page`           the page and its files, which are in ``static/``
:mod:`.folders`        the folders of this machine, which no answer names
:mod:`.limits`         every limit, in one place
:mod:`.problems`       errors as a status and one line
=====================  ===================================================================================
"""

from onnx_cam.server.import_extra import import_extra

import_extra()

from onnx_cam.server.address import check_address  # noqa: E402 (the extra is checked first)
from onnx_cam.server.app import make_app  # noqa: E402
from onnx_cam.server.limits import Limits  # noqa: E402
from onnx_cam.server.running import check_port, serve  # noqa: E402

__all__ = ["Limits", "check_address", "check_port", "make_app", "serve"]
