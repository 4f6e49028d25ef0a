"""The batch size that is chosen: on a graphics card by a clock, which here shows what a made-up card would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners import batch_size as module
from sdmetrics.runners.batch_size import batch_size


class Card:
    """A runner on CUDA that takes `seconds(views)` for a batch and fails with `short` from `fits` views on."""

    def __init__(self, seconds: Callable[[int], float], fits: int = 1000, short: Exception | None = None) -> None:
        self.inputs = [ModelInput("video", frames=2, stride=1, size=(8, 8))]
        self.identity: Mapping[str, Any] = {}
        self.circumstance = {"provider": "cuda"}
        self.batches: list[int] = []
        self.now = 0.0
        self._seconds, self._fits, self._short = seconds, fits, short

    def __call__(self, feeds: Mapping[str, Any]) -> None:
        views = len(feeds["rgb"])
        if views >= self._fits and self._short:
            raise self._short
        # The first batch of a size is slow, as a library makes its plans; a round is disturbed now and then.
        disturbed = self.batches.count(views) in (0, 2)
        self.batches.append(views)
        self.now += self._seconds(views) * (9 if disturbed else 1)


def chosen(monkeypatch: pytest.MonkeyPatch, card: Card, **more: int) -> int:
    monkeypatch.setattr(module.time, "perf_counter", lambda: card.now)
    return batch_size("auto", card, card, **more)


def saturating(at: int) -> Callable[[int], float]:
    """Any number of views up to `at` takes one second; from there on every view takes its share."""
    return lambda views: max(views, at) / at


@pytest.mark.parametrize(("at", "size"), [(1, 6), (6, 6), (8, 12), (12, 12), (24, 24), (48, 48), (500, 48)])
def test_it_grows_until_more_are_not_faster(monkeypatch, at: int, size: int):
    assert chosen(monkeypatch, Card(saturating(at))) == size


def test_gains_of_less_than_five_percent_are_none(monkeypatch):
    for exponent, size in ((0.95, 6), (0.90, 48)):
        assert chosen(monkeypatch, Card(lambda views, power=exponent: views**power)) == size


@pytest.mark.parametrize(
    "short",
    [
        InputError("ONNX Runtime fails on a batch of 24 view(s): out of memory. If memory is short, use a smaller one"),
        MemoryError(),
        RuntimeError("CUDA out of memory"),
    ],
)
def test_it_stops_growing_where_memory_is_short(monkeypatch, short: Exception):
    card = Card(saturating(500), fits=24, short=short)
    assert chosen(monkeypatch, card) == 12
    assert set(card.batches) == {6, 12}
    assert chosen(monkeypatch, Card(saturating(500), fits=1, short=short)) == 6


@pytest.mark.parametrize(("most", "size"), [(3, 6), (11, 6), (12, 12), (47, 24), (1000, 48)])
def test_it_is_not_above_what_a_batch_can_have(monkeypatch, most: int, size: int):
    card = Card(saturating(500))
    assert chosen(monkeypatch, card, most=most) == size
    assert max(card.batches, default=6) <= 48
    assert bool(card.batches) == (most >= 12)


def test_on_the_cpu_nothing_is_tried(monkeypatch):
    card = Card(saturating(500))
    card.circumstance = {"provider": "cpu"}
    assert chosen(monkeypatch, card) == 6
    assert chosen(monkeypatch, card, least=16, most=16) == 16
    assert not card.batches


def test_a_given_number_is_taken():
    card = Card(saturating(500))
    assert batch_size(7, card, card) == 7
    for wrong, match in ((0, "batch is 0; expected at least 1"), ("big", "or 'auto'"), (None, "expected a whole")):
        with pytest.raises(InputError, match=match):
            batch_size(wrong, card, card)
    assert not card.batches
