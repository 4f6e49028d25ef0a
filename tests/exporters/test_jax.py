import logging
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from tests.helpers.exports import (
    assert_close,
    check_axes,
    check_file,
    check_metadata,
    check_outputs,
    described,
    open_file,
)
from tests.helpers.flax_models import CASES, changed, exported, linen_resnet, nnx_framewise, nnx_resnet, probed

pytestmark = pytest.mark.all

SMALL = ModelInput("video", frames=2, size=(8, 8), layout="NTHWC")
EACH_LAYER = [(case, layer) for case in CASES for layer in CASES[case].layers]


@pytest.fixture(scope="module")
def export():
    from sdmetrics.exporters.jax import export

    return export


@pytest.fixture(scope="module")
def flax():
    import jax
    from flax import linen, nnx
    from jax import numpy as jnp

    return SimpleNamespace(jax=jax, jnp=jnp, nnx=nnx, linen=linen)


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_named_outputs_are_what_the_modules_return(case, clips):
    model, inputs, layers = CASES[case].make(), CASES[case].inputs, CASES[case].layers
    arrays = prepare(random_feeds(inputs, clips, seed=7), inputs)
    own, taps = changed(model, layers, list(arrays.values()))
    assert set(taps) == set(layers)
    check_outputs(exported(case), arrays, own, taps)


@pytest.mark.parametrize("case", CASES)
def test_the_file_is_valid_onnx_with_a_dynamic_batch_and_tells_nothing_of_the_machine(case):
    check_file(exported(case), CASES[case].inputs)


@pytest.mark.parametrize(
    ("case", "layer", "channel_axis", "units", "time_axis", "fold"),
    [
        ("nnx-resnet", "stem", 4, 6, 1, None),
        ("nnx-resnet", "blocks.1", 4, 8, 1, None),
        ("nnx-resnet", "head", 1, 5, None, None),
        ("nnx-transformer", "embed", 4, 16, 1, None),
        ("nnx-transformer", "blocks.0.attention", 2, 16, None, None),
        ("nnx-transformer", "blocks.1", 2, 16, None, None),
        ("nnx-framewise", "deep", 3, 10, None, "batch-major"),
        ("nnx-time-major", "act", 3, 8, None, "time-major"),
        ("nnx-two", "fast", 4, 4, 1, None),
        ("linen-resnet", "Residual_1", 4, 8, 1, None),
        ("linen-transformer", "blocks_1", 2, 16, None, None),
        ("linen-framewise", "net", 3, 10, None, "batch-major"),
    ],
)
def test_axes_follow_from_the_graph(case, layer, channel_axis, units, time_axis, fold):
    check_axes(exported(case), layer, channel_axis, units, time_axis, fold)


def test_the_file_says_what_it_is(flax):
    from importlib.metadata import version

    framework = f"flax {version('flax')} (jax {flax.jax.__version__})"
    metadata = check_metadata(exported("nnx-two"), "nnx-two", CASES["nnx-two"].inputs, framework)
    assert metadata.outputs == ("output_0", "output_1")


@pytest.mark.parametrize("case", CASES)
def test_units_are_the_modules_outputs_pooled_and_ones_change_nothing(case):
    model, inputs, layers = CASES[case].make(), CASES[case].inputs, CASES[case].layers
    feeds = random_feeds(inputs, 3, seed=5)
    own, taps = changed(model, layers, list(prepare(feeds, inputs).values()))
    probe = open_file(probed(case))
    folds = {layer.name: layer.fold for layer in described(probed(case)).layers}
    for name in layers:
        (units,) = probe.run([f"units/{name}"], feeds)
        values = (
            taps[name].reshape(-1, 3, *taps[name].shape[1:]).swapaxes(0, 1)
            if folds[name] == "time-major"
            else taps[name]
        )
        assert_close(units, values.reshape(3, -1, values.shape[-1]).mean(1), name)
    ones = {f"mask/{name}": np.ones(taps[name].shape[-1], np.float32) for name in layers}
    for name, value in zip(own, probe.run(list(own), {**feeds, **ones}), strict=True):
        assert_close(value, own[name], name)


@pytest.mark.parametrize(("case", "layer"), EACH_LAYER)
def test_a_mask_of_zeros_is_the_model_with_the_modules_output_zeroed(case, layer):
    model, inputs = CASES[case].make(), CASES[case].inputs
    feeds = random_feeds(inputs, 2, seed=3)
    arrays = list(prepare(feeds, inputs).values())
    plain, taps = changed(model, [layer], arrays)
    expected, _ = changed(model, [layer], arrays, {layer: 0.0})
    mask = {f"mask/{layer}": np.zeros(taps[layer].shape[-1], np.float32)}
    found = dict(zip(plain, open_file(probed(case)).run(list(plain), {**feeds, **mask}), strict=True))
    for name in plain:
        assert_close(found[name], expected[name], name)
    assert any(not np.allclose(plain[name], expected[name], rtol=0, atol=1e-4) for name in plain)


