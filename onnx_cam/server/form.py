"""A multipart form, in memory."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from onnx_cam.errors import one_line_text
from onnx_cam.server.problems import Problem

__all__ = ["Form", "Upload", "read_form"]

# What is wrong with a form is said in the answer; without a handler Python would print it as well.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_MOST_PARTS = 50
_LONGEST_VALUE = 10_000  # bytes of a field that is no file, and of the headers of a part
_LONGEST_NAME = 200  # characters
_EXPECTED = "expected a multipart form with the file 'image', e.g. curl -F image=@cat.jpg"


@dataclass(frozen=True)
class Upload:
    """A file of a form.

    Attributes
    ----------
    name : str or None
        Its name without any folder; None where it has none.
    content : bytes
    """

    name: str | None
    content: bytes


@dataclass
class Form:
    """What a form holds.

    Attributes
    ----------
    values : dict of str to list of str
        The values of each field, in their order.
    files : dict of str to list of Upload
        The files of each field.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[Upload]] = field(default_factory=dict)


async def read_form(headers: Headers, chunks: AsyncIterator[bytes]) -> Form:
    """Return a form of a request's body. Nothing is written to a disk.

    Parameters
    ----------
    headers : Headers
        Of the request.
    chunks : async iterator of bytes
        The body, as it arrives.

    Raises
    ------
    Problem
        It is no multipart form, or it is damaged, or has too many or too long parts.
    """
    kind, options = parse_options_header(headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise Problem(415, f"the request's type is {_shown(kind) or 'missing'}; {_EXPECTED}")
    if not options.get(b"boundary"):
        raise Problem(400, f"the form's type names no boundary; {_EXPECTED}")
    reader = _Reader()
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks)  # type: ignore[arg-type]
        async for chunk in chunks:
            if chunk:
                parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, f"the form is damaged ({one_line_text(str(error))}); {_EXPECTED}") from error
    if not reader.is_closed:
        raise Problem(400, f"the form ends early; {_EXPECTED}")
    return reader.form


class _Reader:
    """Gathers the parts of a form as the parser finds them."""

    def __init__(self) -> None:
        self.form = Form()
        self.is_closed = False
        self.callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._start_part,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._close,
        }
        self._count = 0
        self._begin_nothing()

    def _begin_nothing(self) -> None:
        self._header = (bytearray(), bytearray())
        self._header_bytes = 0
        self._disposition = b""
        self._name = ""
        self._file_name: str | None = None
        self._is_file = False
        self._data = bytearray()

    def _begin(self) -> None:
        self._begin_nothing()
        self._count += 1
        if self._count > _MOST_PARTS:
            raise Problem(400, f"the form has more than {_MOST_PARTS} parts; {_EXPECTED}")

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[0].extend(data[start:end])

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[1].extend(data[start:end])

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _LONGEST_VALUE:
            raise Problem(400, f"a part of the form has headers of more than {_LONGEST_VALUE:,} bytes; {_EXPECTED}")

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _start_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise Problem(400, f"a part of the form has no name; {_EXPECTED}")
        self._name = _text(options[b"name"])
        self._is_file = b"filename" in options
        self._file_name = _base_name(_text(options[b"filename"])) if self._is_file else None

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if not self._is_file and self._name != "image" and len(self._data) > _LONGEST_VALUE:
            raise Problem(422, f"the field {self._name[:100]!r} is longer than {_LONGEST_VALUE:,} bytes")

    def _end_part(self) -> None:
        if self._is_file or self._name == "image":
            self.form.files.setdefault(self._name, []).append(Upload(self._file_name, bytes(self._data)))
        else:
            self.form.values.setdefault(self._name, []).append(_text(self._data))
        self._begin_nothing()

    def _close(self) -> None:
        self.is_closed = True


def _text(content: bytes | bytearray) -> str:
    return content.decode("utf-8", "replace")


def _base_name(path: str) -> str | None:
    """Return a file's name without any folder, on one line; None where nothing is left."""
    name = one_line_text(path.replace("\\", "/").rpartition("/")[2])
    return name[-_LONGEST_NAME:] or None


def _shown(kind: bytes) -> str:
    return one_line_text(_text(kind))[:100]
