"""The kinds of hostile input: how each is spoiled, and which command or function reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
from numpy.random import Generator

from benchmarks.hostile import mutations
from benchmarks.hostile.arrays import array_case
from benchmarks.hostile.graphs import spoiled_graph, spoiled_metadata
from benchmarks.hostile.material import CODECS, LABELS, PICTURES
from benchmarks.hostile.sandbox import command

Case = Callable[[], object]


@dataclass(frozen=True)
class Kind:
    """One row of the table. `make(material, folder, rng)` writes a spoiled input and returns the case that reads it."""

    name: str
    cases: int
    make: Callable[[Path, Path, Generator], Case]


def call(*arguments: object) -> Case:
    """Return a case that runs `sdmetrics`."""
    return partial(command, arguments)


def sample(clips: object, folder: Path) -> Case:
    """Return a case that draws pairs of clips."""
    small = ("--frames", 4, "--stride", 1, "--size", 32, "--count", 1)
    return call("sample", clips, *small, "--out", folder / "sheet.png")


def pick(rng: Generator, choices: Sequence[str]) -> str:
    """Return one of several names."""
    return choices[int(rng.integers(len(choices)))]


def spoil_file(path: Path, rng: Generator) -> None:
    """Spoil the bytes of a file."""
    path.write_bytes(mutations.spoiled_bytes(path.read_bytes(), rng))


def model_bytes(material: Path, folder: Path, rng: Generator) -> Case:
    shutil.copy(material / "model.onnx", folder)
    spoil_file(folder / "model.onnx", rng)
    return read_model(folder / "model.onnx", rng)


def model_structure(material: Path, folder: Path, rng: Generator) -> Case:
    model = spoiled_graph(onnx.load(str(material / "model.onnx")), rng)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return read_model(folder / "model.onnx", rng)


def read_model(path: Path, rng: Generator) -> Case:
    """Return a case that lists a file's layers, or makes a probe of it."""
    if rng.random() < 0.5:
        return call("layers", path)
    return call("probe", path, "-l", "act", "-o", path.with_name("probe.onnx"))


def probe_metadata(material: Path, folder: Path, rng: Generator) -> Case:
    probe = spoiled_metadata(onnx.load(str(material / "probe.onnx")), rng)
    (folder / "probe.onnx").write_bytes(probe.SerializeToString())
    return call("analyze", folder / "probe.onnx", "world:4", "--out", folder / "run")


def video(material: Path, folder: Path, rng: Generator) -> Case:
    name = pick(rng, list(CODECS))
    shutil.copy(material / "videos" / name, folder)
    spoil_file(folder / name, rng)
    return sample(folder / name, folder)


def pictures(material: Path, folder: Path, rng: Generator) -> Case:
    suffix = pick(rng, PICTURES)
    shutil.copytree(material / suffix, folder / "clips")
    for path in rng.choice(sorted((folder / "clips" / "v").iterdir()), int(rng.integers(1, 10)), replace=False):
        spoil_file(Path(path), rng)
    return sample(folder / "clips", folder)


def masks(material: Path, folder: Path, rng: Generator) -> Case:
    shutil.copytree(material / "davis", folder / "davis")
    found = sorted((folder / "davis" / "Annotations").rglob("*.png"))
    spoil_file(found[int(rng.integers(len(found)))], rng)
    if rng.random() < 0.2:
        found[0].unlink(missing_ok=True)
    return partial(read_masks, folder / "davis")


def read_masks(path: Path) -> None:
    """Read every annotated frame of a data set with its mask."""
    from sdmetrics.clips.open import list_clips
    from sdmetrics.clips.request import ClipRequest
    from sdmetrics.clips.sampling import ClipShape

    for clip in list_clips(ClipRequest(str(path), None), ClipShape(frames=1, stride=1, size=(32, 32))):
        assert clip.frames is not None
        assert clip.masks is not None


def lists(material: Path, folder: Path, rng: Generator) -> Case:
    shutil.copytree(material / "lists", folder / "lists")
    path = folder / "lists" / pick(rng, sorted(p.name for p in (material / "lists").glob("*.[ctj]*")))
    if path.suffix == ".json":
        path.write_bytes(mutations.spoiled_json(json.loads(path.read_text(encoding="utf-8")), rng))
    else:
        path.write_bytes(mutations.spoiled_text(path.read_text(encoding="utf-8"), rng))
    return partial(read_masks, path) if path.name in ("vis.json", "moca.csv") else sample(path, folder)


