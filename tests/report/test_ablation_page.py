"""What the report says of an ablation: words, numbers, curves."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.ablation.plan import plan_removals, stored_scores
from sdmetrics.ablation.result import Ablation
from sdmetrics.report import ablation_chart as removal_chart
from sdmetrics.report import words, write_figures, write_report
from tests.helpers import runs
from tests.report.test_page import HOSTILE, Page


def ablation(layer: str = "stage4", scores: tuple[str, ...] = ("top1",), clips: int = 40, pull: int = 0) -> Ablation:
    """An ablation whose clips each survive with a chance that falls with the units removed, and with `pull`."""
    run = runs.run({layer: (0.5, 0.6)}, units=10)
    units = stored_scores(run.units, run.threshold, run.estimator)
    plan = plan_removals({layer: units}, factors=["dynamic", "static"], fractions=[0, 0.3, 0.6], repeats=3)
    worse = {removal.mask: pull * (removal.ranking == "dynamic") for removal in plan.removals}
    removed = np.array([10 - sum(mask.get(layer, np.ones(10))) + worse[i] for i, mask in enumerate(plan.masks)])
    chance = np.clip(1 - removed / 12, 0, 1)
    values = np.random.default_rng(0).random((clips, len(plan.masks), len(scores))) < chance[:, None]
    skipped = [{"id": HOSTILE, "reason": "no video stream"}]
    made = Ablation(run.model, "softmax", 0, 3, {"used": clips, "looped": 0, "skipped": skipped}, list(scores))
    made.layers.append({"name": layer, "units": 10, "dominant": "static"})
    made.add(plan, values.astype(float), np.arange(clips) % 10)
    return made


def test_what_is_missed_without_units_stands_in_words_and_numbers(tmp_path: Path) -> None:
    made = ablation(scores=("top1", "top5"), pull=3)
    named = {"motion": runs.run(), "appearance": runs.run(runs.APPEARANCE)}
    page = Page(write_report(named, tmp_path / "report.html", {"appearance": made}))
    section = page.text[page.text.index("Unit ablation") : page.text.index("Numbers motion")]
    assert "stage4: 10 units, dominant factor static." in section
    assert f"40 used, 1 skipped ({HOSTILE}: no video stream)" in section
    for score in ("top1", "top5"):
        said = f"stage4, {words.score_name(score)} {words.removal_verdict(made, 'stage4', score)}"
        assert " ".join(said.split()) in section
        for line in words.removal_table(made, "stage4", score):
            cells = [f"{100 * line['fraction']:.3g} %", line["removed"]]
            cells += [f"{words.number(p['mean'])}{words.interval_text(p['ci95'])}" for p in line["curves"].values()]
            for factor in line["differences"].values():
                cells += [f"{words.number(d['difference'])}{words.interval_text(d['ci95'])}" for d in factor.values()]
            assert "".join(map(str, cells)).replace(" ", "") in section.replace(" ", "")
    assert len(page.data()["removals"]) == 2
    assert len([a for _, a in page.tags if a.get("class") == "removal"]) == 2


class TestVerdict:
    """The sentence below a chart of an ablation."""

    @staticmethod
    def row(factor: str, difference: float, ci95: list[float | None], above: int) -> dict:
        names = {"layer": "a", "score": "top1", "against": "random", "factor": factor}
        return {**names, "difference": difference, "ci95": ci95, "draws_above": above}

    @staticmethod
    def verdict(*rows: dict) -> str:
        made = Ablation({}, "softmax", 0, 5, {"used": 9, "looped": 0, "skipped": []}, ["top1"], overall=list(rows))
        return words.removal_verdict(made, "a", "top1").replace("\u202f", " ")

    def test_a_significant_drop(self) -> None:
        rows = self.row("static", 0.05, [-0.01, 0.11], 1), self.row("dynamic", -0.2, [-0.3, -0.1], 5)
        assert self.verdict(*rows) == (
            "Removing the most dynamic units lowers top-1 most (difference −0.200, 95 % CI [−0.300, −0.100]; random "
            "draws that score higher: 5 of 5). Most static units: difference 0.050, 95 % CI [−0.010, 0.110]; random "
            "draws that score higher: 1 of 5. Differences are relative to removing as many random units, averaged over "
            "the fractions."
        )

    @pytest.mark.parametrize("high", [0.012, 0.0])
    def test_a_drop_whose_interval_contains_zero_is_not_significant(self, high: float) -> None:
        verdict = self.verdict(self.row("dynamic", -0.075, [-0.192, high], 4))
        assert verdict.startswith(
            "Removing the most dynamic units lowers top-1 most, but not significantly (difference −0.075, 95 % CI "
            f"[−0.192, {high:.3f}]; random draws that score higher: 4 of 5). Differences"
        )

    def test_a_drop_without_an_interval(self) -> None:
        assert self.verdict(self.row("static", -0.2, [None, None], 5)).startswith(
            "Removing the most static units lowers top-1 most (difference −0.200, no confidence interval; random"
        )

    @pytest.mark.parametrize("difference", [0.0, 0.05])
    def test_no_drop(self, difference: float) -> None:
        rows = (self.row(factor, difference, [-0.01, 0.11], 0) for factor in ("dynamic", "static"))
        evidence = f"difference {difference:.3f}, 95 % CI [−0.010, 0.110]; random draws that score higher: 0 of 5"
        assert self.verdict(*rows).startswith(
            f"No factor’s removal lowers top-1 more than random removal. Most dynamic units: {evidence}. "
            f"Most static units: {evidence}. Differences"
        )


def test_curves_of_removal_tell_every_point_and_the_spread_of_its_draws() -> None:
    made = ablation()
    spec = removal_chart.removal_chart(made, "stage4", "top1").to_dict()
    (rows,) = spec["datasets"].values()
    assert len(rows) == len(made.curves) == 4 * 3
    for row, point in zip(rows, sorted(made.curves, key=lambda p: p["fraction"]), strict=True):
        assert (row["ranking"], row["removed"]) == (point["ranking"], 100 * point["fraction"])
        assert (row["lowest"], row["mean"], row["highest"]) == (point["lowest"], point["mean"], point["highest"])
        assert row["description"].startswith(f"{point['ranking']}, {100 * point['fraction']:.3g} % removed: top-1")
        assert ("over 3 draws" in row["draws"]) == (point["draws"] == 3)
    assert any(row["lowest"] < row["highest"] for row in rows)
    assert {row["highest"] - row["lowest"] for row in rows if row["ranking"] in ("dynamic", "static")} == {0}


def test_the_removal_figure_is_drawn(tmp_path: Path) -> None:
    run = runs.run({"stage4": (0.5, 0.6)}, units=4)
    written = write_figures({HOSTILE: run}, tmp_path, {HOSTILE: ablation(clips=4)})
    assert [path.name for path in written[-2:]] == ["unit-removal.png", "unit-removal.svg"]
    assert min(cv2.imread(str(written[-2])).shape[:2]) > 150
    text = " ".join(ET.parse(written[-1]).getroot().itertext())
    assert HOSTILE[:40] in text
    for word in ("dynamic", "static", "random", "least", "percent of stage4’s units removed", "top-1"):
        assert word in text
