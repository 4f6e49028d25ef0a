import json
import os

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner, loadable_providers
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.torch_models import CASES, exported, hooked, probed

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def runners():
    """Both runners of every model, made once."""

    def make(case):
        if case not in made:
            onnx = OnnxRunner(probed(case), provider="cpu")
            axes = {layer.name: layer.channel_axis for layer in onnx.metadata.layers}
            made[case] = onnx, TorchRunner(CASES[case].make(), CASES[case].inputs, axes)
        return made[case]

    made = {}
    return make


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_probe_and_the_module_give_the_same_units(runners, case, clips):
    onnx, own = runners(case)
    feeds = random_feeds(onnx.inputs, clips, seed=clips)
    found, expected = onnx(feeds), own(feeds)
    assert list(found) == list(expected) == list(onnx.layers) == list(own.layers)
    for layer in found:
        assert found[layer].dtype == expected[layer].dtype == np.float32
        scale = max(1, np.abs(expected[layer]).max())
        np.testing.assert_allclose(found[layer], expected[layer], rtol=0, atol=1e-5 * scale, err_msg=layer)


@pytest.mark.parametrize("case", CASES)
def test_a_mask_is_a_hook_that_multiplies_what_the_module_returns(runners, case):
    onnx, own = runners(case)
    feeds = random_feeds(onnx.inputs, 2, seed=9)
    arrays = list(prepare(feeds, onnx.inputs).values())
    for layer in onnx.metadata.layers:
        mask = RNG.integers(0, 2, layer.units).astype(np.float32)
        mask[:2] = 0, 1
        trailing = [1] * (len(layer.shape) - layer.channel_axis - 1)
        expected, taps = hooked(
            CASES[case].make(), onnx.layers, arrays, {layer.name: torch.from_numpy(mask).reshape(-1, *trailing)}
        )
        expected = next(iter(expected.values())) if isinstance(expected, dict) else expected
        for runner in (onnx, own):
            (found,) = runner.run(feeds, {layer.name: mask}).values()
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5, err_msg=f"{layer.name} {runner}")
            units = runner(feeds, {layer.name: mask})
            for other in onnx.metadata.layers:
                if other.fold is None:
                    pooled = np.moveaxis(taps[other.name], other.channel_axis, -1)
                    pooled = pooled.reshape(2, -1, other.units).mean(1)
                    atol = 2e-5 * max(1, np.abs(pooled).max())
                    np.testing.assert_allclose(units[other.name], pooled, rtol=0, atol=atol, err_msg=other.name)


def test_ones_are_no_mask(runners):
    onnx, own = runners("resnet")
    feeds = random_feeds(onnx.inputs, 2)
    masks = {layer.name: np.ones(layer.units) for layer in onnx.metadata.layers}
    for runner in (onnx, own):
        for name, value in runner.run(feeds, masks).items():
            np.testing.assert_array_equal(value, runner.run(feeds)[name])


def test_repeated_and_constant_orders_are_followed(runners):
    onnx, own = runners("resnet")
    feeds = random_feeds(onnx.inputs, 3)
    feeds["video/order"] = np.array([[0, 0, 0, 0], [4, 3, 2, 1], [1, 1, 3, 3]])
    still = {"rgb": feeds["rgb"][:1, :1], "video/order": np.zeros((1, 4), np.int64)}
    for layer in onnx.layers:
        np.testing.assert_allclose(onnx(feeds)[layer], own(feeds)[layer], rtol=0, atol=1e-5)
        np.testing.assert_allclose(onnx(feeds)[layer][:1], onnx(still)[layer], rtol=0, atol=1e-5)


def test_frames_of_any_strides_can_be_fed(runners):
    onnx, own = runners("framewise")
    feeds = random_feeds(onnx.inputs, 2)
    strided = {**feeds, "rgb": np.asfortranarray(feeds["rgb"]), "video/order": feeds["video/order"][:, ::-1]}
    plain = {name: np.ascontiguousarray(array) for name, array in strided.items()}
    for runner in (onnx, own):
        for layer in runner.layers:
            np.testing.assert_array_equal(runner(strided)[layer], runner(plain)[layer])


