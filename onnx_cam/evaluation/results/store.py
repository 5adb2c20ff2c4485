"""The results file: one SQLite database, in which maps and figures are kept as they come.

::

    run          what all results have in common, and what was last asked for (JSON values)
    images       one row an image: where it lies, what the model says of it, a small copy of it
    maps         one row an image and method: L, and the record of how it was made
    figures      one row an image, method and metric

Whatever is killed loses what it was at work on, and nothing else: a map comes with its figures in one transaction.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutputError, one_line
from onnx_cam.metrics.base import Measurement

__all__ = ["FILE_NAME", "LAYOUT", "MeasuredMap", "Results", "SeenImage"]

FILE_NAME = "results.sqlite"
LAYOUT = 1
"""The version of the tables."""

_DAMAGE = (ValueError, TypeError, LookupError, EOFError, SyntaxError, TokenError)
"""What reading values of a damaged file raises: JSON, and NumPy's header, which is a Python literal."""

_TABLES = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, facts TEXT NOT NULL, picture BLOB NOT NULL
);
CREATE TABLE maps (
    image TEXT NOT NULL REFERENCES images, method TEXT NOT NULL, cam BLOB NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (image, method)
);
CREATE TABLE figures (
    image TEXT NOT NULL, method TEXT NOT NULL, metric TEXT NOT NULL, value REAL, curve TEXT NOT NULL,
    PRIMARY KEY (image, method, metric), FOREIGN KEY (image, method) REFERENCES maps
);
"""


@dataclass(frozen=True)
class SeenImage:
    """An image as the model saw it.

    Attributes
    ----------
    sha256 : str
        Of the file.
    name : str
        In the dataset.
    path : str
    facts : mapping
        Plain JSON values: ``label`` and ``predicted`` (positions in the model's output; label None where unknown),
        ``label_name``, ``predicted_name``, ``score``, ``width``, ``height``, ``crop`` (x0, y0, x1, y1) and ``boxes``
        ([x0, y0, x1, y1] each, continuous pixels).
    picture : bytes
        A JPEG of the whole image, no side longer than 400 pixels.
    """

    sha256: str
    name: str
    path: str
    facts: Mapping[str, Any]
    picture: bytes


@dataclass(frozen=True)
class MeasuredMap:
    """A map, the record of how it was made, and what was measured of it.

    Attributes
    ----------
    image, method : str
        The image's hash, and the method's key.
    cam : ndarray of shape (h, w), float32
        L.
    record : mapping
        As :meth:`onnx_cam.Explanation.record` gives it.
    figures : mapping of str to Measurement
        By the metrics' keys.
    """

    image: str
    method: str
    cam: NDArray[np.float32]
    record: Mapping[str, Any]
    figures: Mapping[str, Measurement] = field(default_factory=dict)


class Results:
    """A results file, open for reading; or for writing, and then by no one else.

    Parameters
    ----------
    path : str or Path
    write : bool
        Make the file where there is none, and keep all others out until it is closed.

    Raises
    ------
    OutputError
        It cannot be opened, is no results file, is of another layout, or another process writes to it.
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        self._made = write and not self.path.exists()
        if not write and not self.path.is_file():
            raise OutputError(f"no results at '{self.path}'; expected what onnx-cam evaluate -o wrote: run it first")
        with self.naming_failures():
            # Without a timeout: a second process is told at once, instead of waiting for hours.
            self._connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            try:
                self._open(write)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Results:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        bare = failure is not None and self._made and not self._rows("SELECT 1 FROM maps LIMIT 1")
        self.close()
        if bare:  # nothing came of it
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, and let others in."""
        self._connection.close()

    @property
    def run(self) -> dict[str, Any]:
        """What all results have in common, and what was last asked for."""
        with self.naming_failures():
            return {key: json.loads(value) for key, value in self._rows("SELECT key, value FROM run")}

    def set_run(self, facts: Mapping[str, Any]) -> None:
        """Write what all results have in common; what is there under other keys stays."""
        rows = [(key, json.dumps(value)) for key, value in facts.items()]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", rows)

    def images(self) -> dict[str, SeenImage]:
        """Return every image, by its hash."""
        rows = self._rows("SELECT sha256, name, path, facts, picture FROM images")
        with self.naming_failures():
            return {row[0]: SeenImage(row[0], row[1], row[2], json.loads(row[3]), row[4]) for row in rows}

    def add_image(self, image: SeenImage) -> None:
        """Write an image, in place of the one with its hash."""
        facts = json.dumps(image.facts, sort_keys=True)
        values = image.sha256, image.name, image.path, facts, image.picture
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", values)

    def measured(self) -> dict[tuple[str, str], set[str]]:
        """Return the metrics that are known of each image and method; none where there is the map alone."""
        known: dict[tuple[str, str], set[str]] = {
            (i, m): set() for i, m in self._rows("SELECT image, method FROM maps")
        }
        with self.naming_failures():
            for image, method, metric in self._rows("SELECT image, method, metric FROM figures"):
                known[image, method].add(metric)
        return known

    def costs(self) -> dict[str, float]:
        """Return the mean number of passes for a map and its figures, by the method's key."""
        passes = "json_extract(record, '$.passes') + json_extract(record, '$.measuring_passes')"
        return dict(self._rows(f"SELECT method, avg({passes}) FROM maps GROUP BY method"))

    def map(self, image: str, method: str) -> MeasuredMap:
        """Return a map with all that was measured of it."""
        where, values = "WHERE image = ? AND method = ?", (image, method)
        with self.naming_failures():
            ((cam, record),) = self._rows(f"SELECT cam, record FROM maps {where}", values)
            rows = self._rows(f"SELECT metric, value, curve FROM figures {where}", values)
            figures = {metric: Measurement(value, tuple(json.loads(curve))) for metric, value, curve in rows}
            return MeasuredMap(image, method, np.load(io.BytesIO(cam), allow_pickle=False), json.loads(record), figures)

    def add_map(self, found: MeasuredMap) -> None:
        """Write a map and its figures, all of it or nothing; figures of it that are there already stay."""
        cam = io.BytesIO()
        np.save(cam, found.cam, allow_pickle=False)
        record = json.dumps(dict(found.record), sort_keys=True, allow_nan=False)
        rows = [
            (found.image, found.method, metric, figure.value, json.dumps(figure.curve))
            for metric, figure in found.figures.items()
        ]
        with self._transaction():
            values = found.image, found.method, cam.getvalue(), record
            self._connection.execute("INSERT OR IGNORE INTO maps VALUES (?, ?, ?, ?)", values)
            self._connection.executemany("INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def naming_failures(self) -> Iterator[None]:
        """Turn what goes wrong with reading or writing this file into an `OutputError` that names it."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise OutputError(
                    f"another process writes to '{self.path}'; wait until it is done, or choose another folder"
                ) from error
            raise self._unusable(error) from error
        except _DAMAGE as error:
            raise self._unusable(error) from error

    def _open(self, write: bool) -> None:
        if write:
            # Taken with the first write and kept to the end; a process that is killed lets go of it.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
        (layout,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if write and not tables and not layout:
            for statement in filter(str.strip, _TABLES.split(";")):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {LAYOUT}")
        elif layout != LAYOUT:
            raise OutputError(
                f"'{self.path}' has the layout {layout}; this onnx-cam writes {LAYOUT}: choose another folder"
            )
        if write:
            self._connection.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.naming_failures(), closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.naming_failures():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"'{self.path}' cannot be used as a results file: {one_line(error, 120)}; choose another folder"
        )
