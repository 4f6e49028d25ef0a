"""Models in the user's own code, `FILE.py:FUNCTION` or `package.module:FUNCTION`: import it and call the function."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Literal, NamedTuple

from sdmetrics._reading import read_bytes
from sdmetrics._text import printable
from sdmetrics.errors import InputError, one_line, suggest
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

CALLED = "FILE.py:FUNCTION or package.module:FUNCTION"
RETURNED = (
    "(module, inputs, layers): a torch.nn.Module, a ModelInput or a list of them, and a list of names of modules or "
    "'stages'"
)
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
LIMIT = 16 * 2**20

_brought: set[str] = set()
"""Modules that the last model imported from its folder. Another folder may have others of the same names."""

_searched: list[str] = []
"""The folder of the last model: what it imports only as it runs is found there, after everything else."""


class NoSuchModule(InputError):
    """The module of a model does not exist, in contrast to one that fails while it is imported."""


class Built(NamedTuple):
    """What a function of the user returned."""

    module: nn.Module
    inputs: tuple[ModelInput, ...]
    layers: Sequence[str] | Mapping[str, int] | Literal["stages"]


def is_code(model: str | Path) -> bool:
    r"""Return whether a model is named by the function that builds it, and not by an ONNX file.

    Examples
    --------
    >>> is_code("my_code.py:build"), is_code("package.module:build"), is_code(r"C:\models\my_code.py:build")
    (True, True, True)
    >>> is_code("model.onnx"), is_code(r"C:\models\model.onnx")
    (False, False)
    """
    place, colon, function = str(model).rpartition(":")
    if place.endswith(".py") or str(model).endswith(".py"):
        return True
    return bool(colon and DOTTED.fullmatch(place) and function.isidentifier() and not _exists(Path(model)))


def split_code(model: str | Path) -> tuple[str, str]:
    """Return the file or module of a model in the user's code, and the name of the function.

    Raises
    ------
    InputError
        If no function is named.

    Examples
    --------
    >>> split_code("my_code.py:build")
    ('my_code.py', 'build')
    >>> split_code("my_code.py")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: my_code.py names no function; pass the one that builds the model, e.g. my_code.py:build
    """
    text = str(model)
    place, _, function = (text, "", "") if text.endswith(".py") else text.rpartition(":")
    if not function.isidentifier():
        raise InputError(
            f"{printable(text)} names no function; pass the one that builds the model, e.g. {printable(place)}:build"
        )
    return place, function


def model_name(model: str | Path) -> str:
    """Return what a model is called in tables, and the name of the folder of its run.

    Examples
    --------
    >>> model_name("models/slow.onnx"), model_name("code/my_code.py:build"), model_name("package.module:build")
    ('slow', 'my_code.build', 'package.module.build')
    """
    if not is_code(model):
        return Path(model).stem
    place, function = split_code(model)
    return f"{PurePath(place).stem if place.endswith('.py') else place}.{function}"


def build_model(model: str | Path) -> Built:
    """Import the user's code, call the function, and return what it returned.

    While that happens, imports look into the folder of the file first (for a module: into the current folder), and the
    program has no arguments, as if Python had been started with the file. Afterwards they look there last, and the
    current folder is what it was.

    Raises
    ------
    InputError
        If there is no such file, module or function, the code fails (the message names the line), or the function
        returns something else than `(module, inputs, layers)`.
    """
    place, function = split_code(model)
    shown, file = printable(place), Path(place).absolute() if place.endswith(".py") else None
    if file is not None and not _exists(file):
        raise InputError(f"{shown} does not exist; expected {CALLED}. The function returns {RETURNED}")
    source = b"" if file is None else read_bytes(file, LIMIT)
    with _importing_from(Path.cwd() if file is None else file.parent, program=place):
        with _explained(place, "while it is imported"):
            code = _imported(place) if file is None else _executed(source, file)
        make = getattr(code, function, None)
        if not callable(make):
            offered = [name for name, value in vars(code).items() if callable(value) and name[0] != "_"]
            raise InputError(f"{shown} has no function {function!r}. {suggest(function, offered or ['none'])}")
        with _explained(place, f"in {function}"):
            built = make()
        return _checked(built, f"{function} of {shown}")


def _exists(path: Path) -> bool:
    """Return whether a path exists; one that is too long does not."""
    try:
        return path.exists()
    except OSError:
        return False


def _checked(built: object, origin: str) -> Built:
    """Return what a function returned if it is a module, its inputs and its layers."""
    if not isinstance(built, tuple | list) or len(built) != 3:
        of = f" of {len(built)}" if isinstance(built, tuple | list) else ""
        raise InputError(f"{origin} returns a {type(built).__name__}{of}; expected {RETURNED}")
    module, inputs, layers = built
    listed = [inputs] if isinstance(inputs, ModelInput) else inputs
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(item, ModelInput) for item in listed):
        raise InputError(f"{origin} returns {printable(f'{inputs!r:.60}')} as the inputs; expected {RETURNED}")
    if isinstance(layers, Mapping):
        for name, axis in layers.items():
            if not isinstance(axis, int | None):
                raise InputError(
                    f"{origin} returns the axis {printable(f'{axis!r:.60}')} for layer {printable(name)!r}; expected a "
                    "whole number, e.g. 1, or None"
                )
    return Built(module, tuple(listed), sorted(layers) if isinstance(layers, set | frozenset) else layers)


def _executed(source: bytes, file: Path) -> ModuleType:
    """Run a file as a module. It is compiled here, so that bytecode of an earlier state of the file is never used."""
    code = ModuleType(f"file_{file.stem.replace('.', '_')}")
    code.__file__, code.__package__ = str(file), ""
    # Where dataclasses and pickled models look for it.
    sys.modules[code.__name__] = code
    exec(compile(source, str(file), "exec"), code.__dict__)
    return code


def _imported(name: str) -> ModuleType:
    """Import a module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise NoSuchModule(
            f"there is no module {error.name!r} in {printable(Path.cwd())} or among the installed ones; expected "
            f"{CALLED}. Run the command in the folder of the package, or pass the path of the file"
        ) from None


