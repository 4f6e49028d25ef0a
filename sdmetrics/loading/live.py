"""Run a PyTorch model of the user's own code as it is, without an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.loading.user_code import Built, build_model, model_name, split_code
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.quiet import quiet
from sdmetrics.runners.cards import card_number, check_device
from sdmetrics.runners.onnxruntime import PROVIDERS
from sdmetrics.runners.torch import TorchRunner


def open_live(
    model: str | Path,
    *,
    layers: Sequence[str] | Mapping[str, int | None] | None,
    inputs: Sequence[ModelInput | HeldInput] | None,
    provider: str,
    threads: int | None,
    device: str | None = None,
) -> TorchRunner:
    """Return the runner of a model in the user's code, see `open_model`."""
    torch = require("torch", extra="torch")
    place = torch_device(provider, device)
    if threads is not None:
        torch.set_num_threads(threads)
    built = build_model(model)
    video = [item for item in inputs or built.inputs if isinstance(item, ModelInput)]
    if inputs and len(video) < len(inputs):
        raise InputError(
            "inputs has a HeldInput, which is for ONNX models; wrap the module so that it only reads video"
        )
    runner = TorchRunner(built.module, video, _with_axes(built, layers), place)
    file, function = split_code(model)
    runner.name = model_name(model)
    runner.file = f"{Path(file).resolve() if file.endswith('.py') else file}:{function}"
    return runner


def _with_axes(
    built: Built, layers: Sequence[str] | Mapping[str, int | None] | None
) -> Sequence[str] | Mapping[str, int | None]:
    """Return the requested layers; axes that are not requested are those that the function returned."""
    if layers is None:
        return built.layers
    own = built.layers if isinstance(built.layers, Mapping) else {}
    asked = layers if isinstance(layers, Mapping) else dict.fromkeys(layers)
    return {name: own.get(name) if axis is None else axis for name, axis in asked.items()}


def torch_device(provider: str, device: str | None = None) -> str:
    """Return torch's name of the device for a provider: CUDA for `"auto"` if it works; `device` chooses the card.

    Raises
    ------
    InputError
        If CUDA is requested and does not work, or there is no such card.

    Examples
    --------
    >>> torch_device("cpu")
    'cpu'
    """
    torch = require("torch", extra="torch")
    if provider not in PROVIDERS:
        raise InputError(f"provider is {provider!r}; allowed: {', '.join(PROVIDERS)}")
    provider = check_device(device, provider)
    if provider == "cpu":
        return provider
    card = "cuda" if device is None else f"cuda:{card_number(device, torch.cuda.device_count())}"
    try:
        with quiet("torch"):
            # What a driver or a build lacks shows only when something runs.
            torch.zeros(1, device=card).add(1).cpu()
        return card
    except Exception as error:
        if provider == "auto":
            return "cpu"
        raise InputError(
            f"provider 'cuda' is not available from torch {torch.__version__}: {one_line(error)}. Install an NVIDIA "
            "driver and a build of torch for CUDA; or choose cpu"
        ) from None
