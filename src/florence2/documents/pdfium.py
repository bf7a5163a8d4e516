"""PDFium's functions that are asked about each character and each object of a page.

The package pypdfium2 wraps them by ctypes, at 2 to 3 us a call with its buffers. A page has
thousands of characters, so they are called here by `map` over plain addresses: 0.4 us a call.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florence2.data.files import optional_library

_ADDRESS, _INT, _UINT = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # what is returned, what is taken
    "FPDFText_CountChars": (_INT, _ADDRESS),
    "FPDFText_GetUnicode": (_UINT, _ADDRESS, _INT),
    "FPDFText_IsHyphen": (_INT, _ADDRESS, _INT),
    "FPDFText_GetTextObject": (_ADDRESS, _ADDRESS, _INT),
    "FPDFText_GetCharBox": (_INT, _ADDRESS, _INT, *[_ADDRESS] * 4),
    "FPDFText_GetLooseCharBox": (_INT, _ADDRESS, _INT, _ADDRESS),
    "FPDFText_GetCharOrigin": (_INT, _ADDRESS, _INT, _ADDRESS, _ADDRESS),
    "FPDFText_GetMatrix": (_INT, _ADDRESS, _INT, _ADDRESS),
    "FPDFText_GetFontSize": (ctypes.c_double, _ADDRESS, _INT),
    "FPDFTextObj_GetTextRenderMode": (_INT, _ADDRESS),
    "FPDFTextObj_GetFont": (_ADDRESS, _ADDRESS),
    "FPDFFont_GetBaseFontName": (ctypes.c_size_t, _ADDRESS, _ADDRESS, ctypes.c_size_t),
    "FPDFFont_GetFlags": (_INT, _ADDRESS),
    "FPDFFont_GetWeight": (_INT, _ADDRESS),
    "FPDFPage_CountObjects": (_INT, _ADDRESS),
    "FPDFPage_GetObject": (_ADDRESS, _ADDRESS, _INT),
    "FPDFPageObj_GetType": (_INT, _ADDRESS),
    "FPDFPageObj_GetMatrix": (_INT, _ADDRESS, _ADDRESS),
    "FPDFPageObj_GetClipPath": (_ADDRESS, _ADDRESS),
    "FPDFPageObj_CountMarks": (_INT, _ADDRESS),
    "FPDFPageObj_GetMark": (_ADDRESS, _ADDRESS, ctypes.c_ulong),
    "FPDFPageObj_SetIsActive": (_INT, _ADDRESS, _INT),
    "FPDFPageObj_GetFillColor": (_INT, _ADDRESS, *[_ADDRESS] * 4),
    "FPDFPageObj_GetStrokeColor": (_INT, _ADDRESS, *[_ADDRESS] * 4),
    "FPDFPageObj_GetStrokeWidth": (_INT, _ADDRESS, _ADDRESS),
    "FPDFPageObjMark_GetName": (_INT, _ADDRESS, _ADDRESS, ctypes.c_ulong, _ADDRESS),
    "FPDFFormObj_CountObjects": (_INT, _ADDRESS),
    "FPDFFormObj_GetObject": (_ADDRESS, _ADDRESS, ctypes.c_ulong),
    "FPDFClipPath_CountPaths": (_INT, _ADDRESS),
    "FPDFClipPath_CountPathSegments": (_INT, _ADDRESS, _INT),
    "FPDFClipPath_GetPathSegment": (_ADDRESS, _ADDRESS, _INT, _INT),
    "FPDFPath_CountSegments": (_INT, _ADDRESS),
    "FPDFPath_GetPathSegment": (_ADDRESS, _ADDRESS, _INT),
    "FPDFPath_GetDrawMode": (_INT, _ADDRESS, _ADDRESS, _ADDRESS),
    "FPDFPathSegment_GetPoint": (_INT, _ADDRESS, _ADDRESS, _ADDRESS),
    "FPDFPathSegment_GetType": (_INT, _ADDRESS),
    "FPDFPathSegment_GetClose": (_INT, _ADDRESS),
}


@cache
def bindings() -> Any:
    """The package `pypdfium2`.

    Raises:
        DataError: it is not installed.
    """
    return optional_library("pypdfium2", "documents")


@cache
def raw() -> Any:
    """PDFium's own functions and constants."""
    bindings()
    return optional_library("pypdfium2.raw", "documents")


@cache
def function(name: str) -> Callable[..., Any]:
    """A function of PDFium that takes and gives addresses as whole numbers."""
    address = ctypes.cast(getattr(raw(), name), ctypes.c_void_p).value
    assert address is not None
    # PYFUNCTYPE keeps Python's lock: each call is shorter than giving it away.
    return ctypes.PYFUNCTYPE(*_SIGNATURES[name])(address)


def address_of(handle: Any) -> int:
    """The address behind a handle of the package."""
    return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)


def each(name: str, handle: int, indices: Sequence[int]) -> list[Any]:
    """Ask a function about parts of something by their numbers."""
    return list(map(function(name), repeat(handle), indices))


def each_of(name: str, handles: Sequence[int]) -> list[Any]:
    """Ask a function about several things."""
    return list(map(function(name), handles))


def numbers(
    name: str,
    *given: Sequence[int],
    count: int,
    kind: type[np.floating[Any]],
    pointers: int = 1,
) -> NDArray[Any]:
    """Ask a function that writes `count` numbers for each row of what is given.

    Args:
        given: its first arguments, columns of one length.
        pointers: how many it wants to places for them: one to all, or one to each.

    Returns:
        `(rows, count)`; zeros where it had no answer.
    """
    rows, size = len(given[0]), np.dtype(kind).itemsize
    written = np.zeros((rows, count), kind)
    start, step = written.ctypes.data, size * count
    places = (
        range(start + size * which, start + size * which + step * rows, step or 1)
        for which in range(pointers)
    )
    answered = list(map(function(name), *given, *places)) if rows else []
    written[np.array(answered, np.intp) == 0] = 0
    return written
