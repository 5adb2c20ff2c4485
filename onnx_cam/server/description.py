"""The OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from onnx_cam._version import __version__
from onnx_cam.names import METHODS
from onnx_cam.server.fields import EXPLAIN_FIELDS, IMAGE, PREDICT_FIELDS, FormField
from onnx_cam.server.kept import FILES
from onnx_cam.server.limits import Limits

__all__ = ["describe_api"]

Schema = dict[str, Any]

_BASE64 = {"type": "string", "contentEncoding": "base64"}
_NULLABLE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_ERRORS = {
    "400": "The form is damaged.",
    "401": "The token is missing or wrong.",
    "403": "The request comes from another site's page, or calls the server by a name that it does not answer to.",
    "404": "There is nothing at this address.",
    "408": "The body arrives too slowly.",
    "413": "The body is too large.",
    "415": "The body is no multipart form.",
    "422": "The image cannot be read, or a setting is unknown, out of range, or not one of this model.",
    "429": "Too many requests wait; Retry-After says when to try again.",
    "500": "The model failed.",
    "503": "The server is shutting down.",
    "504": "The map was not ready within the server's time limit.",
}


def describe_api(limits: Limits, *, with_token: bool) -> bytes:
    """Return the OpenAPI description of the API as JSON.

    Parameters
    ----------
    limits : Limits
    with_token : bool
        Whether the API needs a token.

    Examples
    --------
    >>> sorted(json.loads(describe_api(Limits(), with_token=False))["paths"])[:3]
    ['/api/choices', '/api/explain', '/api/model']
    """
    description: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "onnx-cam",
            "version": __version__,
            "description": "Which pixels the decision of an ONNX image classifier rests on. Every error is "
            '`{"error": "one line"}`. One model, one image at a time: the other requests wait.',
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/explain": {"post": _explain(limits, with_token)},
            "/api/predict": {"post": _predict(limits, with_token)},
            "/api/model": {
                "get": _get(
                    "What was detected about the model, as onnx-cam inspect --json prints it.", with_token, "Findings"
                )
            },
            "/api/choices": {
                "get": _get("What can be asked of the model: methods, layers, classes, colours.", with_token, "Choices")
            },
            "/api/results/{key}/{name}": {"get": _download(with_token)},
            "/health": {"get": _get("Whether the server answers; it needs no token.", False, "Health")},
        },
        "components": {"schemas": _schemas()},
    }
    if with_token:
        description["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return json.dumps(description, ensure_ascii=False).encode()


def _explain(limits: Limits, with_token: bool) -> Schema:
    answer = {
        "description": "A record for each class, from the same forward passes. With `Accept: text/event-stream` the "
        "events waiting, progress, and at the end result, with the same JSON, or error.",
        "content": {
            "application/json": {"schema": _ref("Results")},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
    return {
        "operationId": "explain",
        "summary": "Explain the decision for an image.",
        "requestBody": _form(EXPLAIN_FIELDS, limits),
        "responses": {"200": answer, **_errors(with_token, *_ERRORS)},
        **_security(with_token),
    }


def _predict(limits: Limits, with_token: bool) -> Schema:
    return {
        "operationId": "predict",
        "summary": "Return the five likeliest classes of an image.",
        "requestBody": _form(PREDICT_FIELDS, limits),
        "responses": {"200": _json("The classes, the likeliest first.", "Prediction"), **_errors(with_token, *_ERRORS)},
        **_security(with_token),
    }


def _get(summary: str, with_token: bool, schema: str) -> Schema:
    return {
        "operationId": schema.lower(),
        "summary": summary,
        "responses": {"200": _json(summary, schema), **_errors(with_token, "401", "403")},
        **_security(with_token),
    }


def _download(with_token: bool) -> Schema:
    drawing = [one for one in EXPLAIN_FIELDS if one.name in ("alpha", "colormap")]
    types = dict.fromkeys(file.media_type for file in FILES.values())
    return {
        "operationId": "download",
        "summary": "Download a file of a result that was explained with include=link in the last minutes.",
        "parameters": [
            {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": list(FILES)}},
            *(
                {"name": one.name, "in": "query", "schema": dict(one.schema), "description": one.description}
                for one in drawing
            ),
        ],
        "responses": {
            "200": {"description": "The file.", "content": {kind: {} for kind in types}},
            **_errors(with_token, "401", "403", "404", "422"),
        },
        **_security(with_token),
    }


def _form(fields: Sequence[FormField], limits: Limits) -> Schema:
    properties: Schema = {
        IMAGE: {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "The image file: JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC; "
            f"the whole request has at most {limits.body_bytes >> 20} MB.",
        }
    }
    for one in fields:
        schema = {**one.schema, "description": one.description}
        properties[one.name] = schema
    schema = {"type": "object", "properties": properties, "required": [IMAGE], "additionalProperties": False}
    encoding = {IMAGE: {"contentType": "image/*, application/octet-stream"}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "encoding": encoding}}}


def _errors(with_token: bool, *statuses: str) -> Schema:
    return {status: _json(_ERRORS[status], "Error") for status in statuses if with_token or status != "401"}


def _json(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _security(with_token: bool) -> Schema:
    return {"security": [{"token": []}]} if with_token else {}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, *, optional: Schema | None = None, others: bool = False) -> Schema:
    """Return the schema of an object, whose properties are required but for the optional ones."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": others,
    }


