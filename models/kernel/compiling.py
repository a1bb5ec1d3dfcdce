"""Compiling the loops, and keeping what was compiled: numba's own cache, with a seal on every file.

The machine code lies where numba would put it: in `NUMBA_CACHE_DIR` if that is set, else in `__pycache__` beside the
source, else in the user's cache folder. A file is one signature on one kind of processor: the SHA-256 of what it was
compiled from and of what follows, then numba's own bytes. What is damaged, cut short or of another source, numba or
processor is as good as absent: it is compiled again and written over. Two processes write beside and rename; either
file is whole. Where nothing can be written (a read-only installation, a full disk) nothing is kept, and nothing fails.
"""

import hashlib
import logging
import pickle
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

_LOG = logging.getLogger(__name__)
_SOURCES = ("compiling.py", "loops.py", "plan.py")
_DIGEST_BYTES = 32


def compiled(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for exactly these signatures, or load what was compiled; other threads run beside it."""

    def of(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba has no types
        made: Any = numba.njit(nogil=True, error_model="numpy")(function)
        made._cache = _cache_for(function)  # noqa: SLF001 - what `cache=True` sets, with our files instead
        for signature in signatures:
            made.compile(signature)
        made.disable_compile()
        return made

    return of


def inlined(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - as above
    """A part of a loop that has a name; its code is put where it is called."""
    return numba.njit(function, inline="always")


def can_keep() -> bool:
    """Whether there is a place for what is compiled; a place that is full is one."""
    return not isinstance(_cache_for(can_keep), NullCache)


def _cache_for(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - as above
    try:
        return _Cache(function)
    except RuntimeError as error:  # numba's word for: no folder can be written
        _LOG.debug("%s", error)
        return NullCache()


class _Cache(FunctionCache):
    """numba's cache of one function, with sealed files."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file = _SealedFiles(  # type: ignore[no-untyped-call]
            self._cache_path, self._impl.filename_base, _source()
        )


class _SealedFiles(IndexDataCacheFile):
    """One file for each signature and processor; no index, which two processes could not share."""

    def load(self, key: object) -> object:
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        seal, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if seal != self._seal(payload):
            _LOG.debug("%s is damaged or of another source; it is compiled again", self._path(key))
            return None
        return pickle.loads(payload)  # noqa: S301 - sealed, and as trusted as the .pyc beside it

    def save(self, key: object, data: object) -> None:
        payload = self._dump(data)  # type: ignore[no-untyped-call]
        try:
            with self._open_for_write(str(self._path(key))) as file:
                file.write(self._seal(payload) + payload)
        except OSError as error:
            _LOG.debug("what was compiled is not kept: %s", error)

    def _path(self, key: object) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return Path(self._cache_path) / f"{self._index_name.removesuffix('.nbi')}.{name}.sealed"

    def _seal(self, payload: bytes) -> bytes:
        return hashlib.sha256(self._source_stamp + payload).digest()


def _source() -> bytes:
    """What the machine code depends on beside the signature and the processor."""
    parts = [version(name).encode() for name in ("llvmlite", "numba", "numpy")]
    parts += [(Path(__file__).parent / name).read_bytes() for name in _SOURCES]
    return b"".join(hashlib.sha256(part).digest() for part in parts)
