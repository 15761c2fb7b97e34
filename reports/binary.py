"""NumPy arrays to and from PostgreSQL in its binary COPY format, without a Python object for each value.

Everything here works on the connection that Django has open, and so inside Django's transaction. Instants are ``int64``
microseconds since 1970-01-01T00:00Z; PostgreSQL's own count from 2000, and the difference is dealt with here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray
from psycopg import sql

Cursor = psycopg.Cursor[tuple[Any, ...]]
Integers = NDArray[np.int64]

MICROSECONDS_TO_2000 = 946_684_800_000_000
_SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"


@contextmanager
def cursor() -> Iterator[Cursor]:
    """A psycopg cursor on Django's connection: parameters are bound by the server, and COPY is at hand."""
    connection.ensure_connection()
    with psycopg.Cursor(cast("psycopg.Connection[tuple[Any, ...]]", connection.connection)) as raw:
        raw.adapters.register_dumper(BigintArray, _TextDumper)
        raw.adapters.register_dumper(BigintArray, _BinaryDumper)
        yield raw


@contextmanager
def reading() -> Iterator[Cursor]:
    """The same for reads: errors come out as Django's, so that callers know one family of them."""
    with connection.wrap_database_errors, cursor() as raw:
        yield raw


def fetch(raw: Cursor, query: LiteralString, parameters: Sequence[Any], *, columns: int) -> list[Integers]:
    """The result of ``query`` as one ``int64`` array for each column.

    Every column has to be a ``bigint`` or a ``timestamptz`` and never NULL; an instant comes as microseconds since 2000
    (see :func:`minutes_from`). Raises ``ValueError`` when the rows have another shape.
    """
    row = np.dtype([("fields", ">i2"), *[(f"{part}{i}", kind) for i in range(columns) for part, kind in _FIELD]])
    with raw.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(sql.SQL(query)), parameters) as copy:
        body = b"".join(bytes(piece) for piece in copy)
    header, end = len(_SIGNATURE), len(body) - len(_END)
    if (end - header) % row.itemsize:
        raise ValueError(f"expected {columns} columns of 8 bytes in each row")
    rows = np.frombuffer(body, dtype=row, count=(end - header) // row.itemsize, offset=header)
    return [rows[f"value{i}"].astype(np.int64) for i in range(columns)]


_FIELD = (("length", ">i4"), ("value", ">i8"))


def minutes_from(microseconds: Integers) -> Integers:
    """Whole minutes since 1970 of instants as :func:`fetch` gives them."""
    return (microseconds + MICROSECONDS_TO_2000) // 60_000_000


def copy_in(raw: Cursor, table: str, columns: Sequence[tuple[str, str, NDArray[Any] | None]], *, rows: int) -> None:
    """Appends ``rows`` rows to ``table``. Each column is its name, its type and its values.

    Types: ``uuid`` (an array of ``V16``), ``bigint``, ``integer``, ``smallint``, ``boolean``, ``float``,
    ``timestamptz`` (microseconds since 1970), ``null`` (no values), and ``text:...`` (the same text in every row).
    """
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for i, (_name, kind, _values) in enumerate(columns):
        fields.append((f"length{i}", ">i4"))
        if not kind.startswith("text:"):
            fields.extend([(f"value{i}", _WIRE[kind])] if kind != "null" else [])
        elif text := kind[5:].encode():
            fields.append((f"value{i}", f"S{len(text)}"))
    packed = np.zeros(rows, dtype=np.dtype(fields))
    packed["fields"] = len(columns)
    for i, (_name, kind, values) in enumerate(columns):
        if kind == "null":
            packed[f"length{i}"] = -1
        elif kind.startswith("text:"):
            text = kind[5:].encode()
            packed[f"length{i}"] = len(text)
            if text:
                packed[f"value{i}"] = text
        else:
            assert values is not None
            packed[f"length{i}"] = packed.dtype[f"value{i}"].itemsize
            packed[f"value{i}"] = values - MICROSECONDS_TO_2000 if kind == "timestamptz" else values
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(name) for name, _kind, _values in columns)
    )
    with raw.copy(statement) as copy:
        copy.write(_SIGNATURE)
        # In pieces: psycopg would hold a second copy of the whole otherwise.
        body = memoryview(packed.tobytes())
        for start in range(0, len(body), 1 << 20):
            copy.write(body[start : start + (1 << 20)])
        copy.write(_END)


_WIRE = {
    "uuid": "V16",
    "bigint": ">i8",
    "integer": ">i4",
    "smallint": ">i2",
    "boolean": "u1",
    "timestamptz": ">i8",
    "float": ">f8",
}


class BigintArray:
    """A ``bigint[]`` parameter made of an ``int64`` array; cursors of this module know how to send it."""

    def __init__(self, values: Integers) -> None:
        self.values = values


class _TextDumper(psycopg.adapt.Dumper):
    """For COPY, which takes no parameters and has to be written with literals."""

    oid = psycopg.postgres.types["int8"].array_oid

    def dump(self, obj: BigintArray) -> bytes:
        return b"{" + ",".join(map(str, obj.values.tolist())).encode() + b"}"


class _BinaryDumper(psycopg.adapt.Dumper):
    format = psycopg.pq.Format.BINARY
    oid = psycopg.postgres.types["int8"].array_oid

    def dump(self, obj: BigintArray) -> bytes:
        count = len(obj.values)
        if not count:
            return np.array([0, 0, _INT8], dtype=">i4").tobytes()
        packed = np.empty(count, dtype=np.dtype([("length", ">i4"), ("value", ">i8")]))
        packed["length"] = 8
        packed["value"] = obj.values
        return np.array([1, 0, _INT8, count, 1], dtype=">i4").tobytes() + packed.tobytes()


_INT8 = psycopg.postgres.types["int8"].oid
