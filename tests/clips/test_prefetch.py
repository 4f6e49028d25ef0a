"""Clips that are rendered ahead: in how many threads, how far ahead, and that neither changes what comes out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.prefetch import LEAST, Unusable, decoding_threads, rendered_ahead
from sdmetrics.errors import InputError
from sdmetrics.probes import session

CLIPS = world_clips(40, size=16, frames=2)


def sums(threads: int) -> list[tuple[str, int | Unusable]]:
    def render(clip: Clip) -> int:
        if clip.id.endswith("7"):
            raise InputError("damaged")
        return int(clip.frames.sum())

    with rendered_ahead(render, CLIPS, threads) as rendered:
        return [(clip.id, outcome) for clip, outcome in rendered]


@pytest.mark.parametrize("threads", [2, 5, 64])
def test_the_number_of_threads_changes_nothing(threads: int):
    assert sums(threads) == sums(1)
    assert [clip for clip, _ in sums(threads)] == [clip.id for clip in CLIPS]


@pytest.mark.parametrize("threads", [1, 3])
def test_clips_ahead_are_few_however_slow_the_reader(threads: int):
    begun = []
    with rendered_ahead(lambda clip: begun.append(clip.id), CLIPS, threads) as rendered:
        for read, _ in enumerate(rendered):
            assert len(begun) <= read + 2 * threads + 1


def test_all_threads_are_used():
    together = threading.Barrier(3, timeout=30)
    with rendered_ahead(lambda _: together.wait(), CLIPS[:12], threads=3) as rendered:
        assert not any(isinstance(outcome, Unusable) for _, outcome in rendered)


@pytest.mark.parametrize(
    ("circumstance", "cores", "threads"),
    [
        ({"provider": "cpu", "threads": 16}, 16, LEAST),
        ({"provider": "cpu", "threads": 4}, 16, 12),
        ({"provider": "cpu", "threads": 64}, 16, LEAST),
        ({"provider": "cuda", "threads": 16}, 16, 15),
        ({"provider": "cuda", "threads": 1}, 1, LEAST),
        ({}, 16, LEAST),
    ],
)
def test_threads_take_the_cores_that_the_model_leaves(monkeypatch, circumstance, cores: int, threads: int):
    monkeypatch.setattr("sdmetrics.clips.prefetch.available_threads", lambda: cores)
    assert decoding_threads(circumstance) == threads


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000\n", 8), ("250000 100000\n", 3), ("20000 100000\n", 1), ("", 8), (None, 8)]
)
def test_a_quota_of_the_container_counts(monkeypatch, tmp_path: Path, quota: str | None, cores: int):
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(session, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert session.available_threads() == cores