def test_the_same_model_gives_the_same_file_and_other_weights_another_hash(export, tmp_path):
    model, inputs = nnx_framewise(), CASES["nnx-framewise"].inputs
    first = export(model, inputs, ["act"], tmp_path / "1" / "m.onnx")
    again = export(nnx_framewise(), inputs, ["act"], tmp_path / "2" / "m.onnx")
    assert first.read_bytes() == again.read_bytes()
    model.fc.bias[...] += 1
    other = export(model, inputs, ["act"], tmp_path / "3" / "m.onnx")
    assert read_metadata(first).sha256 != read_metadata(other).sha256


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_flax_are_left_as_they_were(export, flax, tmp_path, fails):
    model = nnx_resnet()
    model.train()
    model.blocks[0].bn1.eval()

    def state():
        parts = dict(flax.nnx.iter_modules(model)).values()
        modes = [(getattr(p, "deterministic", None), getattr(p, "use_running_average", None)) for p in parts]
        calls = [type(part).__dict__.get("__call__") for part in parts]
        return (
            modes,
            calls,
            [np.asarray(leaf).tobytes() for leaf in flax.jax.tree.leaves(flax.nnx.state(model, flax.nnx.Param))],
        )

    before = state()
    inputs = CASES["nnx-resnet"].inputs
    if fails:
        with pytest.raises(InputError, match="'unused' does not run"):
            export(model, inputs, ["blocks.0", "unused"], tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())
    else:
        export(model, inputs, ["blocks.0"], tmp_path / "m.onnx")
    assert state() == before


