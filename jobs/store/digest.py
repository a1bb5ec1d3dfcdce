r"""The digest of rows: SHA-256 over our own typed, ordered encoding, independent of engine, file format and chunking.

    rows   = SHA-256( "rescore rows 1\n" header "\n" column... )
    header = canonical JSON {"columns": [[name, type], ...], "rows": n}
    column = SHA-256( validity values ), 32 raw bytes, in the order of the header

`validity` is one bit a row, least significant bit first, 1 where there is a value, padded with zeros to whole bytes.
`values` holds every row, a null as zeros:

    boolean             1 byte, 0 or 1
    int8 ... uint64     little-endian, two's complement
    float64             IEEE 754 binary64, little-endian; every NaN is 7ff8000000000000; the sign of zero is kept
    date                int32, days since 1970-01-01
    timestamp           int64, microseconds since 1970-01-01T00:00:00Z
    decimal(p,s)        int128, the unscaled value
    text                uint64 lengths in bytes of every row (null: 0), then the UTF-8 bytes of every row

docs/digests.md works one out by hand; tests/jobs/store/test_digest.py holds it to that page.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jobs.store.documents import canonical_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = b"rescore rows 1\n"
_NAN = np.uint64(0x7FF8000000000000)

_WIDTHS: dict[type[pl.DataType], tuple[str, str]] = {
    pl.Int8: ("int8", "<i1"),
    pl.Int16: ("int16", "<i2"),
    pl.Int32: ("int32", "<i4"),
    pl.Int64: ("int64", "<i8"),
    pl.UInt8: ("uint8", "<u1"),
    pl.UInt16: ("uint16", "<u2"),
    pl.UInt32: ("uint32", "<u4"),
    pl.UInt64: ("uint64", "<u8"),
}

_NAMES: dict[pl.DataType, str] = {
    pl.Boolean(): "boolean",
    pl.Float64(): "float64",
    pl.Date(): "date",
    pl.Datetime("us", "UTC"): "timestamp",
    pl.String(): "text",
}


class TypeNotEncodable(Exception):
    """A column has a type that the encoding does not define."""


def type_name(dtype: pl.DataType) -> str:
    """Our own name of a column's type, as it stands in manifests and fingerprints.

    Raises:
        TypeNotEncodable: for a type outside the encoding.
    """
    if type(dtype) in _WIDTHS:
        return _WIDTHS[type(dtype)][0]
    if dtype in _NAMES:
        return _NAMES[dtype]
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    raise TypeNotEncodable(
        f"the encoding has no {dtype}; use boolean, integers, float64, date, UTC timestamp, decimal or text"
    )


def polars_type(name: str) -> pl.DataType:
    """The type that `type_name` calls so.

    Raises:
        TypeNotEncodable: if there is none.
    """
    for dtype, (integer, _) in _WIDTHS.items():
        if integer == name:
            return dtype()
    for other, named in _NAMES.items():
        if named == name:
            return other
    if name.startswith("decimal("):
        precision, scale = name.removeprefix("decimal(").removesuffix(")").split(",")
        return pl.Decimal(int(precision), int(scale))
    raise TypeNotEncodable(f"the encoding has no type `{name[:40]}`")


def rows_digest(frame: pl.DataFrame) -> str:
    """The digest of the rows of a frame in the order in which they stand: 64 lower-case hex digits."""
    return combine(frame.height, [(s.name, type_name(s.dtype), column_digest(s)) for s in frame.get_columns()])


def combine(rows: int, columns: list[tuple[str, str, str]]) -> str:
    """The digest of rows from `(name, type, column digest)` of each of their columns."""
    header = canonical_json({"columns": [[name, kind] for name, kind, _ in columns], "rows": rows})
    digest = hashlib.sha256(_MAGIC + header.encode() + b"\n")
    for _, _, column in columns:
        digest.update(bytes.fromhex(column))
    return digest.hexdigest()


def column_digest(column: pl.Series) -> str:
    """The digest of one column's values in order; 64 lower-case hex digits."""
    name = type_name(column.dtype)
    digest = hashlib.sha256(_validity(column))
    if name == "text":
        lengths, text = _text(column)
        digest.update(lengths)
        digest.update(text)
    else:
        encode = _float if name == "float64" else _decimal if name.startswith("decimal") else _fixed
        digest.update(encode(column))
    return digest.hexdigest()


def _validity(column: pl.Series) -> bytes:
    if column.null_count() == 0:
        whole, rest = divmod(len(column), 8)
        return b"\xff" * whole + (bytes([(1 << rest) - 1]) if rest else b"")
    return np.packbits(column.is_not_null().to_numpy(), bitorder="little").tobytes()


def _fixed(column: pl.Series) -> memoryview:
    filled = column.to_physical()
    if filled.dtype == pl.Boolean:
        return _bytes(filled.fill_null(value=False).to_numpy(), "<u1")
    values = filled.fill_null(0) if column.null_count() else filled
    return _bytes(values.to_numpy(), _WIDTHS[type(values.dtype)][1])


def _float(column: pl.Series) -> memoryview:
    values = (column.fill_null(0.0) if column.null_count() else column).to_numpy()
    absent = np.isnan(values)
    if not absent.any():
        return _bytes(values, "<f8")
    bits = values.view(np.uint64).copy()
    bits[absent] = _NAN
    return _bytes(bits, "<u8")


def _decimal(column: pl.Series) -> memoryview:
    array = column.fill_null(0).rechunk().to_arrow()
    start, length = array.offset * 16, len(array) * 16
    return memoryview(array.buffers()[1])[start : start + length] if length else memoryview(b"")


def _text(column: pl.Series) -> tuple[memoryview, bytes]:
    filled = column.fill_null("") if column.null_count() else column
    lengths = filled.str.len_bytes().cast(pl.UInt64).to_numpy()
    joined = filled.str.join("").item() if len(filled) else ""
    return _bytes(lengths, "<u8"), joined.encode()


def _bytes(values: NDArray[np.generic], encoding: str) -> memoryview:
    return memoryview(np.ascontiguousarray(values.astype(encoding, copy=False))).cast("B")
