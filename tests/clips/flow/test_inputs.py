"""Models that read optical flow: what their views share, and the whole way from file to biases."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.render import plain, render
from sdmetrics.clips.views import PAIRS
from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.flow_models import FLOW, IMAGE, LAYERS, SIZE, VECTORS, VIDEO, moving_clip, two_streams

CLIPS = [moving_clip(number) for number in range(24)]
CASES = {"picture": (FLOW, 3), "vectors": (VECTORS, 2)}


@pytest.fixture(scope="module", params=CASES)
def runners(request, tmp_path_factory):
    """The same model as a probe with masks and by hooks."""
    item, channels = CASES[request.param]
    folder, module = tmp_path_factory.mktemp(request.param), two_streams(channels)
    inputs = [IMAGE, item]
    probe = build_probe(export(module, inputs, LAYERS, folder / "model.onnx"), folder / "probe.onnx", masks=True)
    return OnnxRunner(probe, provider="cpu"), TorchRunner(module, inputs, LAYERS)


@pytest.mark.parametrize("item", [FLOW, VECTORS], ids=["picture", "vectors"])
@pytest.mark.parametrize("number", range(5))
def test_pairs_share_to_the_byte_what_they_should_and_differ_in_the_other(item, number):
    views, shown = render(CLIPS[number], 0, [IMAGE, item])
    one, two = (shown[i] for i in PAIRS["dynamic"])
    assert one[item.source].tobytes() == two[item.source].tobytes()
    assert np.mean(one["rgb"] != two["rgb"]) > 0.5
    one, two = (shown[i] for i in PAIRS["static"])
    assert one["rgb"].tobytes() == two["rgb"].tobytes()
    assert np.mean(np.any(one[item.source] != two[item.source], axis=-1)) > 0.9
    assert [view.jittered for view in views] == [False, False, True]
    assert views[0].style == views[2].style != views[1].style
    assert all(np.array_equal(view.orders["image"], [0]) for view in views)


def test_views_depend_on_seed_and_clip_alone():
    def motion(seed, clip):
        return render(clip, seed, [IMAGE, FLOW])[1][2]["flow"].tobytes()

    assert motion(3, CLIPS[0]) == motion(3, CLIPS[0])
    assert len({motion(seed, clip) for seed in range(2) for clip in CLIPS[:3]}) == 6


def test_every_frame_is_jittered_by_itself():
    still = replace(
        CLIPS[0],
        load=lambda: np.zeros((6, *SIZE, 3), np.uint8),
        load_flow=lambda: np.ones((6, *SIZE, 2), np.float32),
    )
    flow = render(still, 0, [replace(VIDEO, frames=6), replace(FLOW, frames=6, layout="NCTHW")], STILL)[1][2]["flow"]
    assert len({frame.tobytes() for frame in flow}) == 6


STILL = {
    "rising": lambda frames: frames + np.arange(len(frames), dtype=np.uint8)[:, None, None, None],
    "falling": lambda frames: frames - np.arange(len(frames), dtype=np.uint8)[:, None, None, None],
}


def test_frames_in_number_are_shuffled_beside_jittered_flow():
    clip = moving_clip(0, frames=4)
    views, shown = render(clip, 0, [VIDEO, replace(FLOW, frames=4, layout="NCTHW")])
    assert views[0].orders["video"].tolist() == views[0].orders["flow"].tolist() == [0, 1, 2, 3]
    assert views[2].orders["video"].tolist() != [0, 1, 2, 3]
    assert views[2].orders["flow"].tolist() == [0, 1, 2, 3]
    assert not np.array_equal(shown[0]["flow"], shown[2]["flow"])


def test_flow_is_given_in_the_form_that_is_read():
    vectors = CLIPS[0].flow
    coded = replace(CLIPS[0], load_flow=lambda: flow_to_rgb(vectors))
    assert np.array_equal(plain(CLIPS[0], [FLOW])[1]["flow"], flow_to_rgb(vectors))
    assert np.array_equal(plain(coded, [FLOW])[1]["flow"], flow_to_rgb(vectors))
    assert np.array_equal(plain(CLIPS[0], [VECTORS])[1]["flow_vectors"], vectors)
    assert np.array_equal(plain(coded, [VECTORS])[1]["flow_vectors"], rgb_to_flow(flow_to_rgb(vectors), scale=1))
    assert list(plain(CLIPS[0], [FLOW])[1]) == ["flow"]


def test_probe_hooks_and_the_model_itself_agree(runners):
    probe, hooked = runners
    fed = random_feeds(probe.inputs, 3, seed=7)
    expected, found = hooked(fed), probe(fed)
    for layer in LAYERS:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=0, atol=1e-5)
    module = two_streams(probe.inputs[1].channels)
    with torch.no_grad():
        own = module(*(torch.from_numpy(array) for array in prepare(fed, probe.inputs).values())).numpy()
    np.testing.assert_allclose(probe.run(fed)["output"], own, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["fusion"], own.mean((2, 3)), rtol=0, atol=1e-5)


def test_a_mask_on_one_stream_leaves_the_other(runners):
    probe, hooked = runners
    fed, mask = random_feeds(probe.inputs, 2), {"movement": np.zeros(6, np.float32)}
    assert np.array_equal(probe(fed, mask)["appearance"], probe(fed)["appearance"])
    assert not np.allclose(probe.run(fed, mask)["output"], probe.run(fed)["output"])
    np.testing.assert_allclose(probe.run(fed, mask)["output"], hooked.run(fed, mask)["output"], rtol=0, atol=1e-5)


def test_each_stream_has_the_factor_that_it_reads(runners):
    """The exact controls: a stream of frames alone is static, one of flow alone is dynamic."""
    probe, hooked = runners
    results = measure_biases(probe, CLIPS, progress=False)
    assert results.layer("appearance")["scores"]["static"] == pytest.approx(1, abs=1e-6)
    assert results.layer("movement")["scores"]["dynamic"] == pytest.approx(1, abs=1e-6)
    assert results.layer("appearance")["scores"]["dynamic"] < 0.9
    assert results.layer("movement")["scores"]["static"] < 0.9
    for a, b in zip(results.units, measure_biases(hooked, CLIPS, progress=False).units, strict=True):
        assert a["label"] == b["label"]


def test_a_run_goes_on_where_it_was_to_the_bit(runners, tmp_path):
    probe, _ = runners
    whole = measure_biases(probe, CLIPS, out=tmp_path / "whole", progress=False)
    measure_biases(probe, CLIPS, out=tmp_path / "parts", progress=False)
    for shard in sorted((tmp_path / "parts/shards").glob("*.npz"))[::2]:
        shard.unlink()
    assert measure_biases(probe, CLIPS, out=tmp_path / "parts", batch=6, progress=False).layers == whole.layers
    assert (tmp_path / "whole/units.csv").read_bytes() == (tmp_path / "parts/units.csv").read_bytes()


def test_what_is_wrong_with_flow_is_said(runners):
    probe, _ = runners
    with pytest.raises(InputError, match="no optical flow"):
        plain(replace(CLIPS[0], load_flow=None), [IMAGE, FLOW])
    for flow, words in {
        "another size": (np.zeros((1, 8, 8, 2), np.float32), "1 frames of 8×8 of flow"),
        "another kind": (np.zeros((1, *SIZE, 2), np.float64), "float64"),
        "no number": (np.full((1, *SIZE, 2), np.nan, np.float32), "not finite"),
    }.values():
        with pytest.raises(InputError, match=words):
            plain(replace(CLIPS[0], load_flow=lambda flow=flow: flow), [IMAGE, FLOW])
    fed = random_feeds(probe.inputs, 2)
    source = probe.inputs[1].source
    with pytest.raises(InputError, match="expected"):
        probe({**fed, source: fed[source].astype(np.float64)})
    with pytest.raises(InputError, match="different numbers of clips"):
        probe({**fed, "rgb": fed["rgb"][:1], "image/order": fed["image/order"][:1]})
    with pytest.raises(InputError, match="expected one of rgb, flow, flow_vectors"):
        ModelInput("x", "audio")


def plain_file(path):
    """Write a model as anyone may export it: two inputs, and no word about how they are fed."""
    example = (torch.zeros(2, 3, *SIZE), torch.zeros(2, 3, *SIZE))
    names = {"input_names": ["picture", "motion"], "output_names": ["mask"]}
    axes = {name: {0: "n"} for name in ("picture", "motion", "mask")}
    torch.onnx.export(two_streams(), example, path, dynamo=False, dynamic_axes=axes, **names)
    assert not onnx.load(path).metadata_props
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_says_nothing_is_described_on_the_command_line(command, tmp_path):
    model, probe = plain_file(tmp_path / "model.onnx"), tmp_path / "probe.onnx"
    code, printed, _ = command("layers", model)
    assert code == 0
    assert "--input 'picture source=rgb' --input 'motion source=flow' -o probe.onnx" in printed
    layers = ["-l", "/fusion/Conv_output_0"] if "/fusion/Conv_output_0" in printed else ["-l", "mask"]
    code, _, error = command("probe", model, *layers, "-o", probe, "--input", "motion source=flow mean=0.5,0.5,0.5")
    assert code == 0, error
    image, motion = OnnxRunner(probe, provider="cpu").inputs
    assert (image.source, motion.source, motion.mean) == ("rgb", "flow", (0.5, 0.5, 0.5))
    assert image.mean == (0.45, 0.45, 0.45)


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "no field": ("motion", "has no settings; expected a name and FIELD=VALUE"),
        "no name": ("source=flow", "has no settings"),
        "no such field": ("motion colour=red", "allowed: source, layout"),
        "no such source": ("motion source=sound", "allowed: rgb, flow, flow_vectors"),
        "no numbers": ("motion mean=grey", "expected numbers, e.g."),
        "too few numbers": ("motion size=8", "size has 1 number(s); expected 2"),
        "no such input": ("audio source=flow", "no input 'audio'; its inputs: picture, motion"),
    }.values(),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_descriptions_that_cannot_be_read(command, tmp_path, text, words):
    model = plain_file(tmp_path / "model.onnx")
    code, _, error = command("probe", model, "-l", "mask", "-o", tmp_path / "probe.onnx", "--input", text)
    assert code == 2
    assert words in error
