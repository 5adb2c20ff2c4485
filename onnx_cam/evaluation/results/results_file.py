"""The results file of a run: one SQLite database, in which each map and figure is stored as soon as it is computed.

::

    run          what all results have in common, and the requests (JSON values by key)
    images       a row for each image: where it lies, what the model predicts, a small copy of it
    maps         a row for each image and method: the map, and the record of how it was made
    figures      a row for each image, method and metric
    cells        a row for each image of a run with mosaics: what the model sees of it in a cell

A map is written with its figures in one transaction, so that a process that is killed loses the map it was working on
and nothing else. Figures that take other explanations follow, each in a transaction of its own. Transactions are short
and use SQLite's rollback journal, so that other processes can read the file between them during a run. (SQLite's
write-ahead log would let them read during one, too. But it needs memory that all of them share, which network file
systems lack, and leaves files that cannot be opened in a read-only folder.)
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from tokenize import TokenError
from typing import Any

import numpy as np

from onnx_cam.errors import OutputError, one_line
from onnx_cam.evaluation.mosaics import CellView
from onnx_cam.evaluation.results.records import ImageFacts, MeasuredMap, MoreFigures, SeenImage
from onnx_cam.evaluation.results.request import Request
from onnx_cam.evaluation.results.writer_lock import WriterLock, is_busy, primary_code
from onnx_cam.metrics.base import Measurement

__all__ = ["FILE_NAME", "LAYOUT", "ResultsFile"]

FILE_NAME = "results.sqlite"
LAYOUT = 2
"""The version of the tables."""

_LOCK_NAME = "results.lock"
_JOURNAL_SUFFIX = "-journal"

_FINISHED = "asked"
"""The key, among those of the table ``run``, of the last request that was carried out to its end."""

_BEGUN = "begun"
"""The key of the request that is being carried out, or that was stopped."""

_WRITER_PATIENCE = 60.0  # seconds that a reader may keep the writer waiting
_READER_PATIENCE = 30.0  # seconds that the writer's transaction may keep a reader waiting

_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
"""How SQLite fails where it must repair a file and may not write beside it."""

_DAMAGE = (ValueError, TypeError, LookupError, EOFError, SyntaxError, TokenError)
"""What the values of a damaged file raise when they are read: JSON, and NumPy's header, which is a Python literal."""

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
    parts TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (image, method, metric), FOREIGN KEY (image, method) REFERENCES maps
);
CREATE TABLE cells (
    image TEXT NOT NULL, scaled INTEGER NOT NULL, view TEXT NOT NULL, PRIMARY KEY (image, scaled)
) WITHOUT ROWID;
"""


class ResultsFile:
    """A results file, open for reading, or for writing by this process and no other.

    Reading is possible at any time, also while another process writes and after it was killed. A reader sees every map
    that was complete at the moment of its query.

    Parameters
    ----------
    path : str or Path
    write : bool
        Make the file where there is none, and keep other writers out until it is closed.

    Raises
    ------
    OutputError
        The file cannot be opened, is not a results file, has another layout, or another process writes to it.

    Examples
    --------
    >>> with ResultsFile("results.sqlite", write=True) as results:
    ...     results.set_run({"layer": "relu2"})
    >>> with ResultsFile("results.sqlite") as results:
    ...     results.run
    {'layer': 'relu2'}
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        self._is_new = write and not self.path.exists()
        self._is_unused = False
        self._patience = _WRITER_PATIENCE if write else _READER_PATIENCE
        if not write and not self.path.is_file():
            raise OutputError(f"no results at '{self.path}'; expected a folder that onnx-cam evaluate -o wrote")
        with ExitStack() as resources, self.naming_failures():
            if write:
                lock = WriterLock(self.path.with_name(_LOCK_NAME), self.path)
                resources.callback(lock.release)
                resources.callback(self._remove_if_unused)  # once the connection is closed, and still locked
                self._connection = resources.enter_context(closing(self._connect(self.path)))
                self._create_tables()
                self._check_layout()
            else:
                self._connection = resources.enter_context(closing(self._connect(self.path)))
                self._open_to_read(resources)
            self._resources = resources.pop_all()

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            failed = failure is not None and self._is_new
            self._is_unused = failed and not self._rows("SELECT 1 FROM maps LIMIT 1")
        finally:
            self.close()

    def close(self) -> None:
        """Close the file, and let others write."""
        self._resources.close()

    @property
    def run(self) -> dict[str, Any]:
        """What all results have in common, as plain JSON values."""
        with self.naming_failures():
            rows = self._rows("SELECT key, value FROM run WHERE key NOT IN (?, ?)", (_FINISHED, _BEGUN))
            return {key: json.loads(value) for key, value in rows}

    def set_run(self, facts: Mapping[str, Any]) -> None:
        """Write what all results have in common. Values under other keys stay."""
        with self._transaction():
            for key, value in facts.items():
                self._set(key, value)

    @property
    def finished_request(self) -> Request | None:
        """The last request that was carried out to its end."""
        return self._request(_FINISHED)

    @property
    def begun_request(self) -> Request | None:
        """The request that is being carried out, or that was interrupted; None once it was carried out to its end."""
        return self._request(_BEGUN)

    def begin(self, request: Request) -> None:
        """Store what is going to be measured, so that a reader can tell how far the run has come."""
        self.set_run({_BEGUN: request.as_json()})

    def finish(self, request: Request) -> None:
        """Store what has been measured, in place of what was going to be."""
        with self._transaction():
            self._set(_FINISHED, request.as_json())
            self._connection.execute("DELETE FROM run WHERE key = ?", (_BEGUN,))

    def images(self) -> dict[str, SeenImage]:
        """Return every image, by its hash."""
        rows = self._rows("SELECT sha256, name, path, facts, picture FROM images")
        with self.naming_failures():
            return {
                sha256: SeenImage(sha256, name, path, ImageFacts.from_json(json.loads(facts)), picture)
                for sha256, name, path, facts, picture in rows
            }

    def add_image(self, image: SeenImage) -> None:
        """Store an image, in place of one with the same hash."""
        facts = json.dumps(image.facts.as_json(), sort_keys=True)
        values = image.sha256, image.name, image.path, facts, image.picture
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", values)

    def cell_views(self, *, scaled: bool) -> dict[str, CellView]:
        """Return what the model sees of images in a cell of a mosaic, scaled to its input or not, by their hashes."""
        rows = self._rows(f"SELECT image, view FROM cells WHERE scaled = {scaled:d}")
        with self.naming_failures():
            return {image: CellView(**json.loads(view)) for image, view in rows}

    def add_cell_view(self, image: str, view: CellView, *, scaled: bool) -> None:
        """Store what the model sees of an image in a cell of a mosaic."""
        with self._transaction():
            values = image, scaled, json.dumps(view.as_json())
            self._connection.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", values)

    def measured(self) -> dict[tuple[str, str], set[str]]:
        """Return the keys of the metrics that each map has been measured by, by the image's hash and the method's key.

        A map without figures has an empty set.
        """
        metrics: dict[tuple[str, str], set[str]] = {}
        # One query, so that no map can be added between its map and its figures.
        query = "SELECT image, method, metric FROM maps LEFT JOIN figures USING (image, method)"
        for image, method, metric in self._rows(query):
            of_map = metrics.setdefault((image, method), set())
            if metric is not None:
                of_map.add(metric)
        return metrics

    def costs(self) -> dict[str, float]:
        """Return the mean number of forward passes for a map and its figures, by the method's key."""
        passes = "json_extract(record, '$.passes') + json_extract(record, '$.measuring_passes')"
        return dict(self._rows(f"SELECT method, avg({passes}) FROM maps GROUP BY method"))

    def map(self, image: str, method: str) -> MeasuredMap:
        """Return a map with its record and its figures."""
        where, values = "WHERE image = ? AND method = ?", (image, method)
        with self.naming_failures():
            ((cam, record),) = self._rows(f"SELECT cam, record FROM maps {where}", values)
            rows = self._rows(f"SELECT metric, value, curve, parts, reason FROM figures {where}", values)
            figures = {
                metric: Measurement(value, tuple(json.loads(curve)), json.loads(parts), reason)
                for metric, value, curve, parts, reason in rows
            }
            return MeasuredMap(image, method, np.load(io.BytesIO(cam), allow_pickle=False), json.loads(record), figures)

    def add_map(self, measured: MeasuredMap) -> None:
        """Store a map and its figures, all of it or nothing. Other figures of the same map stay."""
        cam = io.BytesIO()
        np.save(cam, measured.cam, allow_pickle=False)
        record = json.dumps(dict(measured.record), sort_keys=True, allow_nan=False)
        with self._transaction():
            values = measured.image, measured.method, cam.getvalue(), record
            self._connection.execute("INSERT OR IGNORE INTO maps VALUES (?, ?, ?, ?)", values)
            self._insert_figures(measured)

    def add_figures(self, more: MoreFigures) -> None:
        """Store further figures of a map, and add the forward passes that they took to those in its record."""
        where, values = "WHERE image = ? AND method = ?", (more.image, more.method)
        with self._transaction():
            ((text,),) = self._rows(f"SELECT record FROM maps {where}", values)
            record = json.loads(text)
            record["measuring_passes"] += more.passes
            changed = json.dumps(record, sort_keys=True, allow_nan=False)
            self._connection.execute(f"UPDATE maps SET record = ? {where}", (changed, *values))
            self._insert_figures(more)

    def _insert_figures(self, measured: MeasuredMap | MoreFigures) -> None:
        rows = [
            (measured.image, measured.method, metric, one.value, *map(json.dumps, (one.curve, one.parts)), one.reason)
            for metric, one in measured.figures.items()
        ]
        self._connection.executemany("INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def naming_failures(self) -> Iterator[None]:
        """Turn every failure to read or write this file into an `OutputError` that names it."""
        try:
            yield
        except sqlite3.Error as error:
            if is_busy(error):
                raise OutputError(
                    f"another process has kept '{self.path}' locked for {self._patience:.0f} s; "
                    "close the program that has it open, and run the same command again"
                ) from error
            raise self._unusable(error) from error
        except _DAMAGE as error:
            raise self._unusable(error) from error

    def _connect(self, path: Path) -> sqlite3.Connection:
        # isolation_level=None: transactions begin and end where this class says so.
        return sqlite3.connect(path, timeout=self._patience, isolation_level=None)

    def _create_tables(self) -> None:
        """Create the tables in a new file."""
        with self._transaction():
            if self._layout() == (0, 0):
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {LAYOUT}")

    def _open_to_read(self, resources: ExitStack) -> None:
        """Check that the file can be read; if it can only be copied, open the copy instead."""
        journal = self.path.with_name(self.path.name + _JOURNAL_SUFFIX)
        try:
            self._check_layout()
        except sqlite3.OperationalError as error:
            # A process was killed in the middle of a transaction. SQLite undoes its half with the help of the journal
            # that it left behind, but here the file or the folder is read-only. So undo it in a copy.
            if primary_code(error) not in _UNWRITABLE or not journal.is_file():
                raise
            folder = Path(resources.enter_context(TemporaryDirectory(prefix="onnx-cam-")))
            self._connection.close()
            try:
                for file in (self.path, journal):
                    shutil.copyfile(file, folder / file.name)
            except OSError as reason:
                raise self._unusable(reason) from reason
            self._connection = resources.enter_context(closing(self._connect(folder / self.path.name)))
            self._check_layout()

    def _check_layout(self) -> None:
        layout, tables = self._layout()
        if not layout and not tables:
            raise OutputError(f"'{self.path}' holds no results yet; wait for the first image, or start the run again")
        if layout != LAYOUT:
            raise OutputError(
                f"'{self.path}' has version {layout} of the results layout; expected {LAYOUT}: choose another folder, "
                "or use the onnx-cam that wrote it"
            )

    def _layout(self) -> tuple[int, int]:
        """Return the version of the layout, and the number of tables."""
        (layout,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return layout, tables

    def _remove_if_unused(self) -> None:
        if self._is_unused:
            self.path.unlink(missing_ok=True)

    def _request(self, key: str) -> Request | None:
        with self.naming_failures():
            rows = self._rows("SELECT value FROM run WHERE key = ?", (key,))
            return Request.from_json(json.loads(rows[0][0])) if rows else None

    def _set(self, key: str, value: object) -> None:
        self._connection.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, json.dumps(value)))

    def _rows(self, query: str, values: Sequence[str] = ()) -> list[tuple[Any, ...]]:
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
