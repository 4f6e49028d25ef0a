"""Responses that are kept beside the shards: they change no result, and give the same moments to the bit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics._files import load_npz, save_npz
from sdmetrics.analysis.measure import measure_biases, measure_part
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.stored import DamagedError
from sdmetrics.clips.views import PAIRS
from sdmetrics.comparison.paired import load_groups
from sdmetrics.errors import InputError, Note
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours, noise_clip

# Few videos, so that groups have several shards of several clips.
CLIPS = [*(noise_clip(number, video=f"video {number // 20}") for number in range(100)), broken_clip()]
LAYERS = ["colours", "changes", "both"]


def both(frames):
    """A layer of seven units whose sums are no whole numbers."""
    return np.concatenate([colours(frames), changes(frames)[:, :4] / 7], axis=1) ** 1.5


def fake(**more):
    return NumpyRunner({"colours": colours, "changes": changes, "both": both, **more})


def analysed(out, runner=None, clips=CLIPS, **more):
    return measure_biases(runner or fake(), clips, out=out, **{"progress": False, "keep_responses": True, **more})


def kept(run):
    return sorted((run / "responses").glob("[0-9]*.npz"))


def files(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def without_responses(run):
    return {path: content for path, content in files(run).items() if path.parts[0] != "responses"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with responses."""
    out = tmp_path_factory.mktemp("with")
    analysed(out)
    return out


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The same run without them."""
    out = tmp_path_factory.mktemp("without")
    analysed(out, keep_responses=False)
    return out


def test_they_change_no_file_of_a_run(finished, bare):
    assert without_responses(finished) == files(bare)
    assert len(kept(finished)) == len(list((bare / "shards").glob("[0-9]*.npz"))) > 12


@pytest.mark.parametrize("layer", LAYERS)
def test_moments_from_them_are_those_of_the_run_to_the_bit(finished, layer):
    results = Results.load(finished)
    assert [row["id"] for row in results.clips["skipped"]] == ["broken"]
    responses = results.responses(layer)
    stored: dict[str, list[sd.PairMoments]] = {factor: [] for factor in PAIRS}
    for group in sorted_groups(finished, results):
        for factor, moments in stored.items():
            moments.append(group[layer][factor])
    assert responses.moments() == stored
    again = sd.unit_bias(responses.moments())
    assert again.counts == results.layer(layer)["counts"]
    assert sd.layer_bias(responses.moments()).percent["static"] == results.layer(layer)["percent"]["static"]


def sorted_groups(run, results):
    """The moments of the groups, each merged in the order of its shards."""
    merged = []
    for shards in load_groups(run, results):
        first, *rest = shards
        for shard in rest:
            first = {
                layer: {factor: m.merge(shard[layer][factor]) for factor, m in factors.items()}
                for layer, factors in first.items()
            }
        merged.append(first)
    return merged


def test_they_are_what_the_model_returns(finished):
    from sdmetrics.clips.render import feeds, render

    runner = fake()
    responses = Results.load(finished).responses("both")
    assert responses.views == ("first", "other style", "other motion")
    array = responses.array()
    assert array.dtype == np.float32
    assert array.shape == responses.shape == (100, 3, 7)
    assert len(responses) == 100
    by_id = {clip.id: clip for clip in CLIPS}
    for place in (0, 41, 99):
        views, shown = render(by_id[responses.clips[place]], 0, runner.inputs)
        assert np.array_equal(runner(feeds(views, shown))["both"], array[place])
    assert sorted(responses.clips) == sorted(by_id.keys() - {"broken"})
    assert [values.shape[0] for _, values in responses] == [len(ids) for ids, _ in responses]
    groups = [{*responses.groups[[clip in ids for clip in responses.clips]]} for ids, _ in responses]
    assert all(len(group) == 1 for group in groups)


def test_a_run_without_them_is_completed_and_stays_as_it_is_to_the_bit(finished, bare, tmp_path):
    run = shutil.copytree(bare, tmp_path / "run")
    with pytest.raises(InputError, match=r"^\d+ of \d+ shards of .* have no responses, e.g. .*--keep-responses"):
        Results.load(run).responses("both")
    runner = fake()
    assert analysed(run, runner) == Results.load(bare)
    assert sum(runner.batches) == 3 * 100
    assert files(run) == files(finished)
    times = {path: path.stat().st_mtime_ns for path in run.rglob("*.npz")}
    again = fake()
    analysed(run, again)
    assert again.batches == []
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_only_those_that_are_missing_or_damaged_are_measured(finished, run):
    names = kept(run)
    names[1].unlink()
    names[3].write_bytes(names[3].read_bytes()[:-40])
    content = bytearray(names[5].read_bytes())
    content[len(content) // 2] ^= 1
    names[5].write_bytes(bytes(content))
    # Of a shard that is missing, both are measured at once.
    shard = run / "shards" / names[7].name
    shard.unlink()
    clips = [len(load_npz(finished / "responses" / names[place].name)[0]["ids"]) for place in (1, 3, 5, 7)]
    runner = fake()
    analysed(run, runner)
    assert sum(runner.batches) == 3 * sum(clips)
    assert files(run) == files(finished)


def test_a_damaged_file_is_found_when_it_is_read(run):
    responses = Results.load(run).responses("colours")
    path = kept(run)[4]
    header, arrays = load_npz(path)
    save_npz(path, header, {**arrays, "0": arrays["0"][:, :2]})
    with pytest.raises(DamagedError, match=rf"{path.name} is damaged; repeat the command .*--keep-responses"):
        responses.array()
    assert Results.load(run).responses("changes").array().shape == (100, 3, 5)


def test_foreign_files_are_found_before_anything_is_computed(run, finished):
    first, *_, last = kept(run)
    header, arrays = load_npz(last)
    save_npz(last, {**header, "identity": "of another run"}, arrays)
    first.unlink()
    runner = fake()
    with pytest.raises(InputError, match=rf"{last.name} belongs to another run"):
        analysed(run, runner)
    assert runner.batches == []
    with pytest.raises(InputError, match=rf"{last.name} belongs to another run"):
        Results.load(run).responses("both")
    shutil.copy(kept(finished)[-2], last)
    with pytest.raises(InputError, match=rf"{last.name} is a copy of {kept(finished)[-2].name}"):
        analysed(run)


def test_other_clips_than_those_of_the_shard_count_as_missing(finished, run):
    path = kept(run)[2]
    header, arrays = load_npz(path)
    save_npz(path, {**header, "ids": header["ids"][::-1]}, arrays)
    with pytest.raises(InputError, match=rf"^1 of \d+ shards of .* have no responses, e.g. {path.name}"):
        Results.load(run).responses("both")
    analysed(run)
    assert files(run) == files(finished)


def test_with_another_batch_size_the_results_stay_and_the_last_bits_are_pointed_out(bare, tmp_path):
    run = shutil.copytree(bare, tmp_path / "run")

    def whole_batch(frames):
        return both(frames) * np.float32(1 + len(frames) * 1e-7)

    elsewhere = fake(both=whole_batch)
    with pytest.warns(Note, match=r"^the responses of \d+ shard\(s\) differ from the measured ones in the last bits"):
        assert analysed(run, elsewhere, batch=7) == Results.load(bare)
    assert without_responses(run) == files(bare)
    mine = Results.load(run).responses("both").moments()["static"][0]
    theirs = sorted_groups(bare, Results.load(bare))[0]["both"]["static"]
    assert mine != theirs
    assert mine.mean1 == pytest.approx(theirs.mean1, rel=1e-5)


def test_a_clip_that_was_used_and_cannot_be_read_now_leaves_its_shard_without(bare, finished, tmp_path):
    run = shutil.copytree(bare, tmp_path / "run")
    gone = [noise_clip(3, video="video 0")]

    def unreadable():
        raise OSError(5, "Input/output error")

    clips = [sd.Clip(clip.id, unreadable, video=clip.video, stamp=clip.stamp) for clip in gone] + [
        clip for clip in CLIPS if clip.id != gone[0].id
    ]
    with pytest.warns(Note, match=r"^1 clip\(s\) that were used cannot be read now, e.g. clip-0003: .*again to try"):
        assert analysed(run, clips=clips) == Results.load(bare)
    assert len(kept(run)) == len(kept(finished)) - 1
    analysed(run)
    assert files(run) == files(finished)


def test_they_need_a_folder():
    with pytest.raises(InputError, match=r"^responses are kept in the folder of the run; pass out \(--out\)"):
        analysed(None)
    results = analysed(None, keep_responses=False)
    with pytest.raises(InputError, match=r"^these results are in no folder; .*keep_responses=True"):
        results.responses("both")
    with pytest.raises(InputError, match=r"^no layer 'res9'"):
        results.responses("res9")


def test_a_run_that_stopped_has_those_of_its_clips(tmp_path):
    clips = [noise_clip(number) for number in range(300)]
    analysed(tmp_path, clips=clips, keep_responses=False)
    runner = fake()
    results = analysed(tmp_path, runner, clips=clips, until=20)
    assert results.stopped["reached"]
    assert results.clips["used"] < 300
    assert sum(runner.batches) == 3 * results.clips["used"]
    responses = results.responses("both")
    assert len(responses) == results.clips["used"]
    assert sd.layer_bias(responses.moments()).scores["static"] == results.layer("both")["scores"]["static"]


def test_parts_keep_their_share(finished, tmp_path):
    for index in (1, 2, 3):
        measure_part(fake(), CLIPS, Part(index, 3), out=tmp_path, keep_responses=index < 3, progress=False)
    assert len(kept(tmp_path)) == round(len(kept(finished)) * 2 / 3)
    sd.merge([tmp_path])
    with pytest.raises(InputError, match="have no responses"):
        Results.load(tmp_path).responses("both")
    measure_part(fake(), CLIPS, Part(3, 3), out=tmp_path, keep_responses=True, progress=False)
    assert {path.name: path.read_bytes() for path in kept(tmp_path)} == {
        path.name: path.read_bytes() for path in kept(finished)
    }


def test_folders_of_parts_bring_theirs_along(finished, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for index, folder in enumerate(folders[:2], 1):
        measure_part(fake(), CLIPS, Part(index, 2), out=folder, keep_responses=True, progress=False)
    # A copy of the second without them: whichever of two copies is chosen, they are found.
    measure_part(fake(), CLIPS, Part(2, 2), out=folders[2], progress=False)
    merged = sd.merge(folders, out=tmp_path / "sum")
    expected = Results.load(finished).responses("both")
    assert np.array_equal(merged.responses("both").array(), expected.array())
    shutil.rmtree(folders[1])
    with pytest.warns(Note, match=r"^\d+ of \d+ shards have no responses, so none are kept of the sum"):
        sd.merge(folders[::2], out=tmp_path / "less")
    assert not kept(tmp_path / "less")


def test_the_sum_of_runs_has_those_of_all(tmp_path):
    clips = CLIPS[:100]
    for name, part in (("x", clips[::2]), ("y", clips[1::2])):
        analysed(tmp_path / name, clips=part)
    merged = sd.merge([tmp_path / "x", tmp_path / "y"], out=tmp_path / "sum")
    responses = merged.responses("both")
    whole = {clip: row for name in "xy" for clip, row in rows(Results.load(tmp_path / name)).items()}
    assert rows(merged).keys() == whole.keys()
    assert all(np.array_equal(row, whole[clip]) for clip, row in rows(merged).items())
    assert sd.unit_bias(responses.moments()).counts == merged.layer("both")["counts"]


def rows(results):
    responses = results.responses("both")
    return dict(zip(responses.clips, responses.array(), strict=True))


def test_the_command_tells_their_size_and_completes_a_run(tmp_path, command):
    from sdmetrics.demo import demo_model

    with demo_model("motion") as path:
        shutil.copy(path, tmp_path / "model.onnx")
    words = ("analyze", tmp_path / "model.onnx", "world:40", "-o", tmp_path / "run", "--provider", "cpu")
    assert command(*words)[0] == 0
    before = (tmp_path / "run" / "results.json").read_bytes()
    code, out, err = command(*words, "--keep-responses")
    assert (code, err) == (0, "")
    assert "responses: 40 clips × 3 views × 136 units × 4 bytes = 0.1 MB" in " ".join(out.split())
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    assert Results.load(tmp_path / "run").responses("stem").array().shape[:2] == (40, 3)
