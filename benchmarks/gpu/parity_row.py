"""A row of the table of parity."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = (
    "| model | measured with | units: largest difference | units: median | layer score | layer percent | unit score "
    "| units in another class | units dead on one side |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """Differences from the CPU's float32; those between units are relative to the largest unit of their layer."""

    model: str
    setting: str
    largest: float
    median: float
    layer_score: float
    layer_percent: float
    unit_score: float
    moved: int
    dead: int
    units: int

    def __str__(self) -> str:
        return (
            f"| {self.model} | {self.setting} | {self.largest:.1e} | {self.median:.1e} | {self.layer_score:.1e} "
            f"| {self.layer_percent:.1e} | {self.unit_score:.1e} | {self.moved} of {self.units} "
            f"| {self.dead} |"
        )
