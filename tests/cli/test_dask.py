"""`sdmetrics analyze --dask`: on a real cluster of processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sdmetrics.clips.generated.world import world_clips
from sdmetrics.demo import demo_model
from tests.cli.test_commands import failed
from tests.helpers.sources import Noise, killed

pytest.importorskip("distributed", reason="distributed is not installed: runs on a Dask cluster are not tested")


@pytest.fixture
def model():
    with demo_model("motion") as path:
        yield path


def test_a_cluster_of_this_machine_writes_the_run_of_one_process(model, tmp_path, command):
    run = ("analyze", model, "world:40", "--provider", "cpu", "--layer", "stage4")
    code, out, err = command(*run, "-o", tmp_path / "there", "--dask", "local:2", "--threads", 1)
    assert (code, err) == (0, "")
    assert "40 clips used" in out
    assert command(*run, "-o", tmp_path / "here", "--threads", 1)[0] == 0
    for name in ("results.json", "units.csv", "source.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.all  # half a minute; tests/loading/test_dask_cluster.py has a clip that does so, without the command
def test_a_clip_that_crashes_its_workers_is_named_and_is_status_3(model, tmp_path, command, monkeypatch):
    clips = world_clips(20)
    clips[7] = replace(clips[7], load=Noise(7, killed))
    monkeypatch.setattr("sdmetrics.loading.open.open_clips", lambda *_, **__: clips)
    run = ("analyze", model, "ignored", "-o", tmp_path / "run", "--provider", "cpu", "--layer", "stage4")
    code, out, err = command(*run, "--dask", "local:2")
    assert (code, err) == (3, "")
    assert "skipped world-000007: it crashed its worker 3 times" in out
    assert "19 clips used, 1 skipped" in out
    assert (tmp_path / "run" / "report.html").exists()
    # What is stored says so, too, and the clip is not touched again.
    assert command(*run)[0] == 3


def test_what_is_no_cluster(model, command):
    failed(command("analyze", model, "world:40", "--dask", "local"), "--dask is 'local'; expected the address")
