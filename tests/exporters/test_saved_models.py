import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.keras_models import CASES, CLIP, made, run, video_input

pytestmark = [
    pytest.mark.all,
    # Keras's own, while it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # It says that a SavedModel is a program, for each.
    pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]


@pytest.fixture(scope="module")
def export():
    from sdmetrics.exporters.tensorflow import export

    return export


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A Keras model in every form in which it can be saved, and a module of plain TensorFlow."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("saved")
    model = made("transformer")
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "exported", verbose=False)
    tf.saved_model.save(model, folder / "saved")
    tf.saved_model.save(two_convolutions(), folder / "plain")
    return folder


def two_convolutions():
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            rng = np.random.default_rng(0)
            self.first = tf.Variable(rng.normal(size=(3, 3, 3, 3, 8)).astype(np.float32))
            self.second = tf.Variable(rng.normal(size=(1, 1, 1, 8, 4)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, *CLIP), tf.float32, name="clip")])
        def __call__(self, clip):
            x = tf.nn.relu(tf.nn.conv3d(clip, self.first, [1] * 5, "SAME", name="first"), name="act")
            x = tf.nn.conv3d(x, self.second, [1] * 5, "SAME", name="second")
            return {"logits": tf.reduce_mean(x, [1, 2, 3])}

    return Module()


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_a_keras_file_gives_what_the_model_gives(tmp_path, export, saved, file):
    from sdmetrics.exporters.saved_models import export_saved

    path = export_saved(saved / file, tmp_path / "m.onnx", ["block0", "norm"], stride=2)
    own = export(made("transformer"), CASES["transformer"].inputs, ["block0", "norm"], tmp_path / "own" / "m.onnx")
    found, expected = read_metadata(path), read_metadata(own)
    assert found.sha256 == expected.sha256
    assert found.layers == expected.layers
    (video,) = found.inputs
    assert (video.name, video.frames, video.stride, video.size, video.layout) == ("video", 4, 2, (16, 16), "NTHWC")


@pytest.mark.parametrize("folder", ["exported", "saved"])
def test_a_saved_model_has_its_operations_for_layers(tmp_path, saved, folder):
    from sdmetrics.exporters.saved_models import export_saved

    layers = {"transformer_1/block0_1/Add": "block0", "transformer_1/embed_1/BiasAdd": "embed"}
    path = export_saved(saved / folder, tmp_path / "m.onnx", list(layers))
    metadata = read_metadata(path)
    assert metadata.framework.startswith("tensorflow ")
    arrays = prepare(random_feeds(metadata.inputs, 3, seed=5), metadata.inputs)
    own, taps = run("transformer", {"video": next(iter(arrays.values()))})
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for operation, layer in layers.items():
        (found,) = session.run([f"layer/{operation}"], arrays)
        np.testing.assert_allclose(found, taps[layer], rtol=0, atol=1e-5 * np.abs(taps[layer]).max())
    (output,) = session.run([*metadata.outputs], arrays)
    np.testing.assert_allclose(output, own["head"], rtol=0, atol=1e-5 * np.abs(own["head"]).max())
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", masks=True), provider="cpu")
    feeds = random_feeds(runner.inputs, 2, seed=5)
    arrays = {"video": next(iter(prepare(feeds, runner.inputs).values()))}
    zeros = np.zeros(16, np.float32)
    for operation, layer in layers.items():
        own, _ = run("transformer", arrays, {layer: zeros})
        found = runner.run(feeds, {operation: zeros})[metadata.outputs[0]]
        np.testing.assert_allclose(found, own["head"], rtol=0, atol=1e-5 * np.abs(own["head"]).max())


