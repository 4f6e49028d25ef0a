"""Export a torch module to an ONNX model whose layers are named outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sdmetrics._files import writable_folder
from sdmetrics._temporary import temporary_beside
from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._assembly.finish import COMPARED_CLIPS, LAYER, finish_export
from sdmetrics.exporters._assembly.gates import GATE, close_gates
from sdmetrics.exporters._torch.adaptive_pooling import translations
from sdmetrics.exporters._torch.indices import widen_indices
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.feeds import Arrays, check_sources, prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.kept_weights import SUFFIX, exceeds_memory
from sdmetrics.probes.onnx_file import load_model
from sdmetrics.probes.quiet import quiet
from sdmetrics.probes.torch_hooks import (
    concatenated,
    device_and_dtype,
    evaluating,
    explained,
    layer_names,
    losses_on_shuffled,
    named_tensors,
    replacing_outputs,
    runs_per_frame,
    weights_sha256,
)

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

OPSET = 20
COMPUTED = {"float32", "float16"}
TRIED = (1, 2, 4, 8)
"""Numbers of clips that are tried on a module that does not read any number of them."""
USE_RUNNER = "use sdmetrics.runners.torch.TorchRunner"

Modules = Mapping[str, str]
"""Paths of the layers' modules by the layers' names."""


def export(
    module: nn.Module,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int] | Literal["stages"],
    path: Path,
    *,
    names: Mapping[str, str] | None = None,
    batch: int | None = None,
) -> Path:
    """Export a torch module to an ONNX model that declares its layers, for `build_probe`.

    The ONNX model has a dynamic batch (unless `batch` fixes it), the module's own outputs and one output
    `layer/<name>` per layer: exactly the tensor that the layer returns (the first if there are several), whatever
    in-place operation or folding follows. The module is exported in evaluation mode and left unchanged.

    Parameters
    ----------
    module
        The model. It is called with one tensor per model input, in the order of `inputs`.
    inputs
        How the model is fed.
    layers
        Names of modules as in `module.named_modules()`, or `"stages"`: stem and stages of a ResNet-like network, the
        blocks of a transformer. A mapping also specifies their channel axes, for layers in which they are not certain.
        Parts that the module runs once for every frame can be layers if the module has an attribute
        `runs_per_frame`, a list of their names.
    path
        Where the ONNX file is written.
    names
        Optional mapping from module path to layer name. Default: the module paths.
    batch
        Number of clips that the model reads at once, for a module that reads no other number. The model is then run
        that many clips at a time. Default: any number.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If a layer does not exist, runs more than once or never, or has no certain channel axis; if the module is
        TorchScript, computes in a precision that the runtime does not, or fails; if the framework's exporter cannot
        convert the model; if the module reads only some number of clips that `batch` does not name; or if the ONNX
        model and the module differ by more than 1e-3 of a tensor's scale for one or for three clips.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> video = ModelInput("video", frames=3, size=(8, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(model, [video], ["0", "1"], Path(folder) / "model.onnx").name
    'model.onnx'
    """
    check_sources(inputs)
    called = {(names or {}).get(name, name): name for name in layer_names(module, layers)}

    def forward(arrays: Arrays) -> Arrays:
        return _forward(module, called, arrays)

    if batch is not None:
        batch = whole("batch", batch, least=1)
    example = prepare(random_feeds(inputs, batch or COMPARED_CLIPS), inputs)
    with _computed_precision(module), evaluating(module), _room_for_weights(module, Path(path)) as room:
        try:
            outputs = [name for name in forward(example) if not name.startswith(LAYER)]
        except InputError:
            if batch is None and (own := _own_batch(forward, inputs)):
                raise InputError(
                    f"{type(module).__name__} reads {own} clip(s) at once, and not {COMPARED_CLIPS}; export it with "
                    f"batch={own}, to be run {own} clip(s) at a time"
                ) from None
            raise
        model = _to_onnx(module, called, example, outputs, room, dynamic=batch is None)
        widen_indices(model)
        repeated = runs_per_frame(module)
        close_gates(model, called, several=[name for name, path in called.items() if path in repeated])
        return finish_export(
            model,
            Path(path),
            inputs=inputs,
            layers=called,
            axes={name: layers[path] for name, path in called.items()} if isinstance(layers, Mapping) else None,
            forward=forward,
            framework=f"torch {require('torch', extra='torch').__version__}",
            sha256=weights_sha256(module),
            batch=batch,
            trained_on_shuffled=losses_on_shuffled(module),
        )


def _own_batch(forward: Callable[[Arrays], Arrays], inputs: Sequence[ModelInput]) -> int | None:
    """Return a number of clips for which a module runs, or None."""
    for clips in TRIED:
        try:
            forward(prepare(random_feeds(inputs, clips), inputs))
        except InputError:
            continue
        return clips
    return None


@contextmanager
def _computed_precision(module: nn.Module) -> Iterator[None]:
    """While the block exports a module, raise an `InputError` for types that ONNX Runtime's CPU does not compute.

    It computes some operators in float64 and others not, which shows only as it loads the model.
    """
    if any(value.is_complex() for value in module.parameters()):
        raise InputError(f"{type(module).__name__} has complex weights, which cannot be exported; {USE_RUNNER}")
    types = {str(value.dtype).removeprefix("torch.") for value in module.parameters() if value.is_floating_point()}
    not_computed = (
        f"the module is {' and '.join(sorted(types - COMPUTED))}, which ONNX Runtime's CPU does not compute; call "
        f".float() on it, or {USE_RUNNER}"
    )
    if types - COMPUTED - {"float64"}:
        raise InputError(not_computed)
    try:
        yield
    except InputError as error:
        if "float64" in types and "Could not find an implementation" in str(error):
            raise InputError(not_computed) from None
        raise


def _forward(module: nn.Module, layers: Modules, arrays: Arrays) -> Arrays:
    """Return the module's own outputs and its layers' tensors."""
    import torch

    device, dtype = device_and_dtype(module)
    taps: dict[str, list[Tensor]] = {path: [] for path in layers.values()}

    def tap(path: str, tensor: Tensor) -> Tensor:
        taps[path].append(tensor.clone())
        return tensor

    with explained(module), replacing_outputs(module, list(layers.values()), tap):
        own = module(*(torch.as_tensor(array).to(device, dtype) for array in arrays.values()))
    tensors = named_tensors(own) | {LAYER + name: concatenated(taps[path]) for name, path in layers.items()}
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


@contextmanager
def _room_for_weights(module: nn.Module, path: Path) -> Iterator[tuple[Path, Path] | None]:
    """Yield temporary files for graph and weights beside `path` if the weights are too large for one message."""
    if not exceeds_memory(sum(value.nbytes for value in [*module.parameters(), *module.buffers()])):
        yield None
        return
    writable_folder(path.parent)
    with temporary_beside(path) as graph, temporary_beside(path.with_name(path.name + SUFFIX)) as weights:
        yield graph, weights


def _to_onnx(
    module: nn.Module,
    layers: Modules,
    arrays: Arrays,
    outputs: Sequence[str],
    room: tuple[Path, Path] | None,
    *,
    dynamic: bool,
) -> ModelProto:
    """Run torch's exporter on the module with every layer's consumers behind a gate.

    What follows a layer, including in-place operations, reads the product with the gate and not the layer's tensor. If
    there is room for it, graph and weights are written to two files, and the weights stay there.
    """
    import torch

    class Gated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, fed: tuple[Tensor, ...], gates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            by_path = dict(zip(layers.values(), gates, strict=True))
            taps: dict[str, list[Tensor]] = {path: [] for path in by_path}

            def gate(path: str, tensor: Tensor) -> Tensor:
                taps[path].append(tensor.clone())
                return tensor * by_path[path]

            # The hooks are put on the modules themselves: as it traces, torch hands out stand-ins of them, and classes
            # that copy what is assigned to them, as Keras's do, do not run the hooks of a stand-in.
            with replacing_outputs(module, list(by_path), gate):
                own = self.model(*fed)
            return (*named_tensors(own).values(), *(concatenated(taps[path]) for path in by_path))

    device, dtype = device_and_dtype(module)
    fed = tuple(torch.as_tensor(array).to(device, dtype) for array in arrays.values())
    gates = tuple(torch.ones((), device=device, dtype=dtype) for _ in layers)
    sizes = {0: torch.export.Dim("batch")} if dynamic else {}
    try:
        with quiet("torch"):
            program = torch.onnx.export(
                Gated().eval(),
                (fed, gates),
                dynamo=True,
                opset_version=OPSET,
                input_names=[*arrays, *(GATE + name for name in layers)],
                output_names=[*outputs, *(LAYER + name for name in layers)],
                dynamic_shapes=(tuple(sizes for _ in fed), tuple({} for _ in gates)),
                custom_translation_table=translations(),
                verbose=False,
            )
    except Exception as error:
        cause = error.__cause__ or error
        raise InputError(
            f"torch {torch.__version__} cannot export {type(module).__name__}: {type(cause).__name__}: "
            f"{one_line(cause)}. Try torch.export.export on the module for the details, or run it as it "
            "is: sdmetrics analyze FILE.py:FUNCTION CLIPS"
        ) from error
    assert program is not None
    if room is None:
        return program.model_proto
    graph, weights = room
    try:
        require("onnx_ir", extra="torch").save(program.model, graph, external_data=weights.name)
    except OSError as error:
        raise InputError(
            f"cannot write the weights to {graph.parent}: {error.strerror or error}. Make room or write elsewhere"
        ) from error
    return load_model(graph)
