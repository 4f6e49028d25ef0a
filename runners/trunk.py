"""A probe in two halves: what a layer's mask does not change runs once for a batch of clips, the rest per mask."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._reading import read_bytes
from sdmetrics.errors import note, one_line, require
from sdmetrics.probes.feeds import Arrays, check_masks, clips_in, example_feeds, machine_memory, unfold_frames
from sdmetrics.probes.kept_weights import kept_size, kept_tensors
from sdmetrics.probes.metadata import Metadata
from sdmetrics.probes.onnx_file import LIMIT, parsed
from sdmetrics.probes.placement import relative_error
from sdmetrics.probes.session import batches, fixed_batch, joined, open_session, run_options, runtime
from sdmetrics.runners.cut import Cut, cut

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

ALLOWED = 1e-6
"""The largest difference, relative to an output's scale, from the probe where the runtime optimises each half by
itself. Otherwise none is allowed."""

SHARE = 0.75
"""Part of the machine's memory that the weights of a probe and of its halves may take."""

Head = Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]]
"""Takes a mask and returns the model's outputs by name."""

Open = Callable[["ModelProto"], "InferenceSession"]


class CutProbe:
    """A probe that is cut at the masks of its layers, at each as soon as it is needed.

    Parameters
    ----------
    model, metadata
        The probe.
    run
        Runs it: takes feeds and the masks of some layers, and returns the model's outputs.
    threads
        The number of threads on the CPU.
    elsewhere
        Opens a model on another device than the CPU, if the probe runs there.
    """

    def __init__(
        self,
        model: ModelProto,
        metadata: Metadata,
        run: Callable[[Arrays, Arrays], Arrays],
        threads: int,
        elsewhere: Open | None = None,
    ) -> None:
        self._model, self._metadata, self._run, self._threads = model, metadata, run, threads
        self._batch = fixed_batch(model)
        self._size = model.ByteSize() + kept_size(model)
        # What the runtime optimises for another device, or with weights that stay in files, it does not write.
        self._exact = elsewhere is None and not kept_tensors(model.graph)
        self._elsewhere = elsewhere
        self._optimised = False
        self._halves: dict[str, Halves | None] = {}

    def run(self, feeds: Arrays, layer: str, masks: Sequence[Arrays]) -> Iterator[dict[str, NDArray[Any]]] | None:
        """Yield the model's outputs under each mask of a layer, or return None where the probe cannot be cut there.

        Said once is why it cannot.

        Raises
        ------
        InputError
            If a mask is not one of the layer.
        """
        units = {each.name: each.units for each in self._metadata.layers if each.units}
        if layer not in units:
            return None
        none = {layer: np.ones(units[layer])}
        checked = [check_masks(mask or none, units)[layer] for mask in masks]
        if layer not in self._halves:
            self._halves[layer] = self._open(layer, units[layer])
        halves = self._halves[layer]
        return self._outputs(halves, feeds, checked) if halves else None

    def _outputs(
        self, halves: Halves, feeds: Arrays, masks: Sequence[NDArray[np.float32]]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the outputs under each mask; the trunk runs once."""
        inputs, batch = self._metadata.inputs, self._batch
        if batch is None:
            head, clips = halves.start(feeds), clips_in(feeds)
            yield from (unfold_frames(head(mask), inputs, clips) for mask in masks)
            return
        heads = [(halves.start(part), used) for part, used in batches(feeds, batch)]
        for mask in masks:
            yield joined(((unfold_frames(head(mask), inputs, batch), used) for head, used in heads), batch)

    def _open(self, layer: str, units: int) -> Halves | None:
        """Return the halves at a layer's mask, proven to do what the probe does; None where there are none."""
        try:
            # The probe's session and its graph, two halves as graphs, and the sessions of every cut.
            if (4 + len(self._halves)) * self._size > SHARE * machine_memory():
                raise ValueError("this machine lacks the memory for further copies of its weights")
            if self._exact and not self._optimised:
                self._model, self._optimised = optimised(self._model, self._threads), True
            opened = partial(open_session, threads=self._threads, optimise=not self._exact)
            halves = open_halves(self._model, f"mask/{layer}", self._metadata.outputs, self._elsewhere or opened)
            self._check(halves, layer, units)
        except Exception as error:
            note(f"every mask of layer {layer!r} runs the whole model, which is not cut there: {one_line(error)}")
            return None
        return halves

    def _check(self, halves: Halves, layer: str, units: int) -> None:
        """Raise a `ValueError` unless the halves return what the probe returns, without a mask and with one."""
        feeds = example_feeds(self._metadata.inputs)
        masks = [np.ones(units, np.float32), (np.arange(units) % 2).astype(np.float32)]
        for mask, found in zip(masks, self._outputs(halves, feeds, masks), strict=True):
            expected = self._run(feeds, {layer: mask})
            error = max(relative_error(found[name], value) for name, value in expected.items())
            if error > (0 if self._exact else ALLOWED):
                raise ValueError(f"its halves would differ from it by {error:.1e} of its scale")


@dataclass(frozen=True)
class Halves:
    """The sessions of a trunk and of a head, see `Cut`.

    Parameters
    ----------
    trunk, head
        The sessions.
    mask
        The input that the model is cut at.
    outputs
        The names of the model's outputs.
    """

    trunk: InferenceSession
    head: InferenceSession
    mask: str
    outputs: Sequence[str]

    def start(self, feeds: Arrays) -> Head:
        """Run the trunk, and return what runs the head. What crosses stays on the device."""
        ort, options = runtime(), run_options()
        known = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in feeds.items()}
        reads = [value.name for value in self.head.get_inputs()]
        returns = [value.name for value in self.trunk.get_outputs()]
        first = self.trunk.io_binding()
        for value in self.trunk.get_inputs():
            first.bind_ortvalue_input(value.name, known[value.name])
        for name in returns:
            first.bind_output(name, *_place(self.trunk))
        self.trunk.run_with_iobinding(first, options)
        known |= zip(returns, first.get_outputs(), strict=True)
        same = {name: known[name].numpy() for name in self.outputs if name in known}
        rest = [name for name in self.outputs if name not in known]
        binding = self.head.io_binding()
        for name in reads:
            binding.bind_ortvalue_input(name, known[name])

        def head(mask: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
            # `binding` is kept: binding an input again replaces it.
            binding.bind_ortvalue_input(self.mask, ort.OrtValue.ortvalue_from_numpy(mask))
            binding.clear_binding_outputs()
            for name in rest:
                binding.bind_output(name, "cpu")
            self.head.run_with_iobinding(binding, options)
            last = dict(zip(rest, binding.copy_outputs_to_cpu(), strict=True))
            # Whoever scores them may write to them.
            return {name: last[name] if name in last else same[name].copy() for name in self.outputs}

        return head


def open_halves(model: ModelProto, at: str, outputs: Sequence[str], opened: Open) -> Halves:
    """Return the halves of a model that is cut at the input `at`, each as `opened` opens it.

    Raises
    ------
    ValueError
        If it cannot be cut there.
    """
    halves = cut(model, at, outputs)
    trunk = opened(halves.trunk)
    _declare(halves, trunk)
    return Halves(trunk, opened(halves.head), at, outputs)


def optimised(model: ModelProto, threads: int) -> ModelProto:
    """Return a model as the runtime optimises it for this machine's processor.

    Cut afterwards and opened without optimisation, the halves do to the last bit what the whole does. Optimised by
    themselves they would not: the runtime joins a sum to the convolution before it, for example.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        open_session(model, threads=threads, written=path)
        found = parsed(read_bytes(path, LIMIT), path.name)
    assert found is not None
    return found


def _declare(halves: Cut, trunk: InferenceSession) -> None:
    """Tell the head the types and the shapes of what the trunk returns.

    Raises
    ------
    ValueError
        If it is not a tensor.
    """
    onnx = require("onnx", extra="cpu")
    kinds_of = onnx.TensorProto.DataType
    names = {kind: "float" if kind == "FLOAT" else kind.lower() for kind in kinds_of.keys()}  # noqa: SIM118 (no dict)
    kinds = {f"tensor({name})": getattr(onnx.TensorProto, kind) for kind, name in names.items()}
    for value in trunk.get_outputs():
        if value.name in halves.crossing:
            if value.type not in kinds:
                raise ValueError(f"it would have to pass on {value.name}, a {value.type}")
            # The runtime describes numbers and tensors of unknown rank alike.
            shape = value.shape or None
            halves.head.graph.input.append(onnx.helper.make_tensor_value_info(value.name, kinds[value.type], shape))


def _place(session: InferenceSession) -> tuple[str, int]:
    """Return the device of a session, and its number."""
    options = session.get_provider_options().get("CUDAExecutionProvider")
    return ("cpu", 0) if options is None else ("cuda", int(options["device_id"]))