def test_identity_is_json_without_paths_and_differs_between_models(tmp_path):
    (tmp_path / "elsewhere.onnx").write_bytes(probed("framewise"))
    first, second = (
        OnnxRunner(tmp_path / "elsewhere.onnx", provider="cpu"),
        OnnxRunner(probed("framewise"), provider="cpu"),
    )
    assert first.identity == second.identity == json.loads(json.dumps(first.identity))
    assert str(tmp_path) not in json.dumps(first.identity)
    assert (first.name, "name" in first.identity) == ("framewise", False)
    assert first.circumstance["provider"] == "cpu"
    assert first.circumstance["runtime"] == f"onnxruntime {onnxruntime.__version__}"
    assert first.identity["framework"] == f"torch {torch.__version__}"
    other = OnnxRunner(probed("time-major"), provider="cpu")
    differing = {key for key, value in other.identity.items() if value != first.identity[key]}
    assert differing >= {"model_sha256", "layers"}
    assert other.circumstance["probe_sha256"] != first.circumstance["probe_sha256"]


def test_what_may_differ_between_machines_is_not_part_of_the_identity():
    one, two = (OnnxRunner(probed("framewise"), provider="cpu", threads=threads) for threads in (1, 2))
    assert one.identity == two.identity
    assert (one.circumstance["threads"], two.circumstance["threads"]) == (1, 2)
    assert not {"provider", "threads", "runtime", "device", "probe_sha256"} & set(one.identity)


def test_threads_follow_the_affinity_unless_given():
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    runner = OnnxRunner(probed("framewise"), provider="cpu")
    assert runner.circumstance["threads"] == usable
    assert runner._session.get_session_options().intra_op_num_threads == usable
    assert OnnxRunner(probed("framewise"), threads=1).circumstance["threads"] == 1


def test_nothing_is_printed(capfd):
    runner = OnnxRunner(probed("resnet"))
    runner(random_feeds(runner.inputs, 1))
    loadable_providers()
    assert capfd.readouterr() == ("", "")


