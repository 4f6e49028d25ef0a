"""Export a PyTorch model to ONNX in an old environment: copy this file into it.

It requires Python 3.8, torch 1.10 and onnx, or newer ones, and nothing of sdmetrics. What it writes is a model with its
layers as outputs, which `sdmetrics layers`, `probe` and `analyze` open elsewhere. If onnxruntime is installed, all
outputs are compared with the module's.

    from anywhere import ModelInput, export
    export(model, ModelInput("video", frames=8, stride=8, size=(224, 224)), ["layer1", "layer4"], "model.onnx")

or, with a function that returns the module, its inputs and its layers:

    python anywhere.py my_code.py:build model.onnx
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANNELS = {"rgb": 3, "flow": 3, "flow_vectors": 2}
CLIPS = 3
"""Number of the random clips that the model is traced and compared with."""
GRAIN = 8
TOLERANCE = 1e-3
LARGEST = 2**31 - 2**24
"""Bytes of weights; one ONNX file holds less than 2 GiB, and this file writes no others."""
GATE, LAYER, MASK = "gate/", "layer/", "sdmetrics/mask/"
CONSTANT = "; torch's exporter may have taken a number for a constant that depends on the clips, as len(tensor) does"
VALUES = ("Python boolean", "Python float", "Python number")
"""What the tracer warns of where the code asks for a tensor's value; most integers are shapes."""
SIZES = ("out_channels", "out_features", "num_features", "num_channels", "embedding_dim")
"""Where torch's modules hold how many channels they return."""


class ExportError(ValueError):
    """The model cannot be exported. The message says why and what to do."""


@dataclasses.dataclass
class ModelInput:
    """One input of a model and how it is fed, with the fields of `sdmetrics.ModelInput`."""

    name: str
    source: str = "rgb"
    frames: int = 8
    stride: int = 8
    size: Sequence[int] = (224, 224)
    layout: str = "NCTHW"
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    colours: str = "rgb"
    limit: float | None = None
    resize: int | Sequence[int] | None = None
    sampling: str = "window"
    fps: float | None = None

    def __post_init__(self) -> None:
        letters = "".join(axes_of(self.layout))
        if len(set(letters)) < len(letters) or not set("NCHW") <= set(letters) <= set("NCTHW"):
            raise ExportError(f"input {self.name!r} has the layout {self.layout!r}; expected e.g. NCTHW or 'NT,C,H,W'")
        if self.source not in CHANNELS or ("T" not in letters and self.frames != 1):
            raise ExportError(f"input {self.name!r} has {self.frames} frames from {self.source!r} as {self.layout}")
        channels = CHANNELS[self.source]
        usual = (0.0, 1.0) if self.source == "flow_vectors" else (0.45, 0.225)
        self.size = _several(self.size)
        self.mean = _several(self.mean) or (usual[0],) * channels
        self.std = _several(self.std) or (usual[1],) * channels
        resize = self.size if self.resize is None else _several(self.resize)
        rules = {
            "frames": (_are_positive([self.frames], int), "a whole number from 1"),
            "stride": (_are_positive([self.stride], int), "a whole number from 1"),
            "size": (len(self.size) == 2 and _are_positive(self.size, int), "(height, width) in pixels"),
            "mean": (len(self.mean) == channels and _are_numbers(self.mean), f"{channels} numbers"),
            "std": (len(self.std) == channels and _are_positive(self.std), f"{channels} numbers above 0"),
            "colours": (self.colours in ("rgb", "bgr"), "rgb or bgr"),
            "limit": (self.limit is None or _are_positive([self.limit]), "a number of pixels above 0"),
            "resize": (_are_positive(resize, int) and len(resize) < 3, "the shorter side, or (height, width)"),
            "sampling": (self.sampling in ("window", "spread"), "window or spread"),
            "fps": (
                self.fps is None or (self.sampling == "window" and _are_positive([self.fps])),
                "a number above 0, and none where frames are spread",
            ),
        }
        for field, (is_right, expected) in rules.items():
            if not is_right:
                raise ExportError(f"input {self.name!r} has the {field} {getattr(self, field)!r}; expected {expected}")