def test_an_export_says_nothing_and_sets_no_logging_up(export, tmp_path, capfd):
    handlers, level = list(logging.getLogger().handlers), logging.getLogger("jax2onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(nnx_framewise(), CASES["nnx-framewise"].inputs, ["act"], tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("jax2onnx").level == level


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["blocks.2"], r"ResNet has no module 'blocks\.2'\. The nearest names: .*blocks\.1"),
        (["blocks"], "ResNet has no module 'blocks'"),
        ([], r"layers are \[\]; name at least one module"),
        (["stem", "stem"], "each once"),
        ("blocks.0", "layers is 'blocks.0'; expected a list of module names"),
    ],
)
def test_nnx_layers_that_cannot_be(export, tmp_path, layers, message):
    with pytest.raises(InputError, match=message):
        export(nnx_resnet(), CASES["nnx-resnet"].inputs, layers, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_linen_module_has_the_names_that_capture_intermediates_gives(export, tmp_path):
    with pytest.raises(
        InputError, match=r"ResNet has no module 'Residual_2'\. The nearest names: Residual_1, Residual_0"
    ):
        export(linen_resnet(), CASES["linen-resnet"].inputs, ["Residual_2"], tmp_path / "m.onnx")


def test_what_is_no_model_with_its_weights(export, tmp_path):
    module, _ = linen_resnet().unbind()
    with pytest.raises(InputError, match=r"ResNet is a linen module without variables; pass module\.bind\(variables\)"):
        export(module, [SMALL], ["stem"], tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"the model is a function; expected a flax\.nnx\.Module"):
        export(lambda x: x, [SMALL], ["stem"], tmp_path / "m.onnx")


def tiny(flax, after, part=None):
    """One convolution, a module, then whatever the test wants."""

    class Part(flax.nnx.Module):
        def __call__(self, x):
            return part(x) if part else x

    class Tiny(flax.nnx.Module):
        def __init__(self, rngs):
            self.conv = flax.nnx.Conv(3, 4, (3, 3, 3), rngs=rngs)
            self.part = Part()

        def __call__(self, x):
            return after(self, self.part(self.conv(x)))

    return Tiny(flax.nnx.Rngs(0))


def branches(_, x):
    return x if x.sum() > 0 else -x


def fails(*_):
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("after", "part", "layer", "message"),
    [
        (lambda m, x: m.part(x), None, "part", "'part' runs more than once"),
        (lambda *_: None, None, "conv", "the model returns no array"),
        (lambda _, x: x, lambda x: x - x.mean(0, keepdims=True), "part", "the model mixes the clips of a batch"),
        (lambda _, x: x, lambda x: x.argmax(-1), "part", "units are floating-point numbers"),
        (lambda _, x: x.mean(0), lambda x: x.mean(0), "part", "no axis holds the clips"),
        (lambda _, x: x[0], lambda _: ["no array"], "part", "'part' returns list without an array"),
        (branches, None, "conv", r"jax2onnx .* cannot export Tiny with a dynamic batch"),
        (fails, None, "conv", "Tiny does not run in evaluation mode: RuntimeError: boom"),
    ],
)
def test_models_that_cannot_be_exported(export, flax, tmp_path, after, part, layer, message):
    with pytest.raises(InputError, match=message) as caught:
        export(tiny(flax, after, part), [SMALL], [layer], tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_of_several_returned_arrays_the_first_is_the_layer(export, flax, tmp_path):
    model = tiny(flax, lambda _, found: found["a"][0].mean((1, 2, 3)), lambda x: {"a": (x, 2 * x), "b": None})
    path = export(model, [SMALL], ["conv", "part"], tmp_path / "m.onnx")
    arrays = prepare(random_feeds([SMALL], 2), [SMALL])
    conv, part = open_file(path.read_bytes()).run(["layer/conv", "layer/part"], arrays)
    np.testing.assert_array_equal(conv, part)


def test_a_layer_whose_channels_are_uncertain_asks_for_their_axis(export, flax, tmp_path):
    model = tiny(flax, lambda _, x: x, lambda x: x.reshape(x.shape[0], -1)[:, :8].reshape(-1, 2, 4))
    with pytest.raises(
        InputError,
        match=r"axis of layer 'part' .* specify it, e\.g\. --layer 'part axis=\d', in Python layers=\{'part': \d\}",
    ):
        export(model, [SMALL], ["part"], tmp_path / "m.onnx")
    (layer,) = read_metadata(export(model, [SMALL], {"part": -1}, tmp_path / "m.onnx")).layers
    assert (layer.channel_axis, layer.units) == (2, 4)


@pytest.mark.parametrize("transformation", ["jit", "checkpoint"])
def test_a_module_within_a_transformation_is_an_error(export, flax, tmp_path, transformation):
    transform = getattr(flax.jax, transformation)

    class Outer(flax.nnx.Module):
        def __init__(self):
            self.inner = tiny(flax, lambda _, x: x)

        def __call__(self, x):
            return transform(lambda y: self.inner(y))(x)

    with pytest.raises(InputError, match=r"module 'inner\.conv' runs within a transformation of JAX"):
        export(Outer(), [SMALL], ["inner.conv"], tmp_path / "m.onnx")


def test_transformed_linen_modules_are_an_error(export, flax, tmp_path):
    linen = flax.linen

    class Part(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.relu(linen.Conv(4, (1, 1, 1))(x))

    class Remat(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.remat(Part)(name="part")(x).mean((1, 2, 3))

    model = Remat()
    bound = model.bind(model.init(flax.jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.float32)))
    for name in ("part/Conv_0", "part"):
        with pytest.raises(InputError, match=f"module '{name}' .*within a transformation of JAX"):
            export(bound, [SMALL], [name], tmp_path / "m.onnx")


def test_a_linen_model_that_cannot_be_told_to_evaluate_says_so(export, flax, tmp_path):
    linen = flax.linen

    class Trains(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.BatchNorm(use_running_average=False)(linen.Conv(4, (1, 1, 1))(x))

    model = Trains()
    bound = model.bind(model.init(flax.jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.float32)))
    with pytest.raises(InputError, match="Trains does not run in evaluation mode: ModifyScopeVariableError"):
        export(bound, [SMALL], ["Conv_0"], tmp_path / "m.onnx")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_for_weights_alone(export, flax, tmp_path, precision):
    def model(computes):
        conv = flax.nnx.Conv(3, 4, (3, 3, 3), dtype=computes, param_dtype=precision, rngs=flax.nnx.Rngs(0))
        return flax.nnx.Sequential(conv, flax.nnx.relu)

    with pytest.raises(InputError, match=rf"is of type {precision}; jax2onnx exports only float32"):
        export(model(precision), [SMALL], ["layers.0"], tmp_path / "m.onnx")
    assert read_metadata(export(model("float32"), [SMALL], ["layers.0"], tmp_path / "m.onnx")).export_error < 1e-5


def test_too_many_weights_for_one_file_are_an_error_before_the_export(export, flax, tmp_path, monkeypatch):
    monkeypatch.setattr("sdmetrics.probes.onnx_file.LIMIT", 100)
    with pytest.raises(InputError, match=r"the model has .* less than 2 GiB"):
        export(tiny(flax, lambda _, x: x), [SMALL], ["conv"], tmp_path / "m.onnx")


def test_an_exported_model_is_analysed(tmp_path):
    import sdmetrics as sd
    from sdmetrics.clips.generated.world import world_clips

    model = tmp_path / "model.onnx"
    model.write_bytes(exported("nnx-two"))
    runner = sd.open_model(model)
    results = sd.analyze(runner, world_clips(6, frames=4, size=32), seed=0, out=tmp_path / "run")
    assert [layer["name"] for layer in results.layers] == ["slow", "fast", "head"]
    slow, fast, _ = results.layers
    # A convolution over single frames that is pooled over time is blind to their order.
    assert slow["scores"]["static"] == pytest.approx(1, abs=1e-6)
    assert fast["scores"]["static"] < 1 - 1e-6
