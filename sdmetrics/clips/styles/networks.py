"""Styles from image-to-image ONNX networks, which restyle a clip frame by frame.

A network declares its shapes but not the value range of its colours. The range is measured: the network gets a test
image in every candidate range, and the right range is the one in which it returns an image in the same range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.media import MOST_PIXELS
from sdmetrics.clips.styles.built_in import STYLES, Image, Plane, Style
from sdmetrics.errors import InputError, one_line
from sdmetrics.probes.onnx_file import file_sha256, load_model
from sdmetrics.probes.session import available_threads, open_session, runtime

VALUES: Mapping[str, tuple[float, float]] = {"0..1": (0, 1), "0..255": (0, 255), "-1..1": (-1, 1)}
"""The value ranges in which a network may read and write colours, each with its black and white."""

TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
DYNAMIC_SIZE = 128
"""Height and width of the test image if the network accepts any."""

FATAL_ONLY = 4

HOW_TO_SPECIFY = f"append :{' or :'.join(VALUES)} to its path"
"""How to specify the value range on the command line, for errors."""

LARGER = 16
"""How many times as many pixels an output may have: those of a network that doubles both sides, twice."""

MEMORY = 2**32
"""Bytes that a network may take; those in use take some hundred megabytes for a frame and thread."""

SAME = 0.02
"""Images whose mean difference is below this share of the value range count as equal."""


def open_styles(styles: Iterable[str | Path], *, threads: int | None = None) -> dict[str, Style]:
    """Return styles by name; the name of a network is its file's name without the suffix.

    Parameters
    ----------
    styles
        Names of built-in styles, and paths of ONNX networks (see `NetworkStyle`). The value range of a network is
        measured; if that fails, append the range to the path: `candy.onnx:0..255`.
    threads
        Number of threads for the networks. Default: as many as there are processors for this process.

    Raises
    ------
    InputError
        If a style is neither built in nor a usable network, or two styles have the same name.

    Examples
    --------
    >>> list(open_styles(["oil", "ink"]))
    ['oil', 'ink']
    """
    opened: dict[str, Style] = {}
    for style in map(str, styles):
        path, _, values = style.rpartition(":")
        if values not in VALUES:
            path, values = style, ""
        if style not in STYLES and not Path(path).is_file():
            raise InputError(
                f"style {style!r} is neither built in ({', '.join(STYLES)}) nor an ONNX file; pass a built-in name or "
                f"NETWORK.onnx, followed by :{' or :'.join(VALUES)} if its value range cannot be measured"
            )
        name = style if style in STYLES else Path(path).stem
        if name in opened:
            raise InputError(f"two styles are called {name!r}; rename one of the files")
        opened[name] = STYLES.get(style) or NetworkStyle(path, values=values or None, threads=threads)
    return opened


class NetworkStyle:
    """A style that applies an image-to-image ONNX network to every frame.

    The network has one input and one output, `(N, 3, H, W)` or `(N, H, W, 3)`, RGB, of type float, half or uint8, with
    `N` 1 or free. It runs on the CPU, one frame at a time and each frame on one thread, so a frame gives the same bits
    on any number of processors. If the network's height and width are fixed, frames are resized to them. Output
    images whose size differs from the frame's are resized to the frame.

    Parameters
    ----------
    path
        The ONNX file.
    values
        The value range from black to white that the network reads and writes: `"0..1"`, `"0..255"` or `"-1..1"`.
        Default: measured on a test image. The range of type uint8 is 0 to 255.
    threads
        Number of threads. Default: as many as there are processors for this process.

    Attributes
    ----------
    identity
        What identifies this style: the file's SHA-256, its value range and the runtime's version.

    Raises
    ------
    InputError
        If the file is not such a network, or its value range cannot be measured; when called, if an output image has
        values that are not finite.

    Examples
    --------
    >>> NetworkStyle("candy.onnx")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: model candy.onnx does not exist or is not a file; pass the path of an ONNX file
    """

    identity: Mapping[str, Any]

    def __init__(self, path: str | Path, *, values: str | None = None, threads: int | None = None) -> None:
        if values is not None and values not in VALUES:
            raise InputError(f"values is {values!r}; allowed: {', '.join(VALUES)}, or None to measure the range")
        ort = runtime()
        self._file = f"style network {path}"
        self._path, self._threads = Path(path), threads
        model = load_model(Path(path))
        try:
            self._session = open_session(model, threads=1, memory=MEMORY)
        except InputError as error:
            raise InputError(f"{self._file} cannot be used: {error}") from None
        # Failures are reported in the package's own error.
        self._quietly = ort.RunOptions()
        self._quietly.log_severity_level = FATAL_ONLY
        self._declare()
        self._pool = ThreadPoolExecutor(threads or available_threads(), thread_name_prefix="style")
        self._values = values or self._measured()
        self._answer(self._test_image(), self._values)
        self.identity = {
            "sha256": file_sha256(Path(path)),
            "values": self._values,
            "runtime": f"onnxruntime {ort.__version__}",
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the style as its file and range: another process opens it there."""
        return _opened_again, (self._path.absolute(), self._values, self._threads, self.identity["sha256"])

    def __call__(self, frames: Frames) -> Frames:
        """Restyle frames, uint8 `(T, H, W, 3)`, to the same shape."""
        return np.stack(list(self._pool.map(self._restyle, frames)))

    def _declare(self) -> None:
        """Take names, types, layout and size from what the file declares."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if (len(inputs), len(outputs)) != (1, 1):
            raise InputError(
                f"{self._file} has {len(inputs)} inputs and {len(outputs)} outputs; expected one of each, an image"
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
            raise InputError(f"{self._file} reads {shape}; expected [N, 3, H, W] or [N, H, W, 3] with N 1 or free")
        self._channels_first = rest[0] == 3
        height, width = rest[1:] if self._channels_first else rest[:2]
        self._height = height if isinstance(height, int) else None
        self._width = width if isinstance(width, int) else None
        if not 0 < (self._height or 1) * (self._width or 1) <= MOST_PIXELS:
            raise InputError(f"{self._file} reads images of {height} × {width}; allowed: 1 to {MOST_PIXELS} pixels")

    def _measured(self) -> str:
        """Return the value range in which the network returns an image for the test image."""
        if self._bytes_in and self._bytes_out:
            return "0..255"
        frame = self._test_image()
        # A network that ends in a sigmoid, or clips at black, never writes values below black, whatever its input.
        signed = not self._run(frame, -100, 100).min() > -0.05
        candidates = [values for values, (black, _) in VALUES.items() if signed or black == 0]
        answers = {values: self._answer(frame, values) for values in candidates}
        if not any(np.isfinite(answer).all() for answer in answers.values()):
            raise InputError(f"{self._file} returns values that are not finite; check its weights")
        images = {values: answer.clip(0, 1) for values, answer in answers.items() if _is_image(answer)}
        if not images:
            raise InputError(
                f"{self._file} does not return an image for a test image in the value ranges {', '.join(candidates)}; "
                f"use another network, or specify the range that it reads and writes ({HOW_TO_SPECIFY})"
            )
        (values, image), *others = images.items()
        if any(np.abs(image - other).mean() > SAME for _, other in others):
            raise InputError(
                f"{self._file} returns different images in the value ranges {' and '.join(images)}; specify the range "
                f"that it reads and writes ({HOW_TO_SPECIFY})"
            )
        return values

    def _test_image(self) -> Image:
        """Draw rings on a gradient of colours from black to white, in a size that the network accepts."""
        height, width = self._height or DYNAMIC_SIZE, self._width or DYNAMIC_SIZE
        down, right = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        rings = 0.5 + 0.5 * np.cos(20 * np.hypot(down, right))
        return np.asarray(255 * np.stack([right * rings, down * rings, rings], axis=-1), np.uint8)

    def _restyle(self, frame: Image) -> Image:
        """Restyle one frame."""
        height, width = frame.shape[:2]
        answer = self._answer(_resized(frame, self._height or height, self._width or width), self._values)
        if not np.isfinite(answer).all():
            raise InputError(f"{self._file} returns values that are not finite; check its weights")
        return np.asarray(np.rint(255 * _resized(answer.clip(0, 1), height, width)), np.uint8)

    def _answer(self, frame: Image, values: str) -> Plane:
        """Return the network's output for one frame, `(H', W', 3)`, with black as 0 and white as 1."""
        answer = self._run(frame, *VALUES[values])
        black, white = VALUES["0..255" if self._bytes_out else values]
        return (answer - np.float32(black)) / np.float32(white - black)

    def _run(self, frame: NDArray[Any], black: float, white: float) -> Plane:
        """Return the network's raw output `(H', W', 3)` for one frame, scaled to the range from black to white."""
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
            raise InputError(f"{self._file} writes {list(answer.shape)}; expected [N, 3, H, W] or [N, H, W, 3]")
        if answer.shape[1] == 3 and (self._channels_first or answer.shape[3] != 3):
            answer = answer.transpose(0, 2, 3, 1)
        height, width = answer.shape[1:3]
        if not 0 < height * width <= min(MOST_PIXELS, LARGER * frame.shape[0] * frame.shape[1]):
            raise InputError(
                f"{self._file} makes an image of {height} × {width} of one of {frame.shape[0]} × {frame.shape[1]}; "
                f"allowed: 1 pixel to {LARGER} times as many. Use a network that keeps the size"
            )
        return np.asarray(answer[0], np.float32)


def _opened_again(path: Path, values: str, threads: int | None, sha256: str) -> NetworkStyle:
    """Open the network of a pickled style, if it is still the same."""
    style = NetworkStyle(path, values=values, threads=threads)
    if style.identity["sha256"] != sha256:
        raise InputError(f"style network {path} was changed while it was used; keep it as it is until the run ends")
    return style


def _is_image(answer: Plane) -> bool:
    """Return whether most values are between black and white, and vary over the image."""
    if not np.isfinite(answer).all():
        return False
    inside = np.mean((answer > -0.1) & (answer < 1.1))
    contrast = answer.clip(0, 1).std(axis=(0, 1)).max()
    return bool(inside > 0.6 and contrast > 0.05)


def _resized(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize an image, averaging by area if it shrinks."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
