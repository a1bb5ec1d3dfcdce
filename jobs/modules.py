"""Feature modules of a user's project, loaded by path under private names, so that nothing of it can shadow ours.

`features/` of a project is a package of its own, whatever it is called on disk: its modules see each other by relative
imports (`from . import shared`), and `import features...` is always the engine. A module is compiled from its source
each time, for a cache that is told by second and size may be of another source; and what touches the disk or starts a
process is refused before it runs.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import decode_source, find_spec, module_from_spec
from typing import TYPE_CHECKING

from features.contract import FeatureSet
from features.purity import reaching_out
from jobs.project import PRIVATE, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import CodeType, ModuleType

    from jobs.project import Project

_OFFERED = ("FEATURE_SET", "KEY", "build_features", "labels")


class ModuleRefused(Exception):
    """A feature module cannot be loaded, or is none."""


def load_features(project: Project, name: str) -> ModuleType | None:
    """The feature module of that name; null if there is none.

    Raises:
        ModuleRefused: naming file and line, if it cannot be imported, reaches out, or lacks what it must offer.
    """
    if project.folder is None:
        ours = f"features.{name}"
        return _offering(import_module(ours)) if find_spec(ours) else None
    if not any(path.is_file() for path in (project.features / f"{name}.py", project.features / name / "__init__.py")):
        return None
    try:
        return _offering(import_module(f"{_package(project.features)}.{name}"))
    except ModuleRefused:
        raise
    except Exception as error:  # noqa: BLE001  whatever somebody's module raises while it is imported
        raise ModuleRefused(f"{_place(error, project.features)}: {_said(error)}") from None


def _offering(module: ModuleType) -> ModuleType:
    """The module, if it offers what the engine asks a feature module for."""
    lacking = [name for name in _OFFERED if not hasattr(module, name)]
    if lacking:
        raise ModuleRefused(
            f"{module.__file__}:1: it has no {' and no '.join(lacking)}; a feature module offers {', '.join(_OFFERED)}"
        )
    key = module.KEY
    if not (isinstance(key, tuple) and key and all(isinstance(each, str) for each in key)):
        raise ModuleRefused(f"{module.__file__}:1: KEY must be a tuple of texts, the columns of the key")
    if not isinstance(module.FEATURE_SET, FeatureSet):
        raise ModuleRefused(f"{module.__file__}:1: FEATURE_SET must be a features.contract.FeatureSet")
    return module


def _package(folder: Path) -> str:
    """The private name of the package that lies in `folder`, which is imported now; another folder has another."""
    name = PRIVATE + hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if name not in sys.modules:
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        init = folder / "__init__.py"
        spec = ModuleSpec(name, _Source(name, str(init)) if init.is_file() else None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = package = module_from_spec(spec)
        try:
            if spec.loader:
                spec.loader.exec_module(package)
        except BaseException:
            del sys.modules[name]
            raise
    return name


class _Source(SourceFileLoader):
    """Reads a module of a project: its source and never a cache, and nothing that reaches out."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  the import system's signature
        source = decode_source(self.get_data(self.path))
        for finding in reaching_out(source, self.path):
            raise ModuleRefused(str(finding))
        return self.source_to_code(source, self.path)


class _Finder(MetaPathFinder):
    """Finds the modules below a private package, in its folder, as source."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:
        if not fullname.startswith(PRIVATE) or path is None:
            return None
        for folder in path:
            found = FileFinder(folder, (_Source, [".py"])).find_spec(fullname)
            if found is not None:
                return found
        raise ModuleNotFoundError(f"there is no {fullname.partition('.')[2]} in features/", name=fullname)


_FINDER = _Finder()


def _place(error: Exception, folder: Path) -> str:
    """File and line of the project from which an exception comes."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return place_of(error) or str(folder)


def _said(error: Exception) -> str:
    """What an exception says, in one line, and what to do where that is not plain."""
    said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("features."):
        return f"{said}; `features` is the engine: a module of the project is imported as: from . import NAME"
    return said
