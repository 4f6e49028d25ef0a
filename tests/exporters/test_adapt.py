"""Models with other axes, other types or other inputs beside the video are fed the same clips, to the same numbers."""

import warnings

import numpy as np
import onnx
import pytest

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._assembly import opset
from sdmetrics.exporters.probe import build_probe, describe_feeding
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Metadata, read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.unlike_inputs import CHANNELS, FRAMES, SIZE, WEIGHTS, save_file

SIZES = {"frames": FRAMES, "size": (SIZE, SIZE)}
UNSCALED = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}


def runner_of(name, tmp_path, layers=("act",), by_input=None, opset=None, **fields):
    path = tmp_path / "model.onnx"
    save_file(name, path, opset)
    inputs = describe_feeding(path, by_input, **fields)
    return OnnxRunner(build_probe(path, tmp_path / "probe.onnx", layers=layers, inputs=inputs), provider="cpu")


def expected(feeds, item):
    """The units of `act` and the logits, in NumPy, of the network that all files hold."""
    video = prepare(feeds, [item])[item.name].astype(np.float64)
    padded = np.pad(video, [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), (2, 3, 4))[:, :, :, ::2, ::2]
    units = np.maximum(np.einsum("ncthwijk,ocijk->nothw", windows, WEIGHTS["kernel"]), 0).mean((2, 3, 4))
    return units, units @ WEIGHTS["head"]


def check(runner, item, rtol=1e-5):
    feeds = random_feeds(runner.inputs, 3)
    units, logits = expected(feeds, item)
    np.testing.assert_allclose(runner(feeds)["act"], units, rtol=rtol)
    np.testing.assert_allclose(runner.run(feeds)["logits"], logits, rtol=0, atol=rtol * np.abs(logits).max())


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("plain", "NCTHW"),
        ("six axes", "N1CTHW"),
        ("six axes, one clip", "N1CTHW"),
        ("no batch", "CTHW"),
        ("no batch, frames first", "TCHW"),
        ("open sizes of one name", "NCTHW"),
        ("a sequence beside", "NCTHW"),
    ],
)
@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
def test_other_axes_are_found_and_fed_the_same_clips(tmp_path, name, layout):
    runner = runner_of(name, tmp_path, **(SIZES if name.startswith("open") else {}))
    assert runner.inputs == (ModelInput("video", layout=layout, **SIZES),)
    check(runner, ModelInput("video", **SIZES))


@pytest.mark.parametrize(
    ("name", "layout"), [("frames before clips", "TNCHW"), ("frames as channels", "N,TC,H,W"), ("no shape", "NCTHW")]
)
def test_axes_that_are_specified_are_fed_the_same_clips(tmp_path, name, layout):
    check(runner_of(name, tmp_path, layout=layout, **SIZES), ModelInput("video", **SIZES))


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
def test_an_old_linear_resize_reads_where_it_did(tmp_path):
    check(runner_of("old", tmp_path), ModelInput("video", **SIZES))


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
def test_a_conversion_that_changes_the_numbers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(opset, "_keep_coordinates", lambda _: None)
    with pytest.raises(
        InputError, match=r"differs by \d\.\de-0\d of its scale after its conversion from opset 7 to 11"
    ):
        runner_of("old", tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uint8", {}),
        ("frames before clips", {"layout": "TNCHW"}),
        ("segments of one clip", {}),
        ("audio", {"by_input": {"audio": {"constant": 2.5}}}),
        ("state", {"by_input": {"state": {"constant": 3}}}),
    ],
)
def test_an_old_model_is_fed_as_its_file_is_to_compare_the_conversion(tmp_path, name, options):
    with warnings.catch_warnings(record=True, action="always") as shown:
        runner_of(name, tmp_path, opset=10, **options)
    notes = [str(each.message) for each in shown]
    assert "the model uses ONNX opset 10 and is converted to 11" in notes
    assert not [each for each in notes if "not compared" in each]


