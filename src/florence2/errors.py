"""Every error this package raises on purpose, as one small tree.

Florence2Error
|-- ConfigError   (ValueError)    a setting or model configuration that cannot be
|-- WeightsError  (ValueError)    a checkpoint that is damaged, partial or foreign
|-- ImageError    (ValueError)    a picture that cannot be read or is beyond the limits
|-- TaskError     (ValueError)    an unknown task, or missing or surplus input for one
|-- AnswerError   (ValueError)    a result that a task cannot express
|-- DataError     (ValueError)    a dataset, kit or record that cannot be used
`-- EngineError   (RuntimeError)  the engine could not finish a request
"""

import errno
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Florence2Error(Exception):
    """Root of all errors raised on purpose; catch this one."""


class ConfigError(Florence2Error, ValueError):
    """A setting or a model configuration that cannot be."""


class WeightsError(Florence2Error, ValueError):
    """A checkpoint that is damaged, partial or foreign."""


class ImageError(Florence2Error, ValueError):
    """A picture that cannot be read or is beyond the limits."""


class TaskError(Florence2Error, ValueError):
    """An unknown task, or missing or surplus input for one."""


class AnswerError(Florence2Error, ValueError):
    """A result that a task cannot express."""


class DataError(Florence2Error, ValueError):
    """A dataset, kit or record that cannot be used."""


class EngineError(Florence2Error, RuntimeError):
    """The engine could not finish a request."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest of the known names, if any is near.

    >>> did_you_mean("deap", ["shallow", "deep"])
    " (did you mean 'deep'?)"
    """
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def first_few(names: Collection[str], count: int = 3) -> str:
    """The first names, for a sentence.

    >>> first_few(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join(islice(names, count)) + (", ..." if len(names) > count else "")


def error_or(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Florence2Error:
    """What a call returns, or the `Florence2Error` that it raises."""
    try:
        return ask(*args, **kwargs)
    except Florence2Error as error:
        return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of an accelerator, was too small.

    PyTorch's for the CPU is a plain RuntimeError.
    """
    return (
        isinstance(error, MemoryError)
        or "OutOfMemory" in type(error).__name__
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None)
    )


_NO_MEMORY = re.compile(
    "not enough memory|out of memory|(cannot|can't|unable to) allocate|bad_alloc", re.IGNORECASE
)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let what fails over a full or closed disk be an `OSError` that names the file or folder.

    Python names no file where a write fails, PyTorch and libraries in Rust raise errors of their
    own.
    """
    try:
        yield
    except Florence2Error:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        reason = error.strerror or str(error)
        raise OSError(error.errno or errno.EIO, reason, os.fspath(path)) from error
    except Exception as error:
        if number := _errno_of(error):
            raise OSError(number, os.strerror(number), os.fspath(path)) from error
        raise


_RUST_ERRNO = re.compile(r"\(os error ([0-9]+)\)")


def _errno_of(error: BaseException) -> int | None:
    """The number of the system's error that a library met, if it tells one."""
    if found := _RUST_ERRNO.search(str(error)):
        return int(found[1])
    met = error.__context__  # PyTorch fails again while it closes what it could not write
    return met.errno if isinstance(error, RuntimeError) and isinstance(met, OSError) else None


def warn_moved(old: str, new: str, calls_between: int = 1) -> None:
    """Warn whoever called the function that calls this one, or one further up."""
    message = f"{old} is deprecated since florence2 0.5 and goes in 0.6; use {new}"
    warnings.warn(message, DeprecationWarning, stacklevel=2 + calls_between)