def _schemas() -> Schema:
    return {
        "Error": _object({"error": {"type": "string", "description": "What was given, expected, and what to do."}}),
        "Health": _object({"status": {"const": "ok"}}),
        "Findings": {
            "type": "object",
            "additionalProperties": _object({"value": {"type": "string"}, "source": {"type": "string"}}),
        },
        "Target": _object({"index": _COUNT, "label": _NULLABLE_TEXT, "score": {"type": "number"}}),
        "Prediction": _object({"top": {"type": "array", "items": _ref("Target"), "maxItems": 5}}),
        "Results": _object({"results": {"type": "array", "items": _ref("Result"), "minItems": 1}}),
        "Result": _object(_record(), optional=_extras(), others=True),
        "MapError": _object(
            {
                "of": {"type": "string"},
                "relative_error": {"type": ["number", "null"]},
                "relative_error_interval": {"type": ["array", "null"], "items": {"type": "number"}},
                "level": {"type": "number"},
                "largest_deviation": {"type": ["number", "null"]},
            }
        ),
        "Choices": {"type": "object", "required": ["model", "methods", "layers"]},
    }


def _record() -> Schema:
    """Return the fields of a result that are always there: those of the record, and the overlay."""
    sizes = {"type": "array", "items": _COUNT}
    return {
        "model": _NULLABLE_TEXT,
        "model_sha256": {"type": "string"},
        "image": _NULLABLE_TEXT,
        "image_sha256": {"type": "string"},
        "method": {"type": "string", "enum": list(METHODS)},
        "variant": {"type": "string"},
        "parameters": {"type": "object"},
        "seed": _COUNT,
        "layer": {"type": "string"},
        "layer_shape": sizes,
        "target": _ref("Target"),
        "versus": {"anyOf": [_ref("Target"), {"type": "null"}]},
        "top": {"type": "array", "items": _ref("Target")},
        "empty": {"type": "boolean"},
        "specificity": {"type": ["number", "null"]},
        "crop": sizes,
        "passes": _COUNT,
        "passes_skipped": _COUNT,
        "exact_passes": {"type": ["integer", "null"]},
        "error": {"anyOf": [_ref("MapError"), {"type": "null"}]},
        "seconds": {"type": "number"},
        "provider": {"type": "string"},
        "cpu_fallback_nodes": {"type": ["integer", "null"]},
        "batch_size": _COUNT,
        "streams": _COUNT,
        "preprocessing": {"type": "object"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "files": {"type": "object", "maxProperties": 0},
        "versions": {"type": "object"},
        "overlay_png": {**_BASE64, "contentMediaType": "image/png"},
    }


def _extras() -> Schema:
    """Return the fields of a result that a request asks for with ``include``."""
    file = {"type": ["string", "null"], "contentEncoding": "base64"}
    return {
        "cam_npy": _BASE64,
        "map_npy": _BASE64,
        "error_npy": file,
        "view": {"type": "object"},
        "link": {
            "type": "object",
            "additionalProperties": _object({"href": {"type": "string"}, "name": {"type": "string"}}),
        },
    }