def _several(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 (what a user passes)
    """Return the items of a sequence or an array as Python's own numbers; one number is a sequence of itself."""
    found = value.tolist() if hasattr(value, "tolist") else value
    return tuple(found) if isinstance(found, (list, tuple)) else (found,)


def _are_numbers(values: Sequence[Any], kind: Any = (int, float)) -> bool:  # noqa: ANN401 (as isinstance)
    """Return whether all are finite numbers of a kind."""
    return all(isinstance(value, kind) and not isinstance(value, bool) and np.isfinite(value) for value in values)


def _are_positive(values: Sequence[Any], kind: Any = (int, float)) -> bool:  # noqa: ANN401 (as isinstance)
    """Return whether all are finite numbers of a kind, above 0."""
    return _are_numbers(values, kind) and min(values) > 0


def export(
    module: nn.Module,
    inputs: ModelInput | Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int],
    path: str | Path,
) -> Path:
    """Export a module to an ONNX model that declares its layers and how it is fed.

    Parameters
    ----------
    module
        The model in float32, with its weights loaded. It is called with one tensor per input, in their order.
    inputs
        How it is fed.
    layers
        Names as in `module.named_modules()`. A mapping also gives the axes of their channels.
    path
        Where the model is written.

    Raises
    ------
    ExportError
        If a layer does not exist, runs twice or never, or has no certain channel axis; if the module mixes the clips of
        a batch; or if torch cannot export it or exports something else.

    Examples
    --------
    >>> import tempfile
    >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(model, ModelInput("video", frames=3, size=(16, 16)), ["0", "1"], Path(folder) / "model.onnx").name
    'model.onnx'
    """
    listed: list[Any] = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not listed or not all(dataclasses.is_dataclass(item) for item in listed):
        raise ExportError(f"the inputs are {inputs!r}; expected a ModelInput, or a list of them")
    if len({item.name for item in listed}) < len(listed):
        raise ExportError(f"the inputs are {[item.name for item in listed]}; give each a name of its own")
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise ExportError(f"{path} cannot be written; pass a file's name in a folder that exists")
    names = _checked(module, layers)
    given = dict(layers) if isinstance(layers, Mapping) else {}
    fed = _fed(listed, range(CLIPS))
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sizes: dict[str, int] = {}
            together = _forward(module, names, fed, sizes)
            alone = [_forward(module, names, _fed(listed, [clip]), {}) for clip in range(CLIPS)]
            placed = [_placed(name, together, alone, given.get(name), sizes.get(name)) for name in names]
            # Traced with other clips than those that are compared, so that what is true of these alone shows.
            traced = _fed(listed, range(CLIPS), seed=1)
            model = _to_onnx(module, names, listed, traced, together, alone[0])
    finally:
        for part in training:
            part.training = True
    _close_gates(model, names)
    onnx.checker.check_model(model)
    error = _compare(model, [(fed, together), (_fed(listed, [0]), alone[0])])
    described = {
        "schema": 2,
        "kind": "model",
        "name": path.stem,
        "inputs": [dataclasses.asdict(item) for item in listed],
        "layers": placed,
        "outputs": [name for name in together if not name.startswith(LAYER)],
        "framework": f"torch {torch.__version__}",
        "sha256": _sha256(module),
        "export_error": error,
        "masks": False,
        "precision": None,
        "held": [],
    }
    model.metadata_props.add(key="sdmetrics", value=json.dumps(described, sort_keys=True))
    # Whoever reads sees the whole file or none.
    unfinished = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        onnx.save(model, str(unfinished))
        unfinished.replace(path)
    finally:
        if unfinished.exists():
            unfinished.unlink()
    return path


def axes_of(layout: str) -> list[str]:
    """Return the axes of a layout, each with the letters that are joined in it."""
    return [axis.strip().replace("1", "") for axis in (layout.split(",") if "," in layout else layout)]


def _checked(module: nn.Module, layers: Sequence[str] | Mapping[str, int]) -> list[str]:
    """Return the names of the layers."""
    if not isinstance(module, nn.Module):
        raise ExportError(
            f"the model is a {type(module).__name__}; expected a torch.nn.Module, with its weights loaded"
        )
    known = [name for name, _ in module.named_modules() if name]
    names = [] if isinstance(layers, str) else list(layers)
    if not names or not set(names) <= set(known) or len(set(names)) < len(names):
        wrong = next((name for name in names if name not in known), layers)
        raise ExportError(f"the layers are {wrong!r}; expected a list of different names from: {', '.join(known)}")
    if {value.dtype for value in module.parameters() if value.is_floating_point()} - {torch.float32}:
        raise ExportError("the module is not float32; call .float() on it")
    made = [value for value in [*module.parameters(), *module.buffers()] if not nn.parameter.is_lazy(value)]
    size = sum(value.numel() * value.element_size() for value in made)
    if size > LARGEST:
        raise ExportError(
            f"the module has {size / 2**30:.1f} GiB of weights; this file writes models of less than 2 GiB. Use "
            "sdmetrics.exporters.torch.export, or run it as it is: sdmetrics analyze FILE.py:FUNCTION CLIPS"
        )
    return names


