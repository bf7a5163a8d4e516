"""A headless Chromium, spoken to in its DevTools protocol through a pair of pipes."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any

import cv2
import numpy as np

from florence2.errors import DataError
from florence2_lab.worlds.pixels import Pixels, as_pixels

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--disable-lcd-text"),
    *("--font-render-hinting=none", "--disable-background-networking", "--disable-sync"),
    *("--disable-extensions", "--disable-component-update", "--mute-audio"),
)
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
_FROM_US, _TO_US = 3, 4  # descriptors that Chromium reads commands from and writes answers to


def find_chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A browser with one page; use it as a context.

    Args:
        side: of the square window, pixels of CSS.
        scale: pixels of the picture to one of CSS.
    """

    def __init__(self, side: int, scale: float) -> None:
        program = find_chromium()
        if program is None:
            raise DataError(
                "no Chromium is installed, which lays the pages out; install it (Debian: apt "
                "install chromium)"
            )
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()

        def give_pipes() -> None:
            # Over spare numbers, as the pipes may themselves be 3 and 4.
            spare = os.dup(commands), os.dup(answers)
            os.dup2(spare[0], _FROM_US)
            os.dup2(spare[1], _TO_US)

        # Its sandbox does not work for root, and it refuses to start.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [program, *FLAGS, *root, f"--user-data-dir={self._profile.name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=give_pipes,
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        try:
            self._open(side, scale)
        except BaseException:
            self.close()
            raise

    def _open(self, side: int, scale: float) -> None:
        self.version: str = self.send("Browser.getVersion")["product"]
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=side,
            height=side,
            deviceScaleFactor=scale,
            mobile=False,
        )
        self._frame = self.send("Page.getFrameTree")["frameTree"]["frame"]["id"]

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while data:
                data = data[os.write(self._commands, data) :]
        except BrokenPipeError:
            raise _gone() from None
        while True:
            answer = json.loads(self._next(deadline))
            if answer.get("id") == self._number:
                break
        if "error" in answer:
            raise DataError(f"Chromium refused {method!r}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self, deadline: float) -> bytes:
        """The next message of the browser, an answer or an event."""
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise DataError(f"Chromium did not answer within {TIMEOUT_S:g} s; start again")
            data = os.read(self._answers, CHUNK_BYTES)
            if not data:
                raise _gone()
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return message

    def show(self, html: str) -> None:
        """Lay a document out in the window."""
        self.send("Page.setDocumentContent", frameId=self._frame, html=html)

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression, waiting for it if it is a promise."""
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            told = details.get("exception", {}).get("description") or details["text"]
            raise DataError(f"a script failed in Chromium: {told.splitlines()[0]}")
        return answer["result"].get("value")

    def picture(self) -> Pixels:
        """Return what the window shows, `(H, W, 3)` RGB."""
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if shown is None:
            raise DataError("Chromium gave a picture that cannot be read; start again")
        return as_pixels(np.ascontiguousarray(shown[..., ::-1]))

    def printed(self, side: int) -> bytes:
        """Return the document as a PDF whose pages show as much as a window of this side does."""
        inches = side / 96  # a pixel of CSS is 1/96 inch
        sizes = {"paperWidth": inches, "paperHeight": inches}
        margins = dict.fromkeys(("marginTop", "marginBottom", "marginLeft", "marginRight"), 0)
        told = self.send("Page.printToPDF", printBackground=True, **sizes, **margins)
        return base64.b64decode(told["data"])

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(5)  # it ends when its pipe does
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()


def _gone() -> DataError:
    return DataError(
        "Chromium ended before it answered; does 'chromium --headless --dump-dom about:blank' work?"
    )
