"""Styles from networks: an image-to-image ONNX network is a style that restyles frame by frame.

Of a network only its shapes are declared. In which values it reads and writes colours, it is asked: it is shown a
test picture in every candidate, and the right one is where it answers with a picture in the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.styles.built_in import STYLES, Picture, Plane, Style
from sdmetrics.errors import InputError, one_line, require
from sdmetrics.probes.onnx_file import file_sha256, load_model
from sdmetrics.probes.session import available_threads, open_session

VALUES: Mapping[str, tuple[float, float]] = {"0..1": (0, 1), "0..255": (0, 255), "-1..1": (-1, 1)}
"""The values of black and white in which a network may read and write colours."""

TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
DYNAMIC_SIZE = 128
"""Height and width of the test picture where the network takes any."""

FATAL_ONLY = 4

SAYING = f"append :{' or :'.join(VALUES)} to its path"
"""How values are said on the command line."""

SAME = 0.02
"""Pictures that differ less, in parts of the value range, are the same."""


def open_styles(styles: Iterable[str | Path], *, threads: int | None = None) -> dict[str, Style]:
    """Return styles by name: of a built-in one its own, of a network its file's name without the suffix.

    Parameters
    ----------
    styles
        Names of built-in styles, and ONNX networks, see `NetworkStyle`. A network's values are measured; where they
        cannot be told they are appended to its path: `candy.onnx:0..255`.
    threads
        Processors for the networks; default: all that this process may use.

    Raises
    ------
    InputError
        If a style is neither built in nor a network that can be used, or two have the same name.

    Examples
    --------
    >>> list(open_styles(["oil", "ink"]))
    ['oil', 'ink']
    """
    found: dict[str, Style] = {}
    for style in map(str, styles):
        path, _, values = style.rpartition(":")
        if values not in VALUES:
            path, values = style, ""
        if style not in STYLES and not Path(path).is_file():
            raise InputError(
                f"style {style!r} is neither built in ({', '.join(STYLES)}) nor an ONNX file; give a built-in name or "
                f"NETWORK.onnx, followed by :{' or :'.join(VALUES)} where its values have to be said"
            )
        name = style if style in STYLES else Path(path).stem
        if name in found:
            raise InputError(f"two styles are called {name!r}; rename the file of one")
        found[name] = STYLES.get(style) or NetworkStyle(path, values=values or None, threads=threads)
    return found


class NetworkStyle:
    """An ONNX network that turns a picture into a picture, as a style.

    It has one input and one output, `(N, 3, H, W)` or `(N, H, W, 3)`, RGB, of type float, half or uint8, `N` being 1 or
    free. It runs on the CPU, a frame at a time and each frame on one thread, so the same frame gives the same bits on
    any number of processors. Where the network's height and width are fixed, frames are squeezed to them and the
    pictures stretched back; a picture of another size than its frame is resized too.

    Parameters
    ----------
    path
        The ONNX file.
    values
        The values of black and white that it reads and writes: `"0..1"`, `"0..255"` or `"-1..1"`. Default: measured on
        a test picture. Where the type is uint8, they are 0 to 255.
    threads
        Processors to use; default: all that this process may use.

    Attributes
    ----------
    identity
        What tells this style from another: the file's SHA-256, its values, the runtime's version.

    Raises
    ------
    InputError
        If the file is no such network, or its values cannot be told; when called, if a picture has values that are not
        finite.

    Examples
    --------
    >>> NetworkStyle("candy.onnx")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: model candy.onnx does not exist or is not a file; pass the path of an ONNX file
    """

    identity: Mapping[str, Any]

    def __init__(self, path: str | Path, *, values: str | None = None, threads: int | None = None) -> None:
        if values is not None and values not in VALUES:
            raise InputError(f"values is {values!r}; allowed: {', '.join(VALUES)}, or none to measure them")
        ort = require("onnxruntime", extra="cpu")
        self._file = f"style network {path}"
        model = load_model(Path(path))
        try:
            self._session = open_session(model.SerializeToString(), threads=1)
        except InputError as error:
            raise InputError(f"{self._file} cannot be used: {error}") from None
        # What fails is said in our own error.
        self._quietly = ort.RunOptions()
        self._quietly.log_severity_level = FATAL_ONLY
        self._declare()
        self._pool = ThreadPoolExecutor(threads or available_threads(), thread_name_prefix="style")
        self._values = values or self._measured()
        self._answer(self._test_picture(), self._values)
        self.identity = {
            "sha256": file_sha256(Path(path)),
            "values": self._values,
            "runtime": f"onnxruntime {ort.__version__}",
        }

    def __call__(self, frames: Frames) -> Frames:
        """Restyle frames, uint8 `(T, H, W, 3)`, to the same shape."""
        return np.stack(list(self._pool.map(self._restyle, frames)))

    def _declare(self) -> None:
        """Take names, types, layout and size from what the file declares."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if (len(inputs), len(outputs)) != (1, 1):
            raise InputError(
                f"{self._file} has {len(inputs)} inputs and {len(outputs)} outputs; needed: one of each, a picture"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self._type, written = (TYPES.get(value.type) for value in (inputs[0], outputs[0]))
        if not self._type or not written:
            raise InputError(
                f"{self._file} reads {inputs[0].type} and writes {outputs[0].type}; allowed: {', '.join(TYPES)}"
            )
        self._bytes_in, self._bytes_out = self._type is np.uint8, written is np.uint8
        shape = inputs[0].shape
        batch, *rest = shape or [None]
        if len(rest) != 3 or 3 not in (rest[0], rest[2]) or (isinstance(batch, int) and batch != 1):
            raise InputError(f"{self._file} reads {shape}; needed: [N, 3, H, W] or [N, H, W, 3], N being 1 or free")
        self._channels_first = rest[0] == 3
        height, width = rest[1:] if self._channels_first else rest[:2]
        self._height = height if isinstance(height, int) else None
        self._width = width if isinstance(width, int) else None

    def _measured(self) -> str:
        """Return the values in which the network answers to a test picture with a picture."""
        if self._bytes_in and self._bytes_out:
            return "0..255"
        frame = self._test_picture()
        # A network that ends in a sigmoid, or cuts at black, is never below it, however far its input goes.
        signed = not self._run(frame, -100, 100).min() > -0.05
        candidates = [values for values, (black, _) in VALUES.items() if signed or black == 0]
        answers = {values: self._answer(frame, values) for values in candidates}
        if not any(np.isfinite(answer).all() for answer in answers.values()):
            raise InputError(f"{self._file} gives values that are not finite; check its weights")
        pictures = {values: answer.clip(0, 1) for values, answer in answers.items() if _is_picture(answer)}
        if not pictures:
            raise InputError(
                f"{self._file} does not answer to a test picture with a picture, in values of {', '.join(candidates)}; "
                f"give another, or say which values it reads and writes ({SAYING})"
            )
        (found, picture), *others = pictures.items()
        if any(np.abs(picture - other).mean() > SAME for _, other in others):
            raise InputError(
                f"{self._file} gives a picture in values of {' and another of '.join(pictures)}; say which values it "
                f"reads and writes ({SAYING})"
            )
        return found

    def _test_picture(self) -> Picture:
        """Draw rings on a run of colours that reaches from black to white, of a size that the network takes."""
        height, width = self._height or DYNAMIC_SIZE, self._width or DYNAMIC_SIZE
        down, right = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        rings = 0.5 + 0.5 * np.cos(20 * np.hypot(down, right))
        return np.asarray(255 * np.stack([right * rings, down * rings, rings], axis=-1), np.uint8)

    def _restyle(self, frame: Picture) -> Picture:
        """Restyle one frame."""
        height, width = frame.shape[:2]
        answer = self._answer(_resized(frame, self._height or height, self._width or width), self._values)
        if not np.isfinite(answer).all():
            raise InputError(f"{self._file} gives values that are not finite; check its weights")
        return np.asarray(np.rint(255 * _resized(answer.clip(0, 1), height, width)), np.uint8)

    def _answer(self, frame: Picture, values: str) -> Plane:
        """Return what the network makes of one frame, `(H', W', 3)`, as parts of the way from black to white."""
        answer = self._run(frame, *VALUES[values])
        black, white = VALUES["0..255" if self._bytes_out else values]
        return (answer - np.float32(black)) / np.float32(white - black)

    def _run(self, frame: NDArray[Any], black: float, white: float) -> Plane:
        """Feed one frame, from black to white, and return what comes out, `(H', W', 3)`."""
        if not self._bytes_in:
            frame = (black + (white - black) / 255 * frame.astype(np.float32)).astype(self._type)
        fed = frame[None]
        if self._channels_first:
            fed = np.ascontiguousarray(fed.transpose(0, 3, 1, 2))
        try:
            (answer,) = self._session.run([self._output], {self._input: fed}, self._quietly)
        except Exception as error:
            raise InputError(
                f"{self._file} fails on a frame of {frame.shape[0]}×{frame.shape[1]}: {one_line(error)}. If it needs "
                "another size, fix its height and width; frames are then resized"
            ) from None
        if answer.ndim != 4 or len(answer) != 1 or 3 not in (answer.shape[1], answer.shape[3]):
            raise InputError(f"{self._file} writes {list(answer.shape)}; needed: [N, 3, H, W] or [N, H, W, 3]")
        if answer.shape[1] == 3 and (self._channels_first or answer.shape[3] != 3):
            answer = answer.transpose(0, 2, 3, 1)
        return np.asarray(answer[0], np.float32)


def _is_picture(answer: Plane) -> bool:
    """Whether most values lie between black and white, and change over the picture."""
    if not np.isfinite(answer).all():
        return False
    inside = np.mean((answer > -0.1) & (answer < 1.1))
    contrast = answer.clip(0, 1).std(axis=(0, 1)).max()
    return bool(inside > 0.6 and contrast > 0.05)


def _resized(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Scale a picture, by area where it shrinks."""
    import cv2

    if picture.shape[:2] == (height, width):
        return picture
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )
