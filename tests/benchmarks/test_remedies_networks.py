"""Study 11: each network has a combination of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from benchmarks.studies.remedies import networks
from benchmarks.studies.remedies.arms import CEILING, COMBINATIONS, NONE, chosen
from benchmarks.studies.remedies.recipe import Remedy
from benchmarks.studies.study import Scale
from tests.benchmarks.test_remedies import InventedBank


class PreferringBank(InventedBank):
    """In each network another combination is best, on the seeds that choices are made on; elsewhere another."""

    BEST: ClassVar = {"slowonly": "styles + entropy", "i3d": "entropy + r²", "slowfast": "styles + r²"}

    def record(self, recipe):
        record = super().record(recipe)
        best = COMBINATIONS[self.BEST[recipe.network]] if recipe.tuning else Remedy()
        record["top1"]["decorrelated"]["in_order"]["motion"]["top1"] = 0.9 if recipe.remedy == best else 0.5
        return record


def test_each_network_has_the_combination_that_was_best_on_seeds_used_for_nothing_else():
    bank, scale = PreferringBank(), Scale()
    own = networks.combinations(bank, scale)
    assert own == PreferringBank.BEST | {"c2d": "styles + entropy", "timesformer": "styles + entropy"}
    found = networks.arms(bank, scale)
    assert list(found["i3d"]) == [NONE, "entropy + r²", "styles + entropy", CEILING, chosen(bank, scale).penalty]
    assert list(found["timesformer"]) == [NONE, "styles + entropy", CEILING]
    assert {recipe.remedy for recipe in found["i3d"]["entropy + r²"]} == {COMBINATIONS["entropy + r²"]}
    assert all(recipe.tuning for recipe in networks.candidates(scale))
    quick = replace(scale, few=True)
    assert not {recipe.network for recipe in networks.candidates(quick)} - {"slowonly"}
    assert networks.combinations(bank, quick) == dict.fromkeys(("slowonly", "c2d"), "styles + entropy")
