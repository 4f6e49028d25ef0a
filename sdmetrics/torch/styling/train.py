"""train_style(): learn a style from painted frames of a video, as an ONNX network for `--styles`.

After Texler et al., "Interactive Video Stylization Using Few-Shot Patch-Based Training" (SIGGRAPH 2020): a small
network learns from random patches of the painted frames, so that it cannot know where in a frame it is and paints what
looks alike alike, wherever it moves.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import l1_loss

from sdmetrics._files import check_is_file, replacing, writable_folder
from sdmetrics._progress import progress_bar
from sdmetrics._text import printable
from sdmetrics.errors import InputError, one_line, require
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.quiet import quiet
from sdmetrics.torch.styling.network import Judge, Painter
from sdmetrics.torch.styling.painted import Image, Painted
from sdmetrics.torch.styling.perceptual import Perceptual, vgg_at_hand

METHOD = 1
"""Version of the training; raised when a change of it changes the network that comes out."""

PATCH, BATCH = 32, 16
"""Side of the patches in pixels, and patches a step."""

RATE, JUDGE_RATE = 1e-3, 2e-4
"""Learning rates of the painter, which falls to 0 as a cosine, and of the judge."""

ADVERSARIAL, PERCEPTUAL = 0.02, 0.1
"""Weights of the losses beside L1."""

NOISE = 3 / 255
"""Standard deviation of the noise that is added to the frames: what differs from frame to frame by so little, as what a
codec leaves does, is painted alike."""

EVERY = 200
"""Steps after which the state is stored, and the held-out frame painted."""


def train_style(
    painted: Painted,
    out: str | Path,
    *,
    steps: int = 800,
    seed: int = 0,
    device: str | None = None,
    progress: bool = True,
) -> Path:
    """Learn the style of painted frames and write it as an ONNX network, which `sdmetrics.open_styles` opens.

    Every 200 steps the state of the training and the held-out frame, painted, are written to `OUT.training/`. Calling
    again with the same arguments resumes, and gives the same network on the same kind of device.

    Parameters
    ----------
    painted
        Frames and their paintings, see `read_painted`.
    out
        The ONNX file to write. It reads and writes `image`, float32 `(N, 3, H, W)`, RGB, 0 to 1, of any size.
    steps
        Steps of 16 patches of 32 × 32.
    seed
        Random seed of the weights, the patches and the noise.
    device
        Where to train, e.g. `"cuda"`. Default: a CUDA device if there is one, else the CPU.
    progress
        Show a progress bar if standard error is a terminal.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the frames are smaller than a patch, `OUT.training/` belongs to another training, the loss is not finite, or
        a file cannot be written.
    """
    out = Path(out)
    check_is_file(out)
    steps, seed = whole("steps", steps, 1), whole("seed", seed, 0)
    if min(painted.frames.shape[1:3]) < PATCH:
        height, width = painted.frames.shape[1:3]
        raise InputError(
            f"the frames are {width} × {height} pixels; a style is learnt from patches of {PATCH} × {PATCH}"
        )
    where = _device(device)
    training = Training(painted, steps, seed, where)
    folder = writable_folder(Path(f"{out}.training"))
    begun = training.resumed(folder / "state.pt")
    with progress_bar("steps", steps, begun, progress) as advance:
        for step in range(begun, steps):
            training.step(step)
            advance(1)
            if (step + 1) % EVERY == 0 or step + 1 == steps:
                training.store(folder / "state.pt", step + 1)
                _write_png(folder / f"step-{step + 1:06d}.png", training.painted(painted.held_out))
    _export(training.painter, out)
    return out


class Training:
    """The state of a training."""

    def __init__(self, painted: Painted, steps: int, seed: int, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.painter, self.judge = Painter().to(device), Judge().to(device)
        self._painting = torch.optim.Adam(self.painter.parameters(), RATE)
        self._judging = torch.optim.Adam(self.judge.parameters(), JUDGE_RATE, betas=(0.5, 0.999))
        self._parts: Mapping[str, Any] = {
            "painter": self.painter,
            "judge": self.judge,
            "painting": self._painting,
            "judging": self._judging,
        }
        vgg = vgg_at_hand()
        self._perceptual = None if vgg is None else Perceptual(vgg).to(device)
        self._frames, self._paintings = _tensor(painted.frames, device), _tensor(painted.paintings, device)
        self._steps, self._seed, self._device = steps, seed, device
        content = hashlib.sha256(painted.frames.tobytes() + painted.paintings.tobytes() + painted.held_out.tobytes())
        self._settings = {
            "method": METHOD,
            "painted": content.hexdigest(),
            "steps": steps,
            "seed": seed,
            "perceptual": None if vgg is None else vgg.name,
        }

    def step(self, number: int) -> None:
        """Learn from random patches, which the seed and the number of the step decide."""
        for group in self._painting.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * number / self._steps)) / 2
        generator = np.random.default_rng([self._seed, number])
        frames, paintings = self._patches(generator)
        noise = generator.standard_normal(tuple(frames.shape), np.float32)
        made = self.painter(frames + NOISE * torch.from_numpy(noise).to(self._device))
        loss = l1_loss(made, paintings) + ADVERSARIAL * ((self.judge(made) - 1) ** 2).mean()
        if self._perceptual is not None:
            loss = loss + PERCEPTUAL * self._perceptual(made, paintings)
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {float(loss)} at step {number}; train with another seed")
        _descend(self._painting, loss)
        judged = ((self.judge(paintings) - 1) ** 2).mean() + (self.judge(made.detach()) ** 2).mean()
        _descend(self._judging, judged)

    def painted(self, image: Image) -> Image:
        """Return a frame as the network paints it now."""
        self.painter.eval()
        with torch.no_grad():
            made = self.painter(_tensor(image[None], self._device))
        self.painter.train()
        return np.asarray((255 * made[0].permute(1, 2, 0)).round().cpu().numpy(), np.uint8)

    def store(self, path: Path, step: int) -> None:
        """Store the state after a number of steps."""
        with replacing(path) as temporary:
            states = {name: part.state_dict() for name, part in self._parts.items()}
            torch.save({"settings": self._settings, "step": step, **states}, temporary)

    def resumed(self, path: Path) -> int:
        """Load what is stored, if anything is; return the number of steps that are done.

        Raises
        ------
        InputError
            If it is the state of another training.
        """
        if not path.exists():
            return 0
        try:
            stored = torch.load(path, map_location=self._device, weights_only=True)
            settings: Mapping[str, Any] = stored["settings"]
        except Exception:  # whatever is wrong with the file, the training begins anew
            return 0
        if settings != self._settings:
            differing = ", ".join(name for name, value in self._settings.items() if settings.get(name) != value)
            raise InputError(
                f"{printable(path.parent)} holds the training of another style: it differs in {differing}. Write to "
                "another file, or delete the folder"
            )
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        return int(stored["step"])

    def _patches(self, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return random patches of the frames, and the same of their paintings."""
        count, _, height, width = self._frames.shape
        places = np.stack(
            [
                generator.integers(0, count, BATCH),
                generator.integers(0, height - PATCH + 1, BATCH),
                generator.integers(0, width - PATCH + 1, BATCH),
            ],
            axis=1,
        ).tolist()
        frames, paintings = (
            torch.stack([images[of, :, top : top + PATCH, left : left + PATCH] for of, top, left in places])
            for images in (self._frames, self._paintings)
        )
        return frames, paintings


def _device(name: str | None) -> torch.device:
    """Return the device of a name, checked."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device is {name!r}, and torch cannot use it ({one_line(error)}); pass cpu") from None


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take a step."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _tensor(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return images uint8 `(N, H, W, 3)` as float32 `(N, 3, H, W)`, 0 to 1."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255


def _export(painter: Painter, out: Path) -> None:
    """Write the network for images of any size."""
    image = torch.zeros(1, 3, 64, 64)
    with replacing(out) as temporary, warnings.catch_warnings(), quiet("torch"):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            painter.cpu().eval(),
            (image,),
            str(temporary),
            dynamo=False,
            input_names=["image"],
            output_names=["painted"],
            dynamic_axes={name: {0: "n", 2: "height", 3: "width"} for name in ("image", "painted")},
        )


def _write_png(path: Path, image: Image) -> None:
    """Write an image."""
    cv2 = require("cv2", extra="cpu")
    _, png = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    with replacing(path) as temporary:
        temporary.write_bytes(png.tobytes())
