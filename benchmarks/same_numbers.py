"""Record the numbers of seven runs, or compare them with a record, bit for bit.

    python -m benchmarks.same_numbers record FILE     # on one state of the code
    python -m benchmarks.same_numbers compare FILE    # on another

The runs: both models of the demo, with ablations; two pathways; a frame and its optical flow; folders of styles; and a
segmenter on annotated clips, with its scores and an ablation. The last bits may differ between machines, so the record
is not in the repository.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

import sdmetrics as sd
from sdmetrics.__main__ import main as sdmetrics_command
from sdmetrics.exporters.torch import export

Numbers = dict[str, Any]
SIZE = (40, 40)


class TwoPathways(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.ReLU())
        self.fast = nn.Sequential(nn.Conv3d(3, 6, (3, 3, 3), (1, 2, 2), 1), nn.ReLU())
        self.head = nn.Linear(14, 5)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.slow(slow).mean((2, 3, 4)), self.fast(fast).mean((2, 3, 4))], 1))


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.appearance = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.motion = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.fusion = nn.Sequential(nn.Conv2d(16, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        return self.head(self.fusion(torch.cat([self.appearance(image), self.motion(flow)], 1))).sigmoid()


def run_all(folder: Path) -> Numbers:
    """Make every run in `folder`, and return the numbers by name of the run."""
    command("demo", "--out", folder / "demo", "--clips", "120")
    for name in ("motion", "appearance"):
        command("ablate", folder / "demo" / name, "--labels", folder / "demo" / name / "classes.txt", "--repeats", "2")
    two = folder / "two.onnx"
    inputs = [
        sd.ModelInput("slow", frames=2, stride=4, size=SIZE),
        sd.ModelInput("fast", frames=8, stride=1, size=SIZE),
    ]
    torch.manual_seed(0)
    export(TwoPathways().eval(), inputs, ["slow", "fast"], two)
    command("analyze", two, "world:60:3", "--out", folder / "two", "--seed", "4")
    segmenter = folder / "segmenter.onnx"
    still = {"frames": 1, "stride": 1, "size": SIZE, "layout": "NCHW"}
    torch.manual_seed(1)
    export(
        Segmenter().eval(),
        [sd.ModelInput("image", **still), sd.ModelInput("flow", "flow", **still)],
        ["appearance", "motion", "fusion"],
        segmenter,
    )
    command("analyze", segmenter, "camouflage:60", "--out", folder / "camouflage")
    command("ablate", folder / "camouflage", "-l", "fusion", "--repeats", "2")
    command("evaluate", segmenter, "camouflage:30", "--protocol", "moca", "--out", folder / "moca.json")
    davis(folder / "davis")
    command("analyze", segmenter, folder / "davis", "--clips-per-video", "3", "--out", folder / "segmentation")
    command("ablate", folder / "segmentation", "-l", "fusion", "--fraction", "0.5")
    command("evaluate", segmenter, folder / "davis", "--out", folder / "davis.json")
    styles(folder / "styles")
    command(
        "analyze", folder / "demo/motion/model.onnx", folder / "styles", "--stride", "1", "--out", folder / "styled"
    )
    videos(folder / "frames")
    command("analyze", two, folder / "frames", "--clips-per-video", "2", "--stride", "2", "--out", folder / "framed")
    command(
        "evaluate",
        folder / "demo/motion/model.onnx",
        "world:40",
        "--labels",
        folder / "demo/motion/classes.txt",
        "--shuffle",
        "--out",
        folder / "shuffled.json",
    )
    runs = ("demo/motion", "demo/appearance", "two", "camouflage", "segmentation", "styled", "framed")
    numbers = {name: of_run(folder / name) for name in runs}
    for name in ("moca", "davis", "shuffled"):
        document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        numbers[name] = {key: document[key] for key in ("scores", "clips", "skipped")}
    return numbers


def command(*arguments: object) -> None:
    """Run `sdmetrics` with these arguments."""
    sys.argv = ["sdmetrics", *map(str, arguments)]
    try:
        sdmetrics_command()
    except SystemExit as ended:
        if ended.code:
            raise


DESCRIPTIONS = ("model", "ran_on", "schema", "sha256", "identity", "units", "units_sha256")
RANKED_BY = ("estimator", "threshold")
"""An ablation repeats these of its run."""


def of_run(run: Path) -> Numbers:
    """Return the contents of the files of a run, except what describes the model, the environment and the files."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    with (run / "units.csv").open(newline="", encoding="utf-8") as file:
        units = list(csv.reader(file))
    numbers = {"results": {key: results[key] for key in results if key not in DESCRIPTIONS}, "units": units}
    if (run / "ablation.json").exists():
        ablation = json.loads((run / "ablation.json").read_text(encoding="utf-8"))
        numbers["ablation"] = {key: ablation[key] for key in ablation if key not in (*DESCRIPTIONS, *RANKED_BY)}
    return numbers


def textured(number: int, frames: int) -> np.ndarray:
    """Return frames of a patch moving over noise, uint8 `(frames, 48, 64, 3)`."""
    rng = np.random.default_rng(number)
    background = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (64, 48))
    patch = cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (14, 14))
    shown = np.repeat(background[None], frames, 0)
    for frame in range(frames):
        x, y = 4 + (frame * (1 + number % 3)) % 40, 6 + (number * 3) % 20
        shown[frame, y : y + 14, x : x + 14] = patch
    return shown


def write_frames(folder: Path, frames: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), frame[..., ::-1])


def davis(root: Path) -> None:
    """Write twelve videos in DAVIS's layout."""
    for number in range(12):
        frames = textured(number, 10)
        write_frames(root / "JPEGImages" / "480p" / f"video{number:02d}", frames)
        masks = root / "Annotations" / "480p" / f"video{number:02d}"
        masks.mkdir(parents=True)
        for frame in range(10):
            mask = np.zeros((48, 64), np.uint8)
            x, y = 4 + (frame * (1 + number % 3)) % 40, 6 + (number * 3) % 20
            mask[y : y + 14, x : x + 14] = 255
            cv2.imwrite(str(masks / f"{frame:05d}.png"), mask)


def styles(root: Path) -> None:
    """Write twenty videos in three styles each."""
    for number in range(20):
        frames = textured(number, 12)
        for style, change in {"one": frames, "two": 255 - frames, "three": frames[..., ::-1] // 2}.items():
            write_frames(root / f"style_{style}" / f"video{number:02d}", change)


def videos(root: Path) -> None:
    """Write twenty folders of frames."""
    for number in range(20):
        write_frames(root / f"class{number % 3}" / f"video{number:02d}", textured(number, 25))


def differences(before: object, now: object, where: str = "") -> list[str]:
    """Return a line for every difference between two documents."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            line
            for key in sorted(before.keys() | now.keys())
            for line in differences(before.get(key), now.get(key), f"{where}/{key}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            line for i, (a, b) in enumerate(zip(before, now, strict=True)) for line in differences(a, b, f"{where}/{i}")
        ]
    return [] if before == now and type(before) is type(now) else [f"{where}: {before!r} before, {now!r} now"]


def main(what: str, file: str) -> int:
    """Record or compare the numbers, and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = json.loads(json.dumps(run_all(Path(folder))))
    if what == "record":
        Path(file).write_text(json.dumps(numbers), encoding="utf-8")
        print(f"recorded {len(numbers)} runs in {file}")
        return 0
    lines = differences(json.loads(Path(file).read_text(encoding="utf-8")), numbers)
    print("\n".join(lines[:40]) or f"all numbers of {len(numbers)} runs are equal, bit for bit")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
