"""What every picture and page shares: bytes as a data URI."""

from __future__ import annotations

import base64

__all__ = ["data_uri"]


def data_uri(content: bytes, media_type: str) -> str:
    """Return bytes as a URI that a page can hold, so that it needs no second file.

    Parameters
    ----------
    content : bytes
        The file's content.
    media_type : str
        Its type, e.g. ``image/png``.

    Examples
    --------
    >>> data_uri(b"abc", "text/plain")
    'data:text/plain;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