def labels(material: Path, folder: Path, rng: Generator) -> Case:
    path = folder / pick(rng, list(LABELS))
    text = (material / path.name).read_text(encoding="utf-8")
    spoiled = mutations.spoiled_json(json.loads(text), rng) if path.suffix == ".json" else None
    path.write_bytes(spoiled or mutations.spoiled_text(text, rng))
    return call("evaluate", material / "world.onnx", "world:6", "--labels", path)


def flow(material: Path, folder: Path, rng: Generator) -> Case:
    name = pick(rng, ("a.flo", "kitti.png", "wheel.png"))
    shutil.copy(material / "flow" / name, folder)
    spoil_file(folder / name, rng)

    def read() -> None:
        from sdmetrics.clips.flow.files import read_flow

        read_flow(folder / name)

    return read


def styles(material: Path, folder: Path, rng: Generator) -> Case:
    if rng.random() < 0.5:
        shutil.copy(material / "style.onnx", folder)
        spoil_file(folder / "style.onnx", rng)
    else:
        model = spoiled_graph(onnx.load(str(material / "style.onnx")), rng)
        (folder / "style.onnx").write_bytes(model.SerializeToString())
    shown = ("--size", 32, "--frames", 4, "--count", 1, "--out", folder / "sheet.png")
    return call("sample", "world:2", "--styles", folder / "style.onnx", "--styles", "ink", *shown)


def runs(material: Path, folder: Path, rng: Generator) -> Case:
    run = folder / "run"
    shutil.copytree(material / "run", run)
    names = [str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.suffix != ".html"]
    path = run / pick(rng, sorted(names) if rng.random() < 0.3 else ("results.json", "units.csv"))
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_bytes(mutations.spoiled_json(json.loads(path.read_text(encoding="utf-8")), rng))
    else:
        spoil_file(path, rng)
    commands = (
        ("check", run, "--require", "act.static >= 0"),
        ("report", run, "--out", folder / "report.html"),
        ("compare", run, material / "run2", "--out", folder / "compare.html"),
        ("ablate", run, "--fraction", "0.5", "--repeats", "1"),
    )
    return call(*commands[int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1]))])


def shards(material: Path, folder: Path, rng: Generator) -> Case:
    shutil.copytree(material / "run", folder / "run")
    (folder / "run" / "results.json").unlink()
    found = sorted((folder / "run" / "shards").iterdir())
    path = found[int(rng.integers(len(found)))]
    if rng.random() < 0.3:
        shutil.copy(found[int(rng.integers(len(found)))], path) if path != found[0] else path.unlink()
    else:
        spoil_file(path, rng)
    return call("analyze", material / "probe.onnx", "world:24", "--out", folder / "run")


def checkpoints(material: Path, folder: Path, rng: Generator) -> Case:
    path = folder / pick(rng, ("weights.pth", "weights.safetensors"))
    shutil.copy(material / path.name, path)
    spoil_file(path, rng)

    def read() -> None:
        from sdmetrics.exporters._weights.checkpoints import read_checkpoint

        read_checkpoint(path)

    return read


def options(material: Path, folder: Path, rng: Generator) -> Case:
    texts = ("act.static >= 5", "act.units.dynamic<=50", "video frames=8 stride=1 mean=0.5,0.5,0.5", "world:4:1", "ink")
    text = mutations.spoiled_text(pick(rng, texts), rng).decode("utf-8", "replace").replace("\0", "")
    commands = (
        ("check", material / "run", "--require", text),
        ("probe", material / "model.onnx", "-l", "act", "--input", text, "-o", folder / "p.onnx"),
        ("sample", text, "--out", folder / "sheet.png"),
        ("sample", "world:2", "--styles", text, "--out", folder / "sheet.png"),
        ("layers", text),
        (text, "--help"),
    )
    return call(*commands[int(rng.integers(len(commands)))])


def arrays(_: Path, __: Path, rng: Generator) -> Case:
    return array_case(rng)


KINDS = (
    Kind("ONNX files, bytes", 180, model_bytes),
    Kind("ONNX files, structure", 200, model_structure),
    Kind("probes, metadata", 120, probe_metadata),
    Kind("videos", 240, video),
    Kind("pictures", 140, pictures),
    Kind("masks", 80, masks),
    Kind("lists and annotations", 220, lists),
    Kind("labels", 100, labels),
    Kind("flow files", 120, flow),
    Kind("style networks", 80, styles),
    Kind("run folders", 200, runs),
    Kind("shards", 80, shards),
    Kind("checkpoints", 80, checkpoints),
    Kind("options", 120, options),
    Kind("arrays", 200, arrays),
)
