"""The edge of a command line: streams in UTF-8, and one sentence for whatever goes wrong.

Exit codes: 0 done, also where the reader of the output had enough of it; 1 a mistake of ours; 2
what its user can mend: a flag, a file, a full disk, too little memory; 130 interrupted.
"""

import errno
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from florence2.errors import Florence2Error, is_out_of_memory

EXIT_OK, EXIT_OURS, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 130
STDOUT = "standard output"

# The extra that brings a library; what is not named here comes with florence2 itself.
EXTRAS = {
    "rapidfuzz": "eval",
    "matplotlib": "train",
    "pyarrow": "parquet",
    "pillow_heif": "heif",
    "shtab": "completion",
    "pypdfium2": "documents",
    "docling_core": "docling",
    "ocrmypdf": "ocrmypdf",
    "cv2": "lab",
    "fontTools": "lab",
    "resvg_py": "lab",
}
# How Python and PyTorch say that memory is too small, beside what `is_out_of_memory` knows.
_OF_MEMORY = re.compile(
    "can't start new thread|failed to map segment|DataLoader worker .*(killed|exited)"
)
ADVICE = {
    errno.ENOSPC: "make room on that disk, or write elsewhere",
    errno.EDQUOT: "make room within your quota, or write elsewhere",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f), or write less",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EROFS: "write elsewhere",
    errno.EACCES: "ask for the right to it, or name another place",
    errno.EPERM: "ask for the right to it, or name another place",
}


class _Stream(io.RawIOBase):
    """A standard stream that can be lost: told once, or never; what is then written is dropped.

    A stream that keeps failing would fail again, and in Python's own words, when Python ends.
    """

    def __init__(self, raw: io.RawIOBase, name: str | None) -> None:
        self._raw, self._name = raw, name
        self._lost = False

    def write(self, data: Any) -> int | None:
        if self._lost:
            return len(data)
        try:
            return self._raw.write(data)
        except OSError as error:
            self._lost = True
            if self._name is not None:
                raise OSError(error.errno, error.strerror, self._name) from None
            return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def open_streams() -> None:
    """Write both standard streams in UTF-8, whatever the locale; none of them may be missing.

    A lone surrogate, which stands for a byte that is no UTF-8, is written as `\\udce9`. Standard
    error that cannot be written loses its words, and nothing else.
    """
    for name, told in (("stdout", STDOUT), ("stderr", None)):
        stream = getattr(sys, name)
        if stream is None:  # closed before we started
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _reopened(stream, told))


def _reopened(stream: io.TextIOWrapper, told: str | None) -> io.TextIOWrapper:
    stream.flush()
    raw: Any = getattr(stream.buffer, "raw", stream.buffer)
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(raw, told)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=told is None or raw.isatty(),
        write_through=told is None,
    )


def guarded(program: str, work: Callable[[], int]) -> int:
    """The exit code of what a program does; whatever that raises becomes one line on stderr."""
    try:
        try:
            return work()
        finally:
            sys.stdout.flush()  # here, where it can be told that it failed
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and error.filename == STDOUT:
            return EXIT_OK  # the reader of our output has enough of it
        words = explain(error)
        if sys.flags.dev_mode:
            traceback.print_exc()
        print(f"{program}: {words or _of_ours(program, error)}", file=sys.stderr)
        return EXIT_OURS if words is None else EXIT_USER


def explain(error: BaseException) -> str | None:
    """A sentence for what a user can mend: what, where, and what to do; None for our mistakes."""
    if isinstance(error, Florence2Error):
        return str(error)
    if is_out_of_memory(error) or _OF_MEMORY.search(str(error)):
        return (
            f"the memory that this process may use is too small ({_first_line(error)}); close other"
            " programs, raise a limit (ulimit -v), or ask for less: a smaller model, picture or"
            " batch"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        extra = EXTRAS.get(library)
        wanted = f"'florence2[{extra}]'" if extra else library
        return f"this needs {library!r}, which is not installed; pip install {wanted}"
    if isinstance(error, ImportError):
        return (
            f"a library cannot be loaded ({_first_line(error)}); its files are damaged or foreign,"
            " or the memory that this process may use (ulimit -v) is too small"
        )
    if isinstance(error, OSError):
        return _about_file(error)
    return None


def _no_temporary_file() -> OSError | None:
    """Why the folder for temporary files takes none."""
    folder = os.environ.get("TMPDIR", "/tmp")
    try:
        with open(os.path.join(folder, f"florence2-{os.getpid()}"), "wb", buffering=0) as file:
            os.unlink(file.name)
            file.write(b"0")
    except OSError as error:
        return OSError(error.errno, error.strerror, folder)
    return None


def _about_file(error: OSError) -> str:
    if "No usable temporary directory" in str(error):  # Python does not tell why
        error = _no_temporary_file() or error
    advice = ADVICE.get(error.errno or 0, "check the path")
    if error.filename is None:
        return f"a file cannot be read or written ({_first_line(error)}); {advice}"
    reason = error.strerror or _first_line(error)
    if error.filename == STDOUT:
        return f"{STDOUT} cannot be written ({reason}); {advice}"
    return f"{os.fsdecode(error.filename)!r} cannot be read or written ({reason}); {advice}"


def _of_ours(program: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return (
        f"this is our mistake, not yours ({type(error).__name__}: {_first_line(error)}{where});"
        " please report it with what you typed and what it prints behind"
        f" 'python -X dev -m {program.replace('-', '_')}'"
    )


def readable(text: str) -> str:
    """A text for people and JSON: a byte that is no UTF-8 as `\\xe9`.

    >>> readable("caf\\udce9")
    'caf\\\\xe9'
    """
    return _LONE_SURROGATE.sub(lambda found: _spelled(ord(found[0])), text)


def json_line(content: Mapping[str, Any]) -> str:
    """An object on one line, of whole characters: a byte that is no UTF-8 as in `readable`."""
    text = json.dumps(content, ensure_ascii=False)
    return _LONE_SURROGATE.sub(lambda found: "\\" + _spelled(ord(found[0])), text)


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _spelled(code: int) -> str:
    byte = code - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{code:04x}"


def _first_line(error: BaseException) -> str:
    while isinstance(error, ImportError) and error.__cause__ is not None:
        error = error.__cause__  # NumPy writes a page before it comes to that
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
