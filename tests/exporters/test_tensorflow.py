import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest

from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.exports import check_file, check_metadata, check_outputs, described, open_file
from tests.helpers.keras_models import CASES, FRAMES, SIZE, exported, made, probed, run

pytestmark = [pytest.mark.all]


def channel_of(case, values):
    return 1 if case == "first" else values.ndim - 1


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_named_outputs_are_what_the_layers_return(case, clips):
    arrays = prepare(random_feeds(CASES[case].inputs, clips, seed=7), CASES[case].inputs)
    own, taps = run(case, arrays)
    assert set(taps) == set(CASES[case].layers)
    check_outputs(exported(case), arrays, own, taps)


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"subclassed"}))
def test_the_layers_are_those_of_the_models_that_keras_cuts_out(case):
    import keras

    model = made(case)
    names = [name for name in CASES[case].layers if "/" not in name]
    arrays = prepare(random_feeds(CASES[case].inputs, 2, seed=3), CASES[case].inputs)
    fed = [arrays[name] for name in (["slow", "fast"] if case == "two_inputs" else ["video"])]
    cut = keras.Model(model.inputs, [model.get_layer(name).output for name in names])(fed, training=False)
    session = open_file(exported(case))
    for name, value, found in zip(names, cut, session.run([f"layer/{name}" for name in names], arrays), strict=True):
        expected = np.asarray(value)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_every_layer_has_its_channels_where_keras_has_them(case):
    _, taps = run(case, prepare(random_feeds(CASES[case].inputs, 2), CASES[case].inputs))
    for layer in described(exported(case)).layers:
        values = taps[layer.name]
        assert layer.channel_axis == channel_of(case, values), layer.name
        assert layer.units == values.shape[layer.channel_axis]
        assert len(layer.shape) == values.ndim
        assert layer.batch_axis == 0
        folded = case == "framewise" and layer.name in ("separable", "depthwise", "relu6", "average")
        assert layer.fold == ("batch-major" if folded else None)


@pytest.mark.parametrize("case", CASES)
def test_masks_do_to_the_onnx_model_what_they_do_to_the_keras_model(case):
    runner = OnnxRunner(probed(case), provider="cpu")
    feeds = random_feeds(CASES[case].inputs, 2, seed=11)
    arrays = prepare(feeds, CASES[case].inputs)
    plain, taps = run(case, arrays)
    rng = np.random.default_rng(0)
    for name, values in taps.items():
        axis = channel_of(case, values)
        for mask in (np.zeros(values.shape[axis]), rng.choice([0, 0.5, 1], values.shape[axis])):
            shaped = mask.reshape([-1] + [1] * (values.ndim - axis - 1)).astype(np.float32)
            own, changed = run(case, arrays, {name: shaped})
            found, units = runner.run(feeds, {name: mask}), runner(feeds, {name: mask})
            for output, value in own.items():
                scale = max(np.abs(value).max(), np.abs(plain[output]).max())
                np.testing.assert_allclose(found[output], value, rtol=0, atol=1e-5 * scale, err_msg=name)
            for other, value in changed.items():
                axes = tuple(a for a in range(value.ndim) if a not in (0, channel_of(case, value)))
                pooled = value.mean(axes).reshape(2, -1, value.shape[channel_of(case, value)]).mean(1)
                scale = max(np.abs(value).max(), 1)
                np.testing.assert_allclose(units[other], pooled, rtol=0, atol=1e-5 * scale, err_msg=f"{name}, {other}")


@pytest.mark.parametrize("case", CASES)
def test_the_file_is_valid_onnx_with_a_dynamic_batch_and_tells_nothing_of_the_machine(case):
    model = check_file(exported(case), CASES[case].inputs)
    assert [(entry.domain, entry.version) for entry in model.opset_import if entry.domain != "ai.onnx.ml"] == [("", 18)]
    assert all(value.type.tensor_type.shape.dim[0].dim_param == "batch" for value in model.graph.input)
    assert b"inference" not in exported(case)


def test_the_file_says_what_it_is():
    import keras
    import tensorflow as tf

    framework = f"keras {keras.__version__} (tensorflow {tf.__version__})"
    metadata = check_metadata(exported("two_inputs"), "two_inputs", CASES["two_inputs"].inputs, framework)
    assert set(metadata.outputs) == {"verb", "noun"}
    assert metadata.layers[0].module == "slow_conv"


def test_the_same_model_gives_the_same_file_and_other_weights_another_hash(tmp_path):
    from sdmetrics.exporters.tensorflow import export

    model = made("resnet")
    paths = [
        export(model, CASES["resnet"].inputs, ["bn1", "stage"], tmp_path / f"{index}" / "m.onnx") for index in range(2)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    bias = model.get_layer("head").bias
    bias.assign_add([1.0] * 5)
    export(model, CASES["resnet"].inputs, ["bn1"], paths[1])
    bias.assign_sub([1.0] * 5)
    assert read_metadata(paths[0]).sha256 != read_metadata(paths[1]).sha256


def test_a_constant_of_the_model_is_part_of_the_file_and_no_input_of_it(tmp_path):
    from sdmetrics.exporters.tensorflow import export

    path = export(made("transformer"), CASES["transformer"].inputs, ["placed"], tmp_path / "m.onnx")
    assert [value.name for value in onnx.load(path).graph.input] == ["video"]


def test_the_example_of_the_docstring_runs(tmp_path, monkeypatch):
    from sdmetrics.exporters import tensorflow

    monkeypatch.chdir(tmp_path)
    example = textwrap.dedent(tensorflow.export.__doc__.partition("::\n")[2])
    exec(example, {"export": tensorflow.export, "ModelInput": ModelInput, "Path": Path})
    assert [layer.name for layer in read_metadata(tmp_path / "model.onnx").layers] == ["conv"]


def test_a_keras_model_is_analysed(tmp_path):
    import sdmetrics as sd
    from sdmetrics.clips.generated.world import world_clips

    (tmp_path / "m.onnx").write_bytes(exported("resnet"))
    runner = sd.open_model(tmp_path / "m.onnx", layers=["stem", "sum", "stage"], provider="cpu")
    clips = world_clips(12, frames=FRAMES, size=SIZE, seed=0)
    results = sd.analyze(runner, clips, out=tmp_path / "run")
    assert [(layer["name"], layer["units"]) for layer in results.layers] == [("stem", 6), ("sum", 6), ("stage", 8)]
    assert all(-1 <= layer["scores"][factor] <= 1 for layer in results.layers for factor in ("dynamic", "static"))