@contextmanager
def _importing_from(folder: Path, program: str) -> Iterator[None]:
    """While the block runs, import from a folder first, as if Python had been started with a program in it."""
    for name in _brought:
        sys.modules.pop(name, None)
    _brought.clear()
    path = [place for place in sys.path if place not in _searched]
    before, arguments, current = set(sys.modules), sys.argv, Path.cwd()
    # Bytecode knows its file by whole seconds and size: what is edited at once would be run as it was.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    _searched.clear()
    sys.path[:] = [str(folder), *path]
    sys.argv = [program]
    importlib.invalidate_caches()
    try:
        yield
        if str(folder) not in path:
            _searched.append(str(folder))
    finally:
        # Paths of the command, e.g. of clips, are relative to where it was called.
        os.chdir(current)
        sys.dont_write_bytecode = written
        sys.path[:], sys.argv = [*path, *_searched], arguments
        _brought.update(name for name in sys.modules.keys() - before if _is_in(folder, name.partition(".")[0]))


def _is_in(folder: Path, name: str) -> bool:
    """Return whether a module that was imported is a file or a package directly in a folder."""
    module = sys.modules.get(name)
    place = next(iter(getattr(module, "__path__", [])), getattr(module, "__file__", None))
    return place is not None and Path(place).parent == folder


@contextmanager
def _explained(place: str, doing: str) -> Iterator[None]:
    """While the block runs the user's code, tell in one line how and where it fails; the cause has the traceback."""
    try:
        yield
    except NoSuchModule:
        raise
    except (Exception, SystemExit) as error:
        reason = error.msg if isinstance(error, SyntaxError) else one_line(error)
        package = ", so pass package.module:FUNCTION" if "relative import" in reason and place.endswith(".py") else ""
        raise InputError(
            f"{printable(_line_of(error, place))} fails {doing}: {type(error).__name__}: {printable(reason)}{package}. "
            "For the traceback: sdmetrics --verbose COMMAND …"
        ) from error


def _line_of(error: BaseException, place: str) -> str:
    """Return the innermost line of the user's file that leads to an error, as `FILE:LINE`, or the place without one."""
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    theirs = [line for line in lines if line[0] not in (__file__, importlib.__file__) and line[0][0] != "<"]
    if isinstance(error, SyntaxError) and error.filename:
        theirs = [(error.filename, error.lineno)]
    if not theirs:
        return place
    own = [line for line in theirs if _is_file_of(line[0], place)]
    file, number = own[-1] if own else theirs[0]
    return f"{place if own and place.endswith('.py') else file}:{number}"


def _is_file_of(file: str, place: str) -> bool:
    """Return whether a file is that of a model's code."""
    if place.endswith(".py"):
        return Path(file) == Path(place).absolute()
    parts, wanted = PurePath(file).with_suffix("").parts, place.split(".")
    return list(parts[-len(wanted) :]) == wanted or list(parts[-len(wanted) - 1 :]) == [*wanted, "__init__"]