def _fed(inputs: Sequence[ModelInput], clips: Sequence[int], seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return some of the random clips as the model reads them: patches of one colour, or of one motion."""
    rng = np.random.RandomState(seed)
    fed = {}
    for item in inputs:
        height, width = item.size
        coarse = (CLIPS, item.frames, -(-height // GRAIN), -(-width // GRAIN), CHANNELS[item.source])
        values = rng.normal(0, 4, coarse) if item.source == "flow_vectors" else rng.randint(0, 256, coarse) / 255
        if item.limit is not None:
            values = np.clip(values, -item.limit, item.limit) / item.limit
        values = values.repeat(GRAIN, 2).repeat(GRAIN, 3)[list(clips), :, :height, :width]
        values = (values - np.array(item.mean)) / np.array(item.std)
        axes = axes_of(item.layout)
        order = "".join(axes)
        sizes = dict(zip("NTHWC", values.shape))
        kept = [letter for letter in "NTHWC" if letter in order]
        moved = values.reshape([sizes[letter] for letter in kept]).transpose([kept.index(letter) for letter in order])
        joined = [int(np.prod([sizes[letter] for letter in axis])) for axis in axes]
        fed[item.name] = np.ascontiguousarray(moved.reshape(joined), np.float32)
    return fed


@contextmanager
def _tapped(module: nn.Module, names: Sequence[str], replace: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """While the block runs, layers return `replace(name, tensor)` for the first tensor of what they return."""
    ran = set()

    def hook_of(name: str) -> Callable[[nn.Module, object, object], object]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> object:
            if name in ran:
                raise ExportError(f"module {name!r} runs more than once in a forward; name the module around it")
            ran.add(name)
            return _with_first(output, lambda tensor: replace(name, tensor), name)

        return hook

    modules = dict(module.named_modules())
    with ExitStack() as hooks:
        for name in names:
            hooks.callback(modules[name].register_forward_hook(hook_of(name)).remove)
        yield
    for name in names:
        if name not in ran:
            raise ExportError(f"module {name!r} does not run in a forward of the model; name one that does")


def _with_first(output: object, replace: Callable[[Tensor], Tensor], name: str) -> object:
    """Return a tensor, tuple, list or dict with its first tensor replaced."""
    if isinstance(output, Tensor):
        return replace(output)
    if isinstance(output, (tuple, list, dict)):
        changed: Any = list(output) if isinstance(output, tuple) else copy.copy(output)
        for key in list(output) if isinstance(output, dict) else range(len(output)):
            if isinstance(output[key], Tensor):
                changed[key] = replace(output[key])
                if not isinstance(output, tuple):
                    return changed
                return type(output)(*changed) if hasattr(output, "_fields") else tuple(changed)
    raise ExportError(f"module {name!r} returns {type(output).__name__} without a tensor; name another one")


def _named(output: object) -> dict[str, Tensor]:
    """Return the tensors of a model's output by name."""
    if isinstance(output, Tensor):
        return {"output": output}
    items = list(output.items()) if isinstance(output, dict) else []
    if isinstance(output, (tuple, list)):
        items = [(f"output_{index}", value) for index, value in enumerate(output)]
    tensors = {str(key): value for key, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise ExportError(f"the model returns {type(output).__name__}; wrap it so that it returns tensors")
    return tensors


def _forward(
    module: nn.Module, names: Sequence[str], fed: Mapping[str, NDArray[Any]], sizes: dict[str, int]
) -> dict[str, NDArray[Any]]:
    """Return the module's outputs and its layers' tensors; fill in how many channels flow where a layer ends."""
    taps: dict[str, Tensor] = {}
    last: list[int] = [0]

    def tap(name: str, tensor: Tensor) -> Tensor:
        taps[name], sizes[name] = tensor.clone(), last[-1]
        return tensor

    def count(part: nn.Module, _inputs: object, _output: object) -> None:
        shape = getattr(part, "normalized_shape", None)
        found = shape[-1] if shape else next((getattr(part, name) for name in SIZES if hasattr(part, name)), None)
        last.extend([found] if isinstance(found, int) else [])

    with ExitStack() as hooks:
        for part in module.modules():
            hooks.callback(part.register_forward_hook(count).remove)
        try:
            with _tapped(module, names, tap):
                own = module(*(torch.from_numpy(values).to(_device(module)) for values in fed.values()))
        except ExportError:
            raise
        except Exception as error:
            shapes = ", ".join(str(values.shape) for values in fed.values())
            raise ExportError(
                f"{type(module).__name__} fails in its forward on {shapes}: {type(error).__name__}: {_line(error)}; "
                "check how it is fed"
            ) from error
    outputs = _named(own)
    taken = next((name for name in outputs if name in fed or name.startswith((LAYER, GATE))), None)
    if taken is not None:
        raise ExportError(f"the model returns {taken!r}, the name of an input or a layer; wrap it and rename that")
    tensors = {**outputs, **{LAYER + name: taps[name] for name in names}}
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _device(module: nn.Module) -> torch.device:
    return next((value.device for value in module.parameters()), torch.device("cpu"))


def _grown(together: NDArray[Any], single: NDArray[Any]) -> list[int]:
    """Return the axes in which a batch differs from one clip."""
    return [a for a, size in enumerate(single.shape) if together.ndim == single.ndim and together.shape[a] != size]


def _placed(
    name: str,
    together: Mapping[str, NDArray[Any]],
    alone: Sequence[Mapping[str, NDArray[Any]]],
    channel: int | None,
    size: int | None,
) -> dict[str, Any]:
    """Return what the file says of a layer, proven with clips alone and together."""
    batch, parts = together[LAYER + name], [one[LAYER + name] for one in alone]
    shape, grown = parts[0].shape, _grown(batch, parts[0])
    if len(grown) != 1 or batch.shape[grown[0]] != CLIPS * shape[grown[0]]:
        raise ExportError(f"layer {name!r} is {shape} for one clip and {batch.shape} for {CLIPS}; name another one")
    (axis,), last = grown, len(shape) - 1
    rows, apart = np.moveaxis(batch, axis, 0), [np.moveaxis(part, axis, 0) for part in parts]
    orders = {"batch-major": np.concatenate(apart), "time-major": np.stack(apart, 1).reshape(rows.shape)}
    errors = {fold: _difference(rows, expected) for fold, expected in orders.items()}
    if min(errors.values()) > TOLERANCE:
        raise ExportError(f"layer {name!r} returns other values for a clip alone than in a batch; name another one")
    certain = [a for a in sorted({1, last} - {axis}) if last == 1 or shape[a] == size]
    if channel is None and len(certain) != 1:
        raise ExportError(
            f"which axis of layer {name!r}, {shape}, holds the channels is not certain; pass the layers as a mapping "
            f"with their axes, e.g. {{{name!r}: 1}} or {{{name!r}: {last}}}"
        )
    if channel is not None and not (isinstance(channel, int) and -len(shape) <= channel <= last):
        raise ExportError(f"layer {name!r}, {shape}, has no axis {channel!r}; pass one from 0 to {last}")
    channel = certain[0] if channel is None else channel % len(shape)
    if channel == axis:
        raise ExportError(f"layer {name!r}, {shape}, has its clips in axis {axis}, not its channels; pass another one")
    return {
        "name": name,
        "module": name,
        "tensor": LAYER + name,
        "shape": ["clips" if a == axis else size for a, size in enumerate(shape)],
        "channel_axis": channel,
        "units": shape[channel],
        "batch_axis": axis,
        "time_axis": None,
        "fold": min(errors, key=lambda fold: errors[fold]) if shape[axis] > 1 else None,
    }


def _difference(computed: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference, relative to the largest expected value."""
    if computed.shape != expected.shape:
        return float("inf")
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    difference = float(np.abs(computed.astype(np.float64) - expected).max(initial=0)) / scale
    return difference if np.isfinite(difference) else float("inf")


def _to_onnx(
    module: nn.Module,
    names: Sequence[str],
    inputs: Sequence[ModelInput],
    fed: Mapping[str, NDArray[Any]],
    together: Mapping[str, NDArray[Any]],
    single: Mapping[str, NDArray[Any]],
) -> onnx.ModelProto:
    """Run torch's older exporter on the module, with all that follows a layer behind a gate.

    A gate is an input that multiplies, so nothing is folded into a layer or moved past it.
    """

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
            gates, taps = dict(zip(names, given[len(inputs) :])), {}

            def gate(name: str, tensor: Tensor) -> Tensor:
                taps[name] = tensor.clone()
                return tensor * gates[name]

            with _tapped(module, names, gate):
                own = self.model(*given[: len(inputs)])
            return (*_named(own).values(), *(taps[name] for name in names))

    device = _device(module)
    given = [torch.from_numpy(values).to(device) for values in fed.values()]
    gates = [torch.ones((), device=device) for _ in names]
    free = {item.name: {i: "batch" for i, axis in enumerate(axes_of(item.layout)) if "N" in axis} for item in inputs}
    free.update({name: {a: f"{name}/{a}" for a in _grown(together[name], single[name])} for name in together})
    version = [int(part) for part in torch.__version__.split(".")[:2]]
    options: dict[str, Any] = {
        "opset_version": 17 if version >= [1, 13] else 14,
        "input_names": [*fed, *(GATE + name for name in names)],
        "output_names": list(together),
        "dynamic_axes": free,
    }
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    try:
        with tempfile.TemporaryDirectory() as folder, _traceable(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            written = str(Path(folder) / "model.onnx")
            torch.onnx.export(Gated().eval(), (*given, *gates), written, **options)
            model = onnx.load(written)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"torch {torch.__version__} cannot export {type(module).__name__}: {type(error).__name__}: {_line(error)}"
        ) from error
    own = str(Path(torch.__file__).parent)  # torch's own code only asks for shapes
    places = sorted(
        f"{one.filename}:{one.lineno}"
        for one in told
        if any(kind in str(one.message) for kind in VALUES) and not one.filename.startswith(own)
    )
    if places:
        print(
            f"note: the path of the code was fixed as for random clips at {places[0]}; if it depends on what clips "
            "show, and not only on their shape, the model is wrong for other clips",
            file=sys.stderr,
        )
    return model


@contextmanager
def _traceable() -> Iterator[None]:
    """While the block runs, let attention compute step by step; its fast path in evaluation cannot be exported."""
    mha = getattr(torch.backends, "mha", None)
    if mha is None:
        yield
        return
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def _line(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).strip().splitlines() or [""])[0]


def _close_gates(model: onnx.ModelProto, names: Sequence[str]) -> None:
    """Turn each gate into an Identity that a probe finds by its name, and drop what describes the machine."""
    for name in names:
        readers = [node for node in model.graph.node if GATE + name in node.input]
        if len(readers) != 1 or readers[0].op_type != "Mul":
            raise ExportError(f"torch's exporter moved what follows layer {name!r}; name another one")
        other = next(value for value in readers[0].input if value != GATE + name)
        readers[0].op_type, readers[0].name = "Identity", MASK + name
        del readers[0].input[:]
        readers[0].input.append(other)
        model.graph.input.remove(next(value for value in model.graph.input if value.name == GATE + name))
    for node in model.graph.node:
        node.doc_string = ""


def _compare(
    model: onnx.ModelProto, cases: Sequence[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]]
) -> float | None:
    """Return the largest difference between the ONNX model and the module; None if there is no onnxruntime."""
    if importlib.util.find_spec("onnxruntime") is None:
        print("note: onnxruntime is not installed, so the model was not compared with the module", file=sys.stderr)
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    errors = [0.0]
    for clips, (fed, expected) in zip((CLIPS, 1), cases):
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
            values = session.run(list(expected), dict(fed))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ExportError(f"the ONNX model does not run {clips} clip(s){CONSTANT} ({reason})") from None
        found = {name: _difference(value, expected[name]) for name, value in zip(expected, values)}
        name = max(found, key=lambda name: found[name])
        if found[name] > TOLERANCE:
            raise ExportError(
                f"the ONNX model's {name} differs from the module's by {found[name]:.1e} of its scale for {clips} "
                f"clip(s){CONSTANT}"
            )
        errors.append(found[name])
    return max(errors)


def _sha256(module: nn.Module) -> str:
    """Return the hash of a module's weights, their names, types and shapes."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def main(model: str, path: str) -> None:
    """Export what a function returns, `FILE.py:FUNCTION` or `package.module:FUNCTION`."""
    place, _, function = model.rpartition(":")
    folder, name = (Path(place).parent, Path(place).stem) if place.endswith(".py") else (Path(), place)
    if not place or not function or (place.endswith(".py") and not Path(place).is_file()):
        raise ExportError(f"{model} is not the FILE.py:FUNCTION of a file that exists")
    sys.path.insert(0, str(folder.absolute()))
    make = getattr(importlib.import_module(name), function, None)
    if make is None:
        raise ExportError(f"{place} has no function {function!r}")
    built = make()
    if not isinstance(built, (tuple, list)) or len(built) != 3:
        raise ExportError(f"{function} of {place} returns a {type(built).__name__}; expected (module, inputs, layers)")
    module, inputs, layers = built
    print(f"model: {export(module, inputs, layers, path)}")


if __name__ == "__main__":
    # The code that is exported imports this file by its name, and shall get these classes.
    sys.modules[Path(__file__).stem] = sys.modules["__main__"]
    if len(sys.argv) != 3:
        sys.exit("usage: python anywhere.py FILE.py:FUNCTION OUT.onnx")
    try:
        main(*sys.argv[1:])
    except ExportError as failure:
        sys.exit(f"error: {failure}")
