import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from tests.helpers.keras_models import CASES, CLIP, made, two_inputs, video_input

pytestmark = [pytest.mark.all]


@pytest.fixture(scope="module")
def export():
    from sdmetrics.exporters.tensorflow import export

    return export


def tiny(after, **conv):
    """One convolution `conv`, then whatever the test wants."""
    import keras

    video = keras.Input(CLIP, name="video")
    return keras.Model(video, after(keras.layers.Conv3D(4, 3, padding="same", name="conv", **conv)(video)), name="tiny")


def same(x):
    return x


@pytest.mark.parametrize(
    ("case", "layers", "message"),
    [
        ("resnet", ["stem_be"], r"resnet has no layer 'stem_be'\. The nearest names: stem_bn"),
        ("resnet", ["conv"], r"no layer 'conv'\. The nearest names: .*conv1"),
        ("resnet", [], r"layers are \[\]; name at least one layer, each once\. The names: stem, stem_bn, .*"),
        ("resnet", ["stem", "stem"], "each once"),
        ("resnet", "stem", "layers is 'stem'; expected a list of layer names"),
        ("resnet", ["video"], "no layer 'video'"),
        ("framewise", ["per_frame/conv"], "'per_frame/conv' runs more than once"),
        ("framewise", ["lstm/lstm_cell"], "'lstm/lstm_cell' runs more than once"),
        ("subclassed", ["unused"], "'unused' does not run in a forward"),
        ("transformer", ["block0_attention/query"], r"axis of layer 'block0_attention/query' \(shape .*specify it"),
    ],
)
def test_layers_that_cannot_be(tmp_path, export, case, layers, message):
    with pytest.raises(InputError, match=message) as caught:
        export(made(case), CASES[case].inputs, layers, tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def mixes(x):
    import keras

    class Mixes(keras.layers.Layer):
        def call(self, x):
            return x - keras.ops.mean(x, 0, keepdims=True)

    return Mixes(name="mixes")(x)


def sorts(x):
    import keras

    return keras.ops.linalg.svd(x[:, 0, 0], compute_uv=False)


def lies(x):
    import keras
    import tensorflow as tf

    class Lies(keras.layers.Layer):
        def call(self, x):
            return x if tf.executing_eagerly() else x * 1.1

    return Lies(name="lies")(x)


def branches(x):
    import keras

    class Branches(keras.layers.Layer):
        def call(self, x):
            return x if x[0, 0, 0, 0, 0] > 0 else -x

        def compute_output_shape(self, shape):
            return shape

    return Branches(name="branches")(x)


def hides(x):
    import keras
    import tensorflow as tf

    class Hides(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.ReLU(name="inner")

        @tf.function
        def call(self, x):
            return self.inner(x)

    return Hides(name="hides")(x)


def counts(x):
    import keras

    class Counts(keras.layers.Layer):
        def call(self, x):
            return keras.ops.cast(x > 0, "int32")

    return Counts(name="counts")(x)


@pytest.mark.parametrize(
    ("after", "layers", "message"),
    [
        (mixes, ["mixes"], "the model mixes the clips of a batch"),
        (sorts, ["conv"], "tf2onnx has no counterpart of TensorFlow's Svd"),
        (lies, ["lies"], "differs from the framework's by"),
        (branches, ["conv"], "tiny fails on inputs of the shapes"),
        (hides, ["hides"], None),
        (hides, ["hides/inner"], "'hides/inner' does not run in a forward of the model, or only inside a tf.function"),
        (counts, ["counts"], "'counts' returns int32; units are floating-point numbers"),
    ],
)
def test_models_that_cannot_be_exported(tmp_path, export, after, layers, message):
    model = tiny(after)
    if message is None:
        assert export(model, [video_input()], layers, tmp_path / "m.onnx").is_file()
        return
    with pytest.raises(InputError, match=message) as caught:
        export(model, [video_input()], layers, tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(tmp_path, export, fails):
    import tensorflow as tf

    model = made("recurrent")
    before = [weight.numpy().copy() for weight in model.weights]
    if fails:
        with pytest.raises(InputError):
            export(model, CASES["recurrent"].inputs, ["bn", "last/conv_lstm_cell"], tmp_path / "m.onnx")
    else:
        export(model, CASES["recurrent"].inputs, ["bn", "last"], tmp_path / "m.onnx")
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
    assert not any(getattr(layer, "unroll", False) for layer in model._flatten_layers())
    assert not tf.config.functions_run_eagerly()
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.weights, strict=True))


def test_inputs_with_other_names_or_shapes_are_named(tmp_path, export):
    with pytest.raises(InputError, match=r"inputs of two_inputs are \['slow', 'fast'\], described are \['a', 'b'\]"):
        export(two_inputs(), [video_input(name="a"), video_input(name="b")], ["fused"], tmp_path / "m.onnx")
    wrong = ModelInput("video", frames=4, size=(8, 8), layout="NTHWC")
    with pytest.raises(InputError, match=r"resnet fails on inputs of the shapes \[\(3, 4, 8, 8, 3\)\]: .*Check the"):
        export(made("resnet"), [wrong], ["stem"], tmp_path / "m.onnx")


def test_a_model_that_takes_its_inputs_as_arguments_or_as_a_dict(tmp_path, export):
    import keras

    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv3D(4, 1, name="conv")
            self.other = keras.layers.Conv3D(3, 1, name="other")

    class Arguments(Two):
        def call(self, slow, fast):
            return keras.ops.mean(self.conv(slow), (1, 2, 3)), keras.ops.mean(self.other(fast), (1, 2, 3))

    class Dict(Two):
        def call(self, inputs):
            return keras.ops.mean(self.conv(inputs["slow"]), (1, 2, 3)), keras.ops.mean(
                self.other(inputs["fast"]), (1, 2, 3)
            )

    inputs = [video_input(name="fast"), video_input(name="slow", frames=2)]
    arrays = prepare(random_feeds(inputs, 2), inputs)
    arguments, one_dict = Arguments(), Dict()
    one_dict(arrays)
    for model in (arguments, one_dict):
        path = export(model, inputs, ["conv", "other"], tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        conv, other = session.run(["layer/conv", "layer/other"], arrays)
        np.testing.assert_allclose(conv, model.conv(arrays["slow"]), rtol=0, atol=1e-5)
        np.testing.assert_allclose(other, model.other(arrays["fast"]), rtol=0, atol=1e-5)


def test_two_layers_of_one_name_have_to_be_told_apart(tmp_path, export):
    import keras

    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = (keras.layers.Conv3D(3, 1, name="conv") for _ in range(2))

        def call(self, x):
            return self.two(self.one(x))

    with pytest.raises(InputError, match="two layers called 'conv'"):
        export(Twins(), [video_input()], ["conv"], tmp_path / "m.onnx")


def test_half_precision_models_export_and_bfloat16_is_an_error(tmp_path, export):
    path = export(tiny(same, dtype="mixed_float16"), [video_input()], ["conv"], tmp_path / "m.onnx")
    assert read_metadata(path).export_error < 3e-2
    with pytest.raises(InputError, match="bfloat16"):
        export(tiny(same, dtype="mixed_bfloat16"), [video_input()], ["conv"], tmp_path / "m.onnx")


def test_too_many_weights_for_one_file_are_an_error_before_the_export(tmp_path, export, monkeypatch):
    monkeypatch.setattr("sdmetrics.probes.onnx_file.LIMIT", 100)
    with pytest.raises(InputError, match=r"has .* GiB of weights; .* less than 2 GiB"):
        export(tiny(same), [video_input()], ["conv"], tmp_path / "m.onnx")


def test_another_backend_is_an_error_that_names_the_remedy():
    code = (
        "import keras; from sdmetrics import ModelInput; from sdmetrics.exporters.tensorflow import export\n"
        "model = keras.Sequential([keras.layers.Conv3D(2, 1, name='conv')])\n"
        "export(model, [ModelInput('video', frames=2, size=(4, 4), layout='NTHWC')], ['conv'], 'm.onnx')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"KERAS_BACKEND": "jax", "PATH": ""}
    )
    assert "InputError: keras runs on jax" in done.stderr
    assert "set KERAS_BACKEND=tensorflow before Python starts" in done.stderr