def test_a_model_that_runs_only_as_it_is_converted_is_not_compared(tmp_path):
    with pytest.warns(Note) as shown:
        runner_of("plain", tmp_path, opset=1)
    assert "the conversion is not compared" in " ".join(str(each.message) for each in shown)


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize("name", ["segments", "segments of one clip"])
def test_frames_in_the_batch_are_averaged_over_each_clip(tmp_path, name):
    runner = runner_of(name, tmp_path, ("act", "scores"))
    (item,) = runner.inputs
    assert (item.layout, item.frames) == ("NT,C,H,W", FRAMES)
    feeds = random_feeds(runner.inputs, 3)
    frames = prepare(feeds, [item])["video"].astype(np.float64)
    padded = np.pad(frames, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    act = np.maximum(np.einsum("nchwij,ocij->nohw", windows, WEIGHTS["flat_kernel"]), 0).mean((2, 3))
    units = act.reshape(3, FRAMES, CHANNELS).mean(1)
    found = runner(feeds)
    np.testing.assert_allclose(found["act"], units, rtol=1e-5)
    np.testing.assert_allclose(found["scores"], units @ WEIGHTS["head"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(runner.run(feeds)["logits"], units @ WEIGHTS["head"], rtol=1e-4, atol=1e-5)


def test_images_can_be_fed_the_frames_of_a_clip(tmp_path):
    assert runner_of("images", tmp_path).inputs[0].frames == 1
    runner = runner_of("images", tmp_path, ("act", "scores"), layout="NT,C,H,W", frames=6)
    feeds = random_feeds(runner.inputs, 2)
    turned = {**feeds, "video/order": feeds["video/order"][:, ::-1].copy()}
    np.testing.assert_allclose(runner(feeds)["act"], runner(turned)["act"], rtol=1e-5)
    logits, backward = runner.run(feeds)["logits"], runner.run(turned)["logits"]
    assert logits.shape == (2, 6, 5)
    np.testing.assert_allclose(logits, backward[:, ::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits.mean(1), runner(feeds)["scores"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "rtol"), [("uint8", 1e-5), ("int64", 1e-5), ("float16", 5e-3), ("double", 1e-5)])
def test_other_types(tmp_path, name, rtol):
    """Whole numbers are fed from 0 to 255; the file itself scales them to 0–1."""
    scale = UNSCALED if name in ("uint8", "int64") else {}
    runner = runner_of(name, tmp_path, **({} if scale else UNSCALED))
    assert (runner.inputs[0].mean, runner.inputs[0].std) == (UNSCALED["mean"], UNSCALED["std"])
    check(runner, ModelInput("video", mean=(0.0,) * 3, std=(1.0,) * 3, **SIZES), rtol)


@pytest.mark.parametrize("fields", [{"mean": (0.45,) * 3}, {"std": (0.225,) * 3}, {"std": (1 / 300,) * 3}])
def test_whole_numbers_that_would_be_cut_are_an_error(tmp_path, fields):
    with pytest.raises(InputError, match=r"is of type UINT8; with .* Leave out mean and std to feed 0 to 255"):
        runner_of("uint8", tmp_path, **fields)


def test_colours_in_the_other_order(tmp_path):
    """Mean and deviation are in the order that the model reads."""
    mean, std = (0.1, 0.4, 0.7), (0.2, 0.3, 0.5)
    runner = runner_of("plain", tmp_path, colours="bgr", mean=mean, std=std)
    feeds = random_feeds(runner.inputs, 3)
    turned = {**feeds, "rgb": feeds["rgb"][..., ::-1].copy()}
    units, _ = expected(turned, ModelInput("video", mean=mean, std=std, **SIZES))
    np.testing.assert_allclose(runner(feeds)["act"], units, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("audio", {"audio": {"constant": 2.5}}),
        ("audio like an image", {"audio": {"constant": 2.5}}),
        ("audio", {"audio": {"constant": np.full((1, 8, 12), 2.5)}}),
        ("state", {"state": {"constant": 3}}),
        ("state", {"state": {"constant": np.array([[1, 2, 3, 4, 5, 3]])}}),
    ],
)
def test_inputs_that_are_held_still(tmp_path, name, held):
    runner = runner_of(name, tmp_path, by_input=held)
    feeds = random_feeds(runner.inputs, 3)
    _, logits = expected(feeds, ModelInput("video", **SIZES))
    added = 2.5 if name != "state" else 3
    np.testing.assert_allclose(runner.run(feeds)["logits"], logits + added, rtol=1e-4)


def test_what_is_held_is_said_stored_and_decides_the_identity(tmp_path):
    with warnings.catch_warnings(record=True, action="always") as shown:
        runner = runner_of("text", tmp_path, by_input={
            "input_ids": {"constant": 7, "shape": (2, 3)}, "attention_mask": {"constant": 1}, "video": {}
        })  # fmt: skip
    assert [str(each.message) for each in shown if each.category is Note] == [
        "input input_ids: held at 7, int64, 2 × 3",
        "input attention_mask: held at 1, int64, 1 × 1 "
        "(1 for sizes that the file leaves open or states as 0; see shape=)",
    ]
    feeds = random_feeds(runner.inputs, 3)
    units, _ = expected(feeds, ModelInput("video", **SIZES))
    np.testing.assert_allclose(runner.run(feeds)["logits"], units @ WEIGHTS["words"][[7, 7]].T, rtol=1e-4, atol=1e-6)
    ids, mask = runner.identity["held"]
    assert (ids["name"], ids["value"], ids["shape"], mask["shape"]) == ("input_ids", 7, (2, 3), (1, 1))
    metadata = read_metadata(tmp_path / "probe.onnx")
    assert metadata.held[0].sha256 == ids["sha256"]
    assert Metadata.from_json(metadata.to_json(), "probe") == metadata
    with warnings.catch_warnings(action="ignore"):
        other = runner_of("text", tmp_path, by_input={
            "input_ids": {"constant": 8, "shape": (2, 3)}, "attention_mask": {"constant": 1}, "video": {}
        })  # fmt: skip
    assert other.identity["held"] != runner.identity["held"]


def test_an_empty_cache_is_held_at_a_size_of_one(tmp_path):
    path = tmp_path / "model.onnx"
    save_file("state", path)
    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 0
    onnx.save(model, path)
    with pytest.warns(
        Note, match=r"input state: held at 3, int32, 1 × 6 \(1 for sizes .* or states as 0; see shape=\)"
    ):
        build_probe(
            path, tmp_path / "p.onnx", layers=["act"], inputs=[ModelInput("video", **SIZES), HeldInput("state", 3)]
        )


def test_probes_without_held_inputs_keep_their_identity(tmp_path):
    assert "held" not in runner_of("plain", tmp_path).identity


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({"constant": 0.5}, r"is held at 0\.5, which int64 cannot hold"),
        ({"constant": 2**70}, "which int64 cannot hold"),
        ({"constant": np.array(["a"])}, "which int64 cannot hold"),
        ({"constant": np.zeros((4, 2, 2), int)}, r"at an array of shape \(4, 2, 2\); the model reads"),
        ({"constant": 0, "shape": (1, 2, 3)}, r"is held in the shape \(1, 2, 3\); the model reads"),
    ],
)
def test_values_that_an_input_cannot_hold(tmp_path, held, reason):
    with pytest.raises(InputError, match=reason) as caught:
        runner_of("text", tmp_path, by_input={"input_ids": held, "attention_mask": {"constant": 1}, "video": {}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["audio", "audio like an image", "audio of the images' size", "text", "image and flow"]
)
def test_what_could_be_video_or_not_is_asked(tmp_path, name):
    save_file(name, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"it is not certain how .* should be fed; describe each, with a source"):
        describe_feeding(tmp_path / "model.onnx")


def test_all_inputs_held_is_an_error(tmp_path):
    with pytest.raises(InputError, match="all inputs of the model are held still: video; one of them has to be video"):
        runner_of("plain", tmp_path, by_input={"video": {"constant": 0}})


def test_a_probe_that_is_fed_otherwise_is_an_error(tmp_path):
    from sdmetrics.exporters.probe import open_probe

    video = ModelInput("video", **SIZES)
    save_file("state", tmp_path / "model.onnx")
    with pytest.warns(Note, match="held at 3"):
        probe = build_probe(
            tmp_path / "model.onnx", tmp_path / "probe.onnx", layers=["act"], inputs=[video, HeldInput("state", 3)]
        )
    assert open_probe(probe, inputs=[video, HeldInput("state", 3)]).path == probe
    assert describe_feeding(probe) == (video,)
    assert open_probe(probe, inputs=describe_feeding(probe))
    for inputs in (
        [video, HeldInput("state", 4)],
        [video, HeldInput("audio", 3)],
        [HeldInput("state", 3)],
        [ModelInput("video", stride=2, **SIZES), HeldInput("state", 3)],
    ):
        with pytest.raises(InputError, match="fed in another way"):
            open_probe(probe, inputs=inputs)


def test_probes_of_the_first_schema_are_read(tmp_path):
    """They fed flow vectors as they are, whatever mean and deviation they state."""
    runner_of("plain", tmp_path)
    text = read_metadata(tmp_path / "probe.onnx").to_json()
    old = text.replace('"schema": 2', '"schema": 1').replace('"colours": "rgb", ', "").replace('"limit": null, ', "")
    assert '"colours"' not in old
    assert Metadata.from_json(old.replace('"held": [], ', ""), "old") == read_metadata(tmp_path / "probe.onnx")
    vectors = Metadata.from_json(old.replace('"source": "rgb"', '"source": "flow_vectors"'), "old").inputs[0]
    assert (vectors.mean, vectors.std, vectors.limit) == ((0, 0), (1, 1), None)


def test_the_file_is_as_it_was(tmp_path):
    save_file("audio", tmp_path / "model.onnx")
    before = (tmp_path / "model.onnx").read_bytes()
    with pytest.warns(Note):
        runner_of("audio", tmp_path, by_input={"audio": {"constant": 0}})
    assert (tmp_path / "model.onnx").read_bytes() == before
    assert [value.name for value in onnx.load(tmp_path / "probe.onnx").graph.input] == ["rgb", "video/order"]