VIDEO = ModelInput("video", frames=2, size=(8, 8))
GOOD = random_feeds([VIDEO], 2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Runners of a small model with and without masks."""
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 2))
    from sdmetrics.exporters.torch import export

    folder = tmp_path_factory.mktemp("tiny")
    path = export(model, [VIDEO], ["0", "1"], folder / "tiny.onnx")
    masked = OnnxRunner(build_probe(path, folder / "masked.onnx", masks=True), provider="cpu")
    plain = OnnxRunner(build_probe(path, folder / "plain.onnx"), provider="cpu")
    return masked, TorchRunner(model, [VIDEO], ["0", "1"]), plain


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rgb": GOOD["rgb"].astype(np.float32)}, "rgb is float32 of shape .* expected uint8 of shape"),
        ({"rgb": GOOD["rgb"][0]}, "expected uint8 of shape"),
        ({"rgb": GOOD["rgb"][..., :1]}, "expected uint8 of shape"),
        ({"rgb": GOOD["rgb"][:, :, :7]}, r"expected uint8 of shape \(N, T, 8, 8, 3\)"),
        ({"rgb": GOOD["rgb"][:0], "video/order": GOOD["video/order"][:0]}, "at least one clip and one frame"),
        ({"rgb": GOOD["rgb"][:, :0]}, "at least one clip and one frame"),
        ({"video/order": GOOD["video/order"].astype(np.int32)}, r"expected int64 of shape \(2, 2\)"),
        ({"video/order": GOOD["video/order"][:1]}, r"expected int64 of shape \(2, 2\)"),
        ({"video/order": GOOD["video/order"][:, :1]}, r"expected int64 of shape \(2, 2\)"),
        ({"video/order": np.array([[0, 3], [0, 1]])}, "names frames 0 to 3; expected 0 to 2"),
        ({"video/order": np.array([[0, -1], [0, 1]])}, "names frames -1 to 1; expected 0 to 2"),
        ({"flow": GOOD["rgb"]}, r"feeds are .*'flow'.*; expected \['rgb', 'video/order'\]"),
    ],
)
def test_feeds_that_do_not_fit(tiny, index, changes, message):
    with pytest.raises(InputError, match=message):
        tiny[index]({**GOOD, **changes})
    with pytest.raises(InputError, match="expected"):
        tiny[index]({"rgb": GOOD["rgb"]})


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"2": np.ones(4)}, "there is no layer '2' to mask; expected one of 0, 1"),
        ({"0": np.ones(3)}, r"the mask of layer '0' has the shape \(3,\); expected .* 4 units"),
        ({"0": np.ones((1, 4))}, r"has the shape \(1, 4\)"),
        ({"0": np.array([1, np.nan, 1, 1])}, "one finite number"),
    ],
)
def test_masks_that_do_not_fit(tiny, index, masks, message):
    with pytest.raises(InputError, match=message):
        tiny[index](GOOD, masks)


def test_a_probe_without_masks_takes_none(tiny):
    with pytest.raises(InputError, match="this probe has no masks; build it with masks=True"):
        tiny[2](GOOD, {"0": np.ones(4)})


def test_outputs_are_asked_for_by_name(tiny):
    found = tiny[0].run(GOOD, outputs=["units/1", "output"])
    assert list(found) == ["units/1", "output"]
    with pytest.raises(InputError, match="the probe has no output 'units/9'; allowed: output, units/0, units/1"):
        tiny[0].run(GOOD, outputs=["units/9"])


@settings(max_examples=20)
@given(st.data())
def test_any_order_of_any_clip_is_gathered(tiny, data):
    total = data.draw(st.integers(1, 5))
    clips = data.draw(st.integers(1, 3))
    frames = np.random.default_rng(total).integers(0, 256, (clips, total, 8, 8, 3), dtype=np.uint8)
    order = [[data.draw(st.integers(0, total - 1)) for _ in range(2)] for _ in range(clips)]
    feeds = {"rgb": frames, "video/order": np.array(order)}
    found, expected = tiny[0](feeds), tiny[1](feeds)
    for layer in found:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=0, atol=1e-5)


def test_what_is_not_a_probe_is_an_error_of_one_line(tmp_path):
    (tmp_path / "notes.onnx").write_text("notes " * 99)
    (tmp_path / "model.onnx").write_bytes(exported("framewise"))
    for probe, message in [
        (tmp_path / "absent.onnx", "absent.onnx does not exist"),
        (tmp_path / "notes.onnx", "notes.onnx is not a probe; make one: sdmetrics probe MODEL"),
        (tmp_path / "model.onnx", "model.onnx is a model, not a probe"),
        (b"", "the probe is not a probe"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            OnnxRunner(probe)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"provider": "gpu"}, "'gpu'; allowed: auto, cpu, cuda"), ({"threads": 0}, "threads is 0")],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(InputError, match=message):
        OnnxRunner(probed("framewise"), **arguments)


def test_binding_gives_what_a_plain_run_gives():
    runner = OnnxRunner(probed("resnet"), provider="cpu")
    feeds, other = random_feeds(runner.inputs, 2), random_feeds(runner.inputs, 3, seed=1)
    masks = {layer.name: RNG.integers(0, 2, layer.units) for layer in runner.metadata.layers}
    names = [*reversed([f"units/{layer}" for layer in runner.layers]), *runner.metadata.outputs]
    plain = [runner.run(feeds, given, names) for given in (None, masks)]
    runner._cuda = True
    bound = [runner.run(feeds, given, names) for given in (None, masks)]
    runner.run(other)  # must not write into what was returned before
    for found, expected in zip(bound, plain, strict=True):
        assert list(found) == names
        for name in names:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_what_fails_when_bound_is_an_input_error(monkeypatch):
    runner = OnnxRunner(probed("resnet"), provider="cpu")
    runner._cuda = True

    def out_of_memory(*_):
        raise RuntimeError("Failed to allocate memory for requested buffer of size 9\n")

    monkeypatch.setattr(runner._session, "run_with_iobinding", out_of_memory)
    with pytest.raises(InputError, match=r"batch of 2 view\(s\): Failed to allocate .* use a smaller batch"):
        runner(random_feeds(runner.inputs, 2))
