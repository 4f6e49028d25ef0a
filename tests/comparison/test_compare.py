"""Runs side by side: rows, pairs of layers, differences with intervals, words, and the page."""

import csv
import shutil
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.render import feeds, render
from sdmetrics.comparison.compare import compare, depths, layer_values, matched
from sdmetrics.comparison.step_folders import step_folder, step_folders
from sdmetrics.errors import InputError
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife
from tests.helpers import runs
from tests.helpers.fakes import NumpyRunner, broken_clip, colours, noise_clip

CLIPS = [*(noise_clip(seed) for seed in range(40)), broken_clip()]


def mixed(share):
    """A layer that is blind to order, but for a share of what only order tells."""

    def layer(frames):
        first, rest = frames[:, 0].mean(axis=(1, 2)), colours(frames)
        return (1 - share) * rest + share * first

    return layer


RUNNERS = {
    "one": NumpyRunner({"a": colours, "b": mixed(0.3)}),
    "other": NumpyRunner({"a": mixed(0.5), "b": mixed(0.9)}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models, analysed on the same clips."""
    out = tmp_path_factory.mktemp("runs")
    for name, runner in RUNNERS.items():
        measure_biases(runner, CLIPS, out=out / name, progress=False)
    return {name: out / name for name in RUNNERS}


def naive_replicates(runner, layer):
    """Eq. 1 from the units of all clips, then without each group's, with NumPy's own correlation."""
    units, groups = [], []
    for clip in sorted(CLIPS[:-1], key=lambda clip: clip.id):
        views, frames = render(clip, 0, runner.inputs)
        units.append(runner(feeds(views, frames))[layer])
        groups.append(group_of(clip.video))
    units, groups = np.array(units, np.float64), np.array(groups)
    found = []
    for left_out in [-1, *sorted(set(groups))]:
        z = units[groups != left_out]
        scores = [
            np.mean([np.corrcoef(z[:, 0, u], z[:, other, u])[0, 1] for u in range(z.shape[2])]) for other in (1, 2)
        ]
        powers = np.exp([*scores, 1])
        found.append([*scores, *(100 * powers / powers.sum())[:2]])
    return np.array(found)


def test_a_paired_difference_is_the_jackknife_of_the_difference(folders):
    comparison = compare(folders)
    assert comparison.warnings == []
    assert [(row["from_layer"], row["to_layer"]) for row in comparison.differences] == [("a", "a"), ("b", "b")]
    for row in comparison.differences:
        assert (row["from"], row["to"], row["intervals"]) == ("one", "other", "")
        change = naive_replicates(RUNNERS["other"], row["to_layer"]) - naive_replicates(
            RUNNERS["one"], row["from_layer"]
        )
        low, high = jackknife(change)
        names = ("score_dynamic", "score_static", "percent_dynamic", "percent_static")
        for place, name in enumerate(names):
            assert row[name] == pytest.approx(change[0, place], abs=1e-5)
            assert row[f"{name}_low"] == pytest.approx(low[place], rel=1e-3, abs=1e-4)
            assert row[f"{name}_high"] == pytest.approx(high[place], rel=1e-3, abs=1e-4)
    assert row["score_static"] < row["score_static_high"] < 0  # it sees order, and surely so


def test_a_run_does_not_differ_from_itself(folders):
    row = compare({"x": folders["one"], "y": folders["one"]}).differences[0]
    for name in ("score_dynamic", "percent_static"):
        assert row[name] == row[f"{name}_low"] == row[f"{name}_high"] == 0


def test_without_the_same_clips_and_seed_there_is_no_interval_but_the_reason(folders, tmp_path):
    plain = {name: Results.load(folder) for name, folder in folders.items()}
    (row, _) = compare(plain).differences
    assert row["intervals"] == "one was not read from a folder"
    assert row["percent_static"] == pytest.approx(
        plain["other"].layer("a")["percent"]["static"] - plain["one"].layer("a")["percent"]["static"]
    )
    assert row["percent_static_low"] is None
    others = {
        "other seeds": measure_biases(RUNNERS["one"], CLIPS, seed=1, out=tmp_path / "seed", progress=False),
        "other clips": measure_biases(RUNNERS["one"], CLIPS[:30], out=tmp_path / "clips", progress=False),
        "other estimators": measure_biases(
            RUNNERS["one"], CLIPS, estimator="icc", out=tmp_path / "estimator", progress=False
        ),
    }
    for (reason, _), folder in zip(others.items(), ("seed", "clips", "estimator"), strict=True):
        comparison = compare({"one": folders["one"], "new": tmp_path / folder})
        assert comparison.differences[0]["intervals"] == reason
        assert len(comparison.warnings) == 1
        assert reason.removeprefix("other ") in comparison.warnings[0]


def test_a_missing_or_damaged_shard_takes_the_intervals_and_nothing_else(folders, tmp_path):
    for spoil in ("gone", "damaged"):
        copy = shutil.copytree(folders["other"], tmp_path / spoil)
        shard = sorted((copy / "shards").glob("*.npz"))[0]
        shard.unlink() if spoil == "gone" else shard.write_bytes(shard.read_bytes()[:100])
        row = compare({"one": folders["one"], spoil: copy}).differences[0]
        assert row["intervals"] == f"shards of {spoil} are missing"
        assert row["percent_static"] is not None


def test_temporary_files_of_a_killed_writer_do_not_take_the_intervals(folders, tmp_path):
    copy = shutil.copytree(folders["other"], tmp_path / "killed")
    whole = sorted((copy / "shards").glob("*.npz"))[0].read_bytes()
    for name, content in ((".00-00000-1f2e3d4c.npz", whole[:99]), (".01-00000-9a8b7c6d.npz", whole)):
        (copy / "shards" / name).write_bytes(content)
    expected = compare(folders).differences
    found = compare({"one": folders["one"], "other": copy}).differences
    assert found == expected
    assert all(row["intervals"] == "" and row["percent_static_low"] is not None for row in found)


def test_a_shard_of_another_run_is_never_part_of_a_difference(folders, tmp_path):
    measure_biases(RUNNERS["other"], CLIPS, seed=1, out=tmp_path / "seed 1", progress=False)
    copy = shutil.copytree(folders["other"], tmp_path / "mixed")
    path = sorted((copy / "shards").glob("*.npz"))[1]
    shutil.copy(tmp_path / "seed 1" / "shards" / path.name, path)
    with pytest.raises(InputError, match=rf"{path} belongs to another run .*remove it"):
        compare({"one": folders["one"], "other": copy})


def test_runs_computed_in_other_batches_are_paired_and_the_warning_names_the_batch(folders, tmp_path):
    measure_biases(RUNNERS["other"], CLIPS, batch=5, out=tmp_path / "five", progress=False)
    comparison = compare({"one": folders["one"], "other": tmp_path / "five"})
    assert comparison.differences == compare(folders).differences
    assert comparison.warnings == ["Computed differently, which changes numbers by less than 1e-5: ran on · batch."]


def test_rows_hold_every_point_and_layer():
    first, second = runs.run(dead=3), runs.run(runs.APPEARANCE, intervals=False)
    comparison = compare({"i3d": {300: second, 0: first}, "c2d": runs.run({"only": (0.2, 0.9)}, pairs=1)})
    rows = comparison.rows
    assert [(row["run"], row["step"]) for row in rows] == [("i3d", 0)] * 4 + [("i3d", 300)] * 4 + [("c2d", None)]
    assert rows[3] == {
        "run": "i3d",
        "step": 0,
        "layer": "stage4",
        "depth": 1.0,
        **layer_values(first.layers[3]),
    }
    assert rows[3]["percent_static"] == first.layers[3]["percent"]["static"]
    assert [rows[3]["percent_static_low"], rows[3]["percent_static_high"]] == first.layers[3]["ci95"]["percent"][
        "static"
    ]
    assert rows[3]["units_dead"] == 3
    assert rows[7]["score_dynamic_low"] is None
    assert rows[8]["score_dynamic"] is None
    assert rows[8]["depth"] == 1.0
    assert list(comparison.finals) == ["i3d", "c2d"]
    assert comparison.finals["i3d"] is second
    assert list(comparison.trained) == ["i3d"]


def test_differences_are_from_first_to_last_step_and_from_the_first_run_to_the_others():
    training = {0: runs.run(), 5: runs.run(), 9: runs.run(runs.APPEARANCE)}
    comparison = compare({"a": training, "b": runs.run(), "c": training})
    ends = list(dict.fromkeys((row["from"], row["to"]) for row in comparison.differences))
    assert ends == [
        ("a, step 0", "a, step 9"),
        ("c, step 0", "c, step 9"),
        ("a, step 9", "b"),
        ("a, step 9", "c, step 9"),
    ]
    stage4 = next(row for row in comparison.differences if row["from_layer"] == "stage4")
    counts = [run.layer("stage4")["counts"] for run in (training[0], training[9])]
    for label in ("dynamic", "joint"):
        assert stage4[f"share_{label}"] == pytest.approx(100 * (counts[1][label] - counts[0][label]) / 64)


def named(*layers):
    return Results({}, 0, "pearson", 0.5, {}, layers=[{"name": name} for name in layers])


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ("abc", "abc", ["aa", "bb", "cc"]),
        ("abc", "bcx", ["bb", "cc", "cx"]),
        ("abcde", "xyz", ["ax", "cy", "ez"]),
        ("xyz", "abcde", ["xa", "yc", "ze"]),
        ("x", "abc", ["xc"]),
        ("abc", "x", ["cx"]),
    ],
)
def test_layers_are_paired_by_name_else_by_depth_and_the_last_always(one, other, pairs):
    assert matched(named(*one), named(*other)) == [tuple(pair) for pair in pairs]


@given(st.integers(1, 30), st.integers(1, 30))
def test_layers_of_other_names_are_paired_by_the_nearest_depth(m, n):
    one, other = named(*(f"a{i}" for i in range(m))), named(*(f"b{i}" for i in range(n)))
    pairs = [(int(a[1:]), int(b[1:])) for a, b in matched(one, other)]
    assert len(pairs) == min(m, n)
    assert pairs[-1] == (m - 1, n - 1)
    for a, b in pairs:
        assert abs(depths(one)[a] - depths(other)[b]) <= 0.5 / max(1, max(m, n) - 1) + 1e-9 or min(m, n) == 1
    assert all(p[0] < q[0] and p[1] < q[1] for p, q in combinations(pairs, 2))


class TestWarnings:
    def test_decisive_settings_are_named_with_their_values(self):
        one, two = runs.run(), runs.run(threshold=0.6, seed=7, pairs=200)
        two.estimator = "icc"
        two.settings["styles"] = {"dusk": {"built_in": "version 2"}, "relief": {"built_in": "version 1"}}
        for run in (one, two):
            run.settings["clips"] = {"sha256": f"{run.seed}9f2c4e1b"}
        two.settings["inputs"] = [{**two.settings["inputs"][0], "stride": 4}]
        two.ran_on = [{**one.ran_on[0], "batch": 7}]
        told = compare({"a": one, "b": two}).warnings
        assert told[0].startswith("The estimators differ: pearson (a), icc (b). Their scores")
        assert told[1].startswith("The thresholds differ: 0.5 (a), 0.6 (b).")
        assert told[2].startswith("The seeds differ: 0 (a), 7 (b).")
        assert "300 used, 0 skipped, list 09f2c4e1 (a), 200 used, 0 skipped, list 79f2c4e1 (b)" in told[3]
        assert "dusk (version 2), relief (version 1) (b)" in told[4]
        assert told[5] == "Also made differently: inputs · video · stride."
        assert told[6] == "Computed differently, which changes numbers by less than 1e-5: ran on · batch."
        assert len(told) == 7

    def test_runs_that_do_not_record_their_settings_are_named(self):
        bare = [runs.run(), runs.run()]
        for run in bare:
            run.settings = {}
        told = compare(dict(zip("ab", bare, strict=True))).warnings
        assert [text.split(":")[0] for text in told] == ["The clips are not known", "The styles are not known"]
        assert compare({"a": bare[0]}).warnings == []

    def test_of_many_steps_the_first_and_the_last_are_named(self):
        steps = {step: runs.run() for step in range(6)}
        steps[5].threshold = 0.7
        (told,) = [text for text in compare({"a": steps}).warnings if "threshold" in text]
        assert "0.5 (a, step 0, …, a, step 4), 0.7 (a, step 5)" in told


class TestFolders:
    def test_a_training_is_read_step_by_step(self, tmp_path):
        for step in (1_000_000, 0, 300):
            runs.run().save(step_folder(tmp_path, step))
        (tmp_path / "step-000400").mkdir()
        (tmp_path / "step-last").mkdir()
        assert list(step_folders(tmp_path)) == [0, 300, 1_000_000]
        assert [point.step for point in compare({"a": tmp_path}).series["a"]] == [0, 300, 1_000_000]

    def test_what_is_not_a_run(self, tmp_path):
        with pytest.raises(InputError, match=r"has no results.json; pass the folder"):
            compare({"a": tmp_path})
        with pytest.raises(InputError, match="there are no runs"):
            compare({})
        with pytest.raises(InputError, match="run 'a' has no steps"):
            compare({"a": {}})
        with pytest.raises(InputError, match="run 'a, step 3' has no layers"):
            compare({"a": {3: named()}})

    def test_the_numbers_are_a_csv_file(self, tmp_path):
        comparison = compare({"a": runs.run(), "b": runs.run(pairs=1)})
        with comparison.save_csv(tmp_path / "new" / "rows.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 8
        assert float(rows[0]["percent_static"]) == comparison.rows[0]["percent_static"]
        assert rows[7]["percent_static"] == rows[0]["step"] == ""


DEEP = {name: runs.MOTION[name] for name in ("stage3", "stage4")}
