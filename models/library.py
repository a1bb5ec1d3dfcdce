"""LightGBM's C library, as far as scoring needs it: load a model's text, ask for raw scores.

The Python package that brings the library imports pandas and scipy wherever they are installed: half a second, which a
night of a thousand rows does not have. Training takes that package (`models.booster.fit`); scoring takes its four
functions of `LightGBM/c_api.h` here, with the arguments that the package itself gives them.
"""

import ctypes
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from weakref import finalize

import numpy as np
import numpy.typing as npt

_FLOAT64, _RAW_SCORE, _BY_ROW, _FIRST_TREE, _ALL_TREES = 1, 1, 1, 0, -1
_PARAMETERS_BYTES = 1 << 20
_FOLDERS = ("lib", "bin")  # of the package, where its wheels and its own builds put the library
_NAMES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


class LibraryMissing(Exception):
    """LightGBM's library does not lie where its package keeps it."""


class LibraryFailed(Exception):
    """LightGBM's library refused what a checked model, or checked rows, asked of it."""


class Loaded:
    """One model in the library's memory, freed with this object; any number of threads may ask it at once."""

    def __init__(self, text: str) -> None:
        self._handle = ctypes.c_void_p()
        trees = ctypes.c_int()
        _call("LGBM_BoosterLoadModelFromString", text.encode(), ctypes.byref(trees), ctypes.byref(self._handle))
        finalize(self, _library().LGBM_BoosterFree, self._handle)

    def categorical(self) -> tuple[int, ...]:
        """The places of the features that the model's text says are codes, in order."""
        return tuple(self._parameters().get("categorical_feature", ()))

    def _parameters(self) -> dict[str, Any]:
        """What the text says the model was trained with, by LightGBM's names; entries of several types."""
        length, size = ctypes.c_int64(), _PARAMETERS_BYTES
        while True:
            room = ctypes.create_string_buffer(size)
            _call("LGBM_BoosterGetLoadedParam", self._handle, ctypes.c_int64(size), ctypes.byref(length), room)
            if length.value <= size:
                return cast("dict[str, Any]", json.loads(room.value))
            size = length.value

    def raw(self, matrix: npt.NDArray[np.float64], threads: int) -> npt.NDArray[np.float64]:
        """One raw score a row: all trees, never stopped early."""
        if matrix.dtype != np.float64 or matrix.ndim != 2 or not matrix.flags.c_contiguous:  # noqa: PLR2004  rows, columns
            raise ValueError(f"a matrix is of float64, row by row; got {matrix.dtype}, {matrix.ndim} dimensions")
        scores, told = np.empty(len(matrix), dtype=np.float64), ctypes.c_int64()
        if not len(matrix):
            return scores
        _call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            ctypes.c_void_p(matrix.ctypes.data),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(matrix.shape[0]),
            ctypes.c_int32(matrix.shape[1]),
            ctypes.c_int(_BY_ROW),
            ctypes.c_int(_RAW_SCORE),
            ctypes.c_int(_FIRST_TREE),
            ctypes.c_int(_ALL_TREES),
            f"num_threads={threads} pred_early_stop=False verbosity=-1".encode(),
            ctypes.byref(told),
            ctypes.c_void_p(scores.ctypes.data),
        )
        if told.value != len(matrix):
            raise LibraryFailed(f"LightGBM gave {told.value} scores for {len(matrix)} rows")
        return scores


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if getattr(library, name)(*arguments):
        raise LibraryFailed(f"LightGBM: {library.LGBM_GetLastError().decode(errors='replace')}")


@cache
def _library() -> ctypes.CDLL:
    """The library, loaded once a process; should the package be imported too, it gets the same.

    Raises:
        LibraryMissing: if it is not there.
    """
    spec = find_spec("lightgbm")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    found = [path for folder in _FOLDERS for name in _NAMES if (path := package / folder / name).is_file()]
    if not found:
        raise LibraryMissing(f"there is no {_NAMES[0]} in {package}; install LightGBM as the lock file says")
    library = ctypes.CDLL(str(found[0]))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