@pytest.mark.parametrize("given", ["folder", "module", "function"])
def test_a_module_of_plain_tensorflow(tmp_path, export, saved, given):
    import tensorflow as tf

    from sdmetrics.exporters.saved_models import open_saved

    module = two_convolutions()
    model = {
        "folder": lambda: open_saved(saved / "plain"),
        "module": lambda: module,
        "function": lambda: module.__call__,
    }
    path = export(model[given](), [video_input()], ["first", "act"], tmp_path / "m.onnx")
    metadata = read_metadata(path)
    assert metadata.outputs == ("logits",)
    assert [(layer.name, layer.channel_axis, layer.units) for layer in metadata.layers] == [
        ("first", 4, 8),
        ("act", 4, 8),
    ]
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", masks=True), provider="cpu")
    feeds, mask = random_feeds(runner.inputs, 2, seed=5), np.array([0, 1, 0.5, -1, 1, 0, 1, 1], np.float32)
    clip = prepare(feeds, runner.inputs)["video"]
    conv = tf.nn.conv3d(clip, module.first, [1] * 5, "SAME") * mask
    expected = tf.reduce_mean(tf.nn.conv3d(tf.nn.relu(conv), module.second, [1] * 5, "SAME"), [1, 2, 3])
    np.testing.assert_allclose(runner.run(feeds, {"first": mask})["logits"], expected, rtol=0, atol=1e-4)


def test_operations_that_cannot_be_layers(tmp_path, export):
    import tensorflow as tf

    module = two_convolutions()
    with pytest.raises(InputError, match=r"no operation 'frist'\. The nearest names: first"):
        export(module, [video_input()], ["frist"], tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"name at least one operation, each once\. The names: first, act, sec"):
        export(module, [video_input()], [], tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"cannot be traced on tensors of the shapes \[\(None, 4, 3, 16, 16\)\]"):
        export(module, [video_input("NTCHW")], ["first"], tmp_path / "m.onnx")
    with pytest.raises(InputError, match="is a list, which is neither a Keras model nor a TensorFlow function"):
        export([], [video_input()], ["first"], tmp_path / "m.onnx")
    tf.saved_model.save(module, tmp_path / "other", signatures={"other": module.__call__})
    with pytest.raises(InputError, match=r"has the signatures \['other'\]; expected 'serving_default'"):
        export(tf.saved_model.load(str(tmp_path / "other")), [video_input()], ["first"], tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_saved_model_with_parts_compiled_by_xla_says_what_to_export(tmp_path, export):
    import tensorflow as tf

    made("resnet").export(tmp_path / "grouped", verbose=False)
    model = tf.saved_model.load(str(tmp_path / "grouped"))
    with pytest.raises(InputError, match=r"compiled by XLA.*Export the Keras model itself"):
        export(model, CASES["resnet"].inputs, ["resnet_1/sum_1/Add"], tmp_path / "m.onnx")


def test_files_that_cannot_be_opened(tmp_path):
    import keras

    from sdmetrics.exporters.saved_models import open_saved

    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    video = keras.Input(CLIP)
    keras.Model(video, keras.layers.Lambda(lambda x: 2 * x)(video)).save(tmp_path / "code.keras")
    keras.Model(video, keras.layers.Lambda(lambda x: 2 * x)(video)).save(tmp_path / "code.h5")
    keras.Model(video, Own()(video)).save(tmp_path / "own.keras")
    (tmp_path / "bad.keras").write_bytes(b"not a model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "saved_model.pb").write_bytes(b"\xff\xff")
    for name, message in {
        "missing.keras": "neither a Keras file",
        "folder": "nor the folder of a SavedModel",
        "code.keras": r"it holds Python code \(a Lambda layer\), which is not run",
        "code.h5": r"it holds Python code \(a Lambda layer\), which is not run",
        "own.keras": "Could not locate class 'Own'",
        "bad.keras": "cannot be loaded",
        "bad": "cannot be loaded",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            open_saved(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_command_exports_a_saved_model_and_is_quiet(tmp_path, saved):
    def command(*arguments):
        code = "from sdmetrics.__main__ import main; main()"
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    out = tmp_path / "m.onnx"
    code, shown, errors = command("export", saved / "model.keras", "-o", out, "-l", "block1", "--std", 1, 1, 1)
    assert (code, errors) == (0, "")
    assert shown.split() == ["model:", str(out)]
    metadata = read_metadata(out)
    assert metadata.inputs[0].std == (1, 1, 1)
    assert [layer.name for layer in metadata.layers] == ["block1"]
    code, shown, errors = command("export", saved / "model.keras", "-o", out)
    assert code == 2
    assert errors.startswith("error: layers are []; name at least one layer, each once. The names: embed, tokens")
    assert errors.count("\n") == 1
    code, shown, errors = command("export", saved / "plain", "-o", out, "-l", "act")
    assert (code, errors) == (0, "")
    assert "a SavedModel is a program that can read and write files as it runs" in shown
