"""Run a probe with ONNX Runtime; never falls back to another provider silently."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.probes.feeds import check_feeds, check_masks, clips_in, unfold_frames
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.model_file import ModelFile, name_of, read_probe
from sdmetrics.probes.quiet import silent_stderr
from sdmetrics.probes.runtime_errors import reason_of
from sdmetrics.probes.session import (
    available_threads,
    default_logger,
    in_batches,
    open_session,
    run_options,
    runtime,
    session_batch,
)
from sdmetrics.runners.cards import card_names, card_number, check_device
from sdmetrics.runners.protocols import noted
from sdmetrics.runners.tensors import OUTPUT
from sdmetrics.runners.trunk import CutProbe

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

PROVIDERS = ("auto", "cpu", "cuda")
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# The default search times every convolution for every batch size, and may choose another algorithm in every run.
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
# Until ONNX Runtime 1.27 the fused operator squares and adds in float16.
NOT_ON_CUDA = ("SkipLayerNormFusion",)


class OnnxRunner:
    """Runs a probe: frames in, pooled units out.

    Parameters
    ----------
    probe
        The file that `sdmetrics.exporters.probe.build_probe` writes, its bytes, or what `make_probe` returns.
    provider
        `"cpu"`, `"cuda"`, or `"auto"`: CUDA if it loads, else the CPU; `circumstance["provider"]` tells which.
    threads
        Number of threads on the CPU. Default: the number of cores that this process may use.
    allow_tf32
        Whether CUDA may multiply in TF32, which has ten bits (faster, less precise).
    file
        The model's file, if it is in one: recorded in the folders of runs, so that later commands find it.
    device
        The graphics card: `"cuda:1"` is the second, and fails where CUDA does not load; `"auto"` is that of this
        process on its machine (LOCAL_RANK, else SLURM_LOCALID, else 0). Default: the first.

    Attributes
    ----------
    inputs
        The model inputs, and how each is fed.
    layers
        Names of the layers, in the order of the result.
    name
        The model's name.
    identity
        What decides its numbers: SHA-256 of the model, its layers with their axes, precision.
    circumstance
        Where and how it runs: provider, device, threads, version of the runtime, SHA-256 of the probe.
    stride_assumed
        Whether the stride of the inputs is neither in the model's file nor given by the user.

    Raises
    ------
    InputError
        If the file is not a probe, `"cuda"` or a card is requested and does not load, or TF32 is requested on the CPU.

    Examples
    --------
    >>> OnnxRunner(b"", provider="gpu")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: provider is 'gpu'; allowed: auto, cpu, cuda
    """

    inputs: Sequence[ModelInput]
    layers: Sequence[str]
    name: str
    identity: Mapping[str, Any]
    circumstance: Mapping[str, Any]

    def __init__(
        self,
        probe: Path | bytes | ModelFile,
        provider: str = "auto",
        threads: int | None = None,
        allow_tf32: bool = False,
        file: Path | None = None,
        device: str | None = None,
    ) -> None:
        ort = runtime()
        if provider not in PROVIDERS:
            raise InputError(f"provider is {provider!r}; allowed: {', '.join(PROVIDERS)}")
        provider = check_device(device, provider)
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; expected at least 1, or None to use all cores")
        found = read_probe(probe)
        assert found.metadata is not None
        threads = threads or available_threads()
        self.file = file
        self.stride_assumed = False
        self.metadata = found.metadata
        cards = card_names() if provider != "cpu" and CUDA in available_providers() else []
        card = card_number(device, len(cards))
        self._session = _open(found.model, name_of(probe), provider, threads, allow_tf32, card)
        self._options = run_options()
        self.inputs = self.metadata.inputs
        self.layers = [layer.name for layer in self.metadata.layers]
        self._cuda = CUDA in self._session.get_providers()
        elsewhere = partial(_on_cuda, threads=threads, allow_tf32=allow_tf32, card=card) if self._cuda else None
        masks = self.metadata.masks
        self._cut = CutProbe(found.model, self.metadata, self.run, threads, elsewhere) if masks else None
        self._batch = session_batch(self._session)
        if allow_tf32 and not self._cuda:
            raise InputError("TF32 requires CUDA, but the model runs on the CPU; drop allow_tf32 (--tf32)")
        self.name = self.metadata.name
        self.identity = {
            "model_sha256": self.metadata.sha256,
            "framework": self.metadata.framework,
            "export_error": self.metadata.export_error,
            "precision": self.metadata.precision or "unknown",
            "tf32": allow_tf32,
            "layers": {layer.name: layer.axes for layer in self.metadata.layers},
            # Probes without held inputs keep the identity that they had before there were any.
            **({"held": [asdict(held) for held in self.metadata.held]} if self.metadata.held else {}),
            **noted(self.metadata.trained_on_shuffled),
        }
        self.circumstance = {
            "runtime": f"onnxruntime {ort.__version__}",
            "provider": "cuda" if self._cuda else "cpu",
            "device": "cpu" if not self._cuda else cards[card] if cards else "unknown",
            "threads": threads,
            "probe_sha256": found.sha256,
        }

    def __call__(
        self, feeds: Mapping[str, NDArray[Any]], masks: Mapping[str, NDArray[Any]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the pooled units of every layer, float32 `(N, units)`.

        Parameters
        ----------
        feeds
            Every source that an input reads, e.g. `"rgb"`, uint8 `(N, T, H, W, 3)`; and for each model input
            `"<input>/order"`, int64 `(N, T')`.
        masks
            For some layers a mask `(units,)`; 0 removes a unit from what the layer's consumers read.

        Raises
        ------
        InputError
            If a feed or a mask is missing, unknown, or of another shape, type or range.
        """
        units = self.run(feeds, masks, [f"units/{layer}" for layer in self.layers])
        return {layer: units[f"units/{layer}"] for layer in self.layers}

    def run(
        self,
        feeds: Mapping[str, NDArray[Any]],
        masks: Mapping[str, NDArray[Any]] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return outputs of the probe by name: `units/<layer>` or the model's own, which are the default.

        Where the model's batch holds the frames of all clips, outputs of every frame are `(clips, frames, …)`.
        """
        known = [*self.metadata.outputs, *(f"units/{layer}" for layer in self.layers)]
        outputs = list(self.metadata.outputs if outputs is None else outputs)
        for name in outputs:
            if name not in known:
                raise InputError(f"the probe has no output {name!r}; allowed: {', '.join(known)}")
        fed: dict[str, NDArray[Any]] = dict(check_feeds(feeds, self.inputs))
        if masks:
            if not self.metadata.masks:
                raise InputError("this probe has no masks; build it with masks=True")
            units = {layer.name: layer.units for layer in self.metadata.layers if layer.units}
            fed |= {f"mask/{layer}": mask for layer, mask in check_masks(masks, units).items()}
        with _explained(clips_in(feeds)):
            if self._batch is None:
                return unfold_frames(self._run(fed, outputs), self.inputs, clips_in(feeds))
            batch = self._batch
            return in_batches(lambda part: unfold_frames(self._run(part, outputs), self.inputs, batch), fed, batch)

    def tensors(self, feeds: Mapping[str, NDArray[Any]], layers: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return what layers hold for one view before it is pooled, float32 `(rows, units, …)`.

        There are several rows where the model folds time into the batch. The probe is one of
        `sdmetrics.runners.tensors.with_tensors`.
        """
        units = {layer.name: layer for layer in self.metadata.layers}
        values = self.run(feeds, outputs=[OUTPUT + layer for layer in layers])
        # Frames that `run` has unfolded are rows again.
        return {
            layer: value[0] if (value := values[OUTPUT + layer]).ndim > len(units[layer].shape) else value
            for layer in layers
        }

    def run_masks(
        self, feeds: Mapping[str, NDArray[Any]], masks: Sequence[Mapping[str, NDArray[Any]]]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield what `run` returns under each of several masks; an empty one removes nothing.

        What masks of one layer do not change is computed once for all of them.
        """
        layers = list({layer for mask in masks for layer in mask})
        outputs = None
        if self._cut and len(masks) > 1 and len(layers) == 1:
            outputs = self._cut.run(check_feeds(feeds, self.inputs), layers[0], masks)
        with _explained(clips_in(feeds)):
            yield from (self.run(feeds, mask) for mask in masks) if outputs is None else outputs

    def _run(self, fed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run the probe once."""
        if not outputs:  # without names, the runtime returns all outputs
            return {}
        values = self._bound(fed, outputs) if self._cuda else self._session.run(outputs, fed, self._options)
        return dict(zip(outputs, values, strict=True))

    def _bound(self, fed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run with inputs and outputs bound, so that the device copies each once."""
        ort = runtime()
        binding = self._session.io_binding()
        for name, array in fed.items():
            # Not `bind_cpu_input`: it does not know masks, which are inputs with a default.
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        for name in outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, self._options)
        return list(binding.copy_outputs_to_cpu())


@contextmanager
def _explained(clips: int) -> Iterator[None]:
    """While the block runs so many clips, turn what the runtime raises into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"ONNX Runtime fails on a batch of {clips} view(s): {reason_of(error)}. If memory is short, "
            "use a smaller batch"
        ) from None


def available_providers() -> list[str]:
    """Return the providers that the installed runtime lists, whether or not they load."""
    return list(runtime().get_available_providers())


def loadable_providers() -> list[str]:
    """Return the providers that load: each is tried with a session on a tiny model.

    Examples
    --------
    >>> "CPUExecutionProvider" in loadable_providers()
    True
    """
    return [provider for provider in available_providers() if _loads(provider)]


def _loads(provider: str) -> bool:
    """Return whether a session on a tiny model gets the provider."""
    onnx = require("onnx", extra="cpu")
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "tiny", value[:1], value[1:])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    try:
        with silent_stderr(), redirect_stdout(io.StringIO()):
            providers = list(dict.fromkeys([provider, CPU]))
            session = open_session(model, providers, threads=1)
            session.run(None, {"x": np.ones(1, np.float32)})
    # A driver too old, or a processor that the build does not know, shows only when something runs.
    except Exception:
        return False
    return provider in session.get_providers()


def _open(model: ModelProto, file: str, provider: str, threads: int, allow_tf32: bool, card: int) -> InferenceSession:
    """Return a session on the requested provider."""
    listed = available_providers()
    try:
        if provider != "cpu" and CUDA in listed:
            with silent_stderr():
                session = _on_cuda(model, threads, allow_tf32, card)
            if CUDA in session.get_providers():
                return session
        if provider != "cuda":
            return open_session(model, threads=threads)
    except InputError as error:
        raise InputError(f"{file} cannot be run ({error}); make it again: sdmetrics probe MODEL") from None
    reason = "CUDA, cuDNN or the driver does not load" if CUDA in listed else "it is built without CUDA"
    raise InputError(
        f"provider 'cuda' is not available from {_installed()}: {reason} (it lists {', '.join(listed)}). Install an "
        "NVIDIA driver and only the GPU build: pip uninstall onnxruntime onnxruntime-gpu, then pip install "
        "'static-dynamic-metrics[gpu]'; or choose cpu"
    )


def _on_cuda(model: ModelProto, threads: int, allow_tf32: bool, card: int) -> InferenceSession:
    """Return a session that prefers CUDA; ONNX Runtime may fall back to the CPU without an error."""
    ort = runtime()
    if hasattr(ort, "preload_dlls"):
        # Finds CUDA's libraries where pip installed them, and prints what it does not find.
        with default_logger(ort), redirect_stdout(io.StringIO()):
            ort.preload_dlls()
    options = {**CUDA_OPTIONS, "device_id": str(card), "use_tf32": str(int(allow_tf32))}
    return open_session(model, [(CUDA, options), CPU], threads, without=NOT_ON_CUDA)


def _installed() -> str:
    """Return the installed wheels of ONNX Runtime; two of them overwrite each other."""
    wheels = []
    for wheel in ("onnxruntime", "onnxruntime-gpu"):
        try:
            wheels.append(f"{wheel} {importlib.metadata.version(wheel)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return " and ".join(wheels) or "a build of your own"
