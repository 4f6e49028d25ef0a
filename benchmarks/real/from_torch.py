"""Networks of PyTorch: PhysNet, built here, and TransNetV2, built by its package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from benchmarks.real import physnet, shots
from benchmarks.real.networks import Network, physnet_file
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.torch import TorchRunner


def export_network(network: Network, path: Path) -> Path:
    """Export a network."""
    module, video, layers = _build(network)
    if network.architecture == "TransNetV2":
        return export(module, [video], layers, path, batch=1)
    return export(module, [video], layers, path)


def live_runner(network: Network) -> TorchRunner:
    """Return a network that runs as it is."""
    module, video, layers = _build(network)
    return TorchRunner(module, [video], layers)


def _build(network: Network) -> tuple[nn.Module, ModelInput, tuple[str, ...]]:
    """Return the module of a network, how it is fed, and its layers."""
    shape = physnet if network.architecture == "PhysNet" else shots
    module = physnet.PhysNet() if shape is physnet else shots.Shots()
    if network.random:
        reset(module, int(network.weights.split()[-1]))
    elif isinstance(module, physnet.PhysNet):
        module.load_state_dict(torch.load(physnet_file(network.weights), map_location="cpu", weights_only=True))
    return module.eval(), shape.video(), shape.LAYERS


def reset(module: nn.Module, seed: int) -> None:
    """Draw all weights as they are drawn before a training."""
    torch.manual_seed(seed)
    for part in module.modules():
        if callable(getattr(part, "reset_parameters", None)):
            part.reset_parameters()
