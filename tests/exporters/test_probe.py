import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import metadata_of, read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import FRAMES, RELU, SIZE, TWO, TWO_W, W, described, graph_model
from tests.helpers.torch_models import CASES, exported, hooked, probed


@pytest.mark.parametrize("layout", ["NCTHW", "NTCHW", "NTHWC", "NCHW", "NHWC", "NWCHT"])
def test_frames_are_ordered_scaled_and_transposed_as_the_model_wants(tmp_path, layout):
    item = described(layout, mean=(0.1, 0.4, 0.7), std=(0.2, 0.5, 0.9))
    path = graph_model(tmp_path, RELU, ["y"], layout=layout)
    probe = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers={"y": layout.index("C")}, inputs=[item]))
    feeds = random_feeds([item], 3, seed=5)
    order, frames = feeds["x/order"], feeds["rgb"]
    expected = np.empty((3, len(order[0]), SIZE, SIZE, 3))
    for clip in range(3):
        for to, source in enumerate(order[clip]):
            expected[clip, to] = (frames[clip, source] / 255 - np.array(item.mean)) / np.array(item.std)
    np.testing.assert_allclose(probe(feeds)["y"], np.maximum(expected, 0).mean((1, 2, 3)), rtol=0, atol=1e-5)
    if "T" not in layout:
        expected = expected[:, 0]
    axes = "NTHWC" if "T" in layout else "NHWC"
    shown = np.maximum(expected, 0).transpose([axes.index(axis) for axis in layout])
    np.testing.assert_allclose(probe.run(feeds)["y"], shown, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_probe_pools_what_the_modules_return(case):
    model, inputs, layers = CASES[case].make(), CASES[case].inputs, CASES[case].layers
    feeds = random_feeds(inputs, 3, seed=11)
    found = OnnxRunner(probed(case), provider="cpu")(feeds)
    assert list(found) == list(layers)
    for clip in range(3):
        one = {name: array[clip : clip + 1] for name, array in feeds.items()}
        _, taps = hooked(model, layers, list(prepare(one, inputs).values()))
        for layer in layers:
            channel = taps[layer].ndim - 1 if case == "transformer" and layer != "embed" else 1
            expected = np.moveaxis(taps[layer], channel, -1).reshape(-1, taps[layer].shape[channel]).mean(0)
            scale = np.abs(taps[layer]).max()
            np.testing.assert_allclose(found[layer][clip], expected, rtol=0, atol=1e-5 * scale, err_msg=layer)


@pytest.mark.parametrize("case", CASES)
def test_a_probe_is_valid_onnx_that_holds_all_it_needs(case):
    probe = onnx.load_from_string(probed(case))
    onnx.checker.check_model(probe, full_check=True)
    weights = {tensor.name for tensor in probe.graph.initializer}
    required = {value.name for value in probe.graph.input} - weights
    assert required == {"rgb", "video/order"}
    assert {value.name for value in probe.graph.input} - required == {f"mask/{layer}" for layer in CASES[case].layers}
    own = "logits" if case == "transformer" else "output"
    assert [value.name for value in probe.graph.output] == [own, *(f"units/{layer}" for layer in CASES[case].layers)]
    metadata = metadata_of(probe, "probe")
    assert (metadata.kind, metadata.name, metadata.masks) == ("probe", case, True)


def test_a_probe_of_some_layers_has_only_those(tmp_path):
    (tmp_path / "m.onnx").write_bytes(exported("resnet"))
    path = build_probe(tmp_path / "m.onnx", tmp_path / "p.onnx", layers=["layer4", "stem"])
    probe = onnx.load(path)
    assert [value.name for value in probe.graph.input] == ["rgb", "video/order"]
    assert [value.name for value in probe.graph.output] == ["output", "units/layer4", "units/stem"]
    assert [layer.name for layer in read_metadata(path).layers] == ["layer4", "stem"]
    assert len(read_metadata(path).sha256) == 64


def test_an_exported_model_knows_its_layers_only(tmp_path):
    (tmp_path / "m.onnx").write_bytes(exported("resnet"))
    with pytest.raises(InputError, match=r"has no layer 'layer3'\. The nearest names: layer4"):
        build_probe(tmp_path / "m.onnx", tmp_path / "p.onnx", layers=["layer3"])


def test_a_foreign_model_is_probed_by_its_tensors(tmp_path):
    path = graph_model(tmp_path, TWO, ["z"], TWO_W)
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["c", "y", "z"], masks=True))
    feeds = random_feeds(runner.inputs, 2, seed=3)
    conv = np.einsum("ncthw,oc->nothw", prepare(feeds, runner.inputs)["x"], W[:, :, 0, 0, 0])
    found = runner(feeds)
    np.testing.assert_allclose(found["c"], conv.mean((2, 3, 4)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["y"], np.maximum(conv, 0).mean((2, 3, 4)), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["z"], runner.run(feeds)["z"])
    assert [layer.units for layer in read_metadata(tmp_path / "p.onnx").layers] == [5, 5, 5]


def test_masks_act_on_what_reads_the_layer_and_not_on_the_layer(tmp_path):
    path = graph_model(tmp_path, TWO, ["z"], TWO_W)
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["c", "y", "z"], masks=True))
    feeds = random_feeds(runner.inputs, 2, seed=3)
    conv = np.einsum("ncthw,oc->nothw", prepare(feeds, runner.inputs)["x"], W[:, :, 0, 0, 0])
    plain, mask = runner(feeds), np.array([1, 0, 1, -1, 0.5])
    for layer, changed in [("c", ["y", "z"]), ("y", ["z"]), ("z", [])]:
        masked = runner(feeds, {layer: mask})
        for other in "cyz":
            assert np.array_equal(masked[other], plain[other]) == (other not in changed), (layer, other)
    scaled = np.maximum(conv * mask[:, None, None, None], 0).mean((2, 3, 4))
    np.testing.assert_allclose(runner.run(feeds, {"c": mask})["z"], scaled, rtol=0, atol=1e-5)
    np.testing.assert_allclose(runner.run(feeds, {"z": mask})["z"], plain["z"] * mask, rtol=0, atol=1e-6)


def test_a_mask_reaches_consumers_inside_a_subgraph(tmp_path):
    value = helper.make_tensor_value_info("picked", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["c"], ["picked"])], kind, [], [value]) for kind in ("Neg", "Abs")
    ]
    nodes = [
        ("Conv", ["x", "w"], ["c"], {}),
        ("If", ["yes"], ["y"], {"then_branch": branches[0], "else_branch": branches[1]}),
    ]
    path = graph_model(tmp_path, nodes, ["y"], [("w", W), ("yes", np.array(True))])
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["c"], masks=True))
    feeds = random_feeds(runner.inputs, 2)
    zero = runner.run(feeds, {"c": np.zeros(5)})["y"]
    assert not zero.any()
    assert runner.run(feeds)["y"].any()


def test_a_mask_that_nothing_reads_is_an_error(tmp_path):
    nodes = [*TWO, ("Sigmoid", ["c"], ["side"], {})]
    path = graph_model(tmp_path, nodes, ["z"], TWO_W)
    build_probe(path, tmp_path / "p.onnx", layers=["side"])
    with pytest.raises(InputError, match=r"removing every unit of layer 'side' changes none of the outputs \['z'\]"):
        build_probe(path, tmp_path / "q.onnx", layers=["c", "side"], masks=True)
    assert not (tmp_path / "q.onnx").exists()


@pytest.mark.parametrize("time_major", [False, True])
def test_time_folded_into_the_batch_is_told_apart(tmp_path, time_major):
    perm, shape = ([1, 0, 2, 3, 4], [FRAMES, -1, 3]) if time_major else ([0, 1, 2, 3, 4], [-1, FRAMES, 3])
    nodes = [
        ("Transpose", ["x"], ["a"], {"perm": perm}),
        ("Reshape", ["a", "frames"], ["folded"], {}),
        ("Relu", ["folded"], ["act"], {}),
        ("ReduceMean", ["act", "hw"], ["m"], {"keepdims": 0}),
        ("Reshape", ["m", "clips"], ["u"], {}),
        ("ReduceMean", ["u", "time"], ["y"], {"keepdims": 0}),
    ]
    weights = [("frames", np.array([-1, 3, SIZE, SIZE])), ("hw", np.array([2, 3])), ("clips", np.array(shape))]
    weights.append(("time", np.array([0 if time_major else 1])))
    path = graph_model(tmp_path, nodes, ["y"], weights, layout="NTCHW")
    build_probe(path, tmp_path / "p.onnx", layers={"act": 1})
    (layer,) = read_metadata(tmp_path / "p.onnx").layers
    assert layer.fold == ("time-major" if time_major else "batch-major")
    runner = OnnxRunner(tmp_path / "p.onnx")
    feeds = random_feeds(runner.inputs, 3)
    np.testing.assert_allclose(runner(feeds)["act"], runner.run(feeds)["y"], rtol=0, atol=1e-6)


def test_clips_may_lie_in_another_axis_than_the_first(tmp_path):
    nodes = [
        ("Reshape", ["x", "tokens"], ["t"], {}),
        ("Transpose", ["t"], ["lnc"], {"perm": [2, 0, 1]}),
        ("Transpose", ["t"], ["cln"], {"perm": [1, 2, 0]}),
        ("Add", ["x", "x"], ["y"], {}),
    ]
    path = graph_model(tmp_path, nodes, ["y"], [("tokens", np.array([0, 3, FRAMES * SIZE * SIZE]))])
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["y", "lnc", "cln"]))
    feeds = random_feeds(runner.inputs, 4)
    found = runner(feeds)
    assert [layer.batch_axis for layer in runner.metadata.layers] == [0, 1, 2]
    np.testing.assert_allclose(found["lnc"], found["y"] / 2, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["cln"], found["y"] / 2, rtol=0, atol=1e-5)


@pytest.mark.parametrize("opset", range(11, 24))
def test_any_opset_from_eleven_on(tmp_path, opset):
    path = graph_model(tmp_path, TWO[:2], ["y"], TWO_W[:1], opset=opset, ir_version=6 + opset % 5)
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["y"], masks=True))
    assert runner(random_feeds(runner.inputs, 1))["y"].shape == (1, 5)


def test_an_older_opset_is_converted_to_the_same_numbers(tmp_path):
    runners = []
    for opset, ir_version in ((18, 8), (9, 4), (7, 3)):
        path = graph_model(tmp_path, TWO[:2], ["y"], TWO_W[:1], opset=opset, ir_version=ir_version)
        with warnings.catch_warnings(record=True, action="always") as notes:
            probe = build_probe(path, tmp_path / f"{opset}.onnx", layers=["y"], masks=True)
        assert [str(each.message) for each in notes] == (
            [f"the model uses ONNX opset {opset} and is converted to 11"] if opset < 11 else []
        )
        runners.append(OnnxRunner(probe, provider="cpu"))
    feeds = random_feeds(runners[0].inputs, 2)
    first, *others = [runner(feeds)["y"] for runner in runners]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-6)


def test_an_older_opset_that_cannot_be_converted_is_an_error(tmp_path):
    nodes = [("Upsample", ["x", "s"], ["y"], {"mode": "linear"})]
    path = graph_model(tmp_path, nodes, ["y"], [("s", np.ones(5, np.float32))], opset=8)
    with pytest.raises(InputError, match=r"uses ONNX opset 8, which cannot be converted to 11 \(.*\)"):
        build_probe(path, tmp_path / "p.onnx", layers={"y": 1})


def test_old_files_list_their_weights_as_inputs(tmp_path):
    path = graph_model(tmp_path, TWO[:2], ["y"], TWO_W[:1], opset=11, ir_version=3)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    onnx.save(model, path)
    probe = onnx.load(build_probe(path, tmp_path / "p.onnx", layers=["y"]))
    assert [value.name for value in probe.graph.input] == ["rgb", "x/order"]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_float_types_are_fed_and_pooled_as_float32(tmp_path, dtype):
    weight = np.array([1, -2, 3], helper.tensor_dtype_to_np_dtype(dtype)).reshape(3, 1, 1, 1)
    path = graph_model(tmp_path, [("Mul", ["x", "w"], ["c"], {}), *TWO[1:2]], ["y"], [("w", weight)], dtype=dtype)
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["c", "y"], masks=True))
    feeds = random_feeds(runner.inputs, 2)
    found = runner(feeds, {"c": np.zeros(3)})
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert found["c"].any()
    assert not found["y"].any()


@pytest.mark.parametrize("name", ["rgb", "x"])
def test_a_model_may_use_the_names_of_the_probe_itself(tmp_path, name):
    nodes = [("Relu", [name], ["inner" if name == "rgb" else "rgb"], {})]
    nodes.append(("Neg", nodes[0][2], ["y"], {}))
    path = graph_model(tmp_path, nodes, ["y"], name=name)
    layer = nodes[0][2][0]
    if layer == "rgb":
        layer = "y"
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=[layer], masks=True))
    feeds = random_feeds(runner.inputs, 2)
    expected = -np.maximum(prepare(feeds, runner.inputs)[name], 0)
    np.testing.assert_allclose(runner.run(feeds)["y"], expected, rtol=0, atol=1e-6)


def test_several_inputs_read_one_source_each_in_its_own_order(tmp_path):
    path = graph_model(tmp_path, [("Relu", ["slow"], ["a"], {})], ["a"], name="slow")
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("fast", TensorProto.FLOAT, ["n", 3, 4, SIZE, SIZE]))
    model.graph.node.append(helper.make_node("Neg", ["fast"], ["b"]))
    model.graph.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, None))
    onnx.save(model, path)
    inputs = [described(name="slow"), described(name="fast", frames=4)]
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["a", "b"], inputs=inputs, masks=True))
    feeds = random_feeds(inputs, 2)
    assert {name: array.shape[:2] for name, array in feeds.items()} == {
        "rgb": (2, 5),
        "slow/order": (2, 2),
        "fast/order": (2, 4),
    }
    own, prepared = runner.run(feeds), prepare(feeds, inputs)
    np.testing.assert_allclose(own["a"], np.maximum(prepared["slow"], 0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(own["b"], -prepared["fast"], rtol=0, atol=1e-6)


def test_an_input_is_inferred_from_its_shape(tmp_path):
    path = graph_model(tmp_path, RELU, ["y"], layout="NTHWC")
    (item,) = read_metadata(build_probe(path, tmp_path / "p.onnx", layers={"y": -1})).inputs
    assert item == ModelInput("x", frames=FRAMES, size=(SIZE, SIZE), layout="NTHWC")


@pytest.mark.parametrize(
    ("shape", "inputs", "message"),
    [
        (["n", 3, "t", 8, 8], None, r"shape \('n', 3, 't', 8, 8\), so frames cannot be inferred; .* --frames 8"),
        (
            ["n", 3, 2, "h", "w"],
            None,
            r"so size cannot be inferred; .* sdmetrics probe MODEL --size 224 224, .* size=…\)",
        ),
        (
            ["n", 3, 3, 8, 8],
            None,
            "so layout, frames, size cannot be inferred; .* --layout NCTHW --frames 8 --size 224 224",
        ),
        (["n", 4, 2, 8, 8], None, "so layout, frames, size cannot be inferred"),
        (["n", 3, 2, 8, 8], [described(name="y")], r"the model's inputs are \['x'\], described are \['y'\]"),
        (["n", 3, 2, 8, 8], [described(frames=4)], r"fed \('N', 3, 4, 8, 8\)\. Fix its layout"),
        (["n", 3, 2, 8, 8], [described("NCHW")], "Fix its layout"),
        (["n", 3, 2, 8, 8], [described(source="flow_vectors")], "Fix its layout"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path, shape, inputs, message):
    path = graph_model(tmp_path, RELU, ["y"], shape=shape)
    with pytest.raises(InputError, match=message) as caught:
        build_probe(path, tmp_path / "p.onnx", layers={"y": 1}, inputs=inputs)
    assert "\n" not in str(caught.value)


def test_an_input_that_is_no_number_is_an_error(tmp_path):
    path = graph_model(tmp_path, [("Not", ["x"], ["y"], {})], ["y"], dtype=TensorProto.BOOL)
    with pytest.raises(InputError, match="is of type BOOL; expected one of FLOAT"):
        build_probe(path, tmp_path / "p.onnx", layers=["y"])


@pytest.mark.parametrize(
    ("nodes", "weights", "layers", "message"),
    [
        (TWO, TWO_W, None, "does not declare its layers; name some: c, y"),
        (TWO, TWO_W, ["convolution"], r"has no layer 'convolution'\. The names: c, y"),
        (TWO, TWO_W, "c", r"layers is 'c'; expected a list of names\. The names: c, y"),
        (TWO, TWO_W, ["c", "c"], "name the tensor 'c' twice"),
        (TWO, TWO_W, {"c": 0}, "cannot have its channels in axis 0"),
        (TWO, TWO_W, {"c": 5}, "cannot have its channels in axis 5"),
        (TWO, TWO_W, ["x"], "has no layer 'x'"),
        (
            [("ReduceMean", ["x", "n"], ["mean"], {}), ("Sub", ["x", "mean"], ["z"], {})],
            [("n", np.array([0]))],
            ["z"],
            "the model mixes the clips of a batch",
        ),
        ([("Log", ["x"], ["z"], {})], [], ["z"], "returns values that are not finite"),
        ([("Shape", ["x"], ["z"], {})], [], {"z": 0}, "holds int64; units are floating-point"),
        ([("ReduceSum", ["x", "n"], ["z"], {})], [("n", np.array([0]))], {"z": 1}, "no axis holds the clips"),
        (
            [("Mul", ["x", "zero"], ["a"], {}), ("Reshape", ["a", "s"], ["z"], {})],
            [("zero", np.float32(0)), ("s", np.array([-1, 3, SIZE, SIZE]))],
            {"z": 1},
            "the same values for every frame",
        ),
    ],
)
def test_layers_that_cannot_be_probed(tmp_path, nodes, weights, layers, message):
    path = graph_model(tmp_path, nodes, ["z"], weights)
    if message.startswith("holds int64"):
        path = graph_model(tmp_path, [*RELU, *nodes], ["y"], weights)
    with pytest.raises(InputError, match=message) as caught:
        build_probe(path, tmp_path / "p.onnx", layers=layers)
    assert "\n" not in str(caught.value)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx"]


def test_a_probe_of_a_probe_is_an_error(tmp_path):
    (tmp_path / "p.onnx").write_bytes(probed("framewise"))
    with pytest.raises(InputError, match="is a probe already"):
        build_probe(tmp_path / "p.onnx", tmp_path / "q.onnx")


def test_a_model_over_the_limit_of_one_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("sdmetrics.probes.onnx_file.LIMIT", 500)
    with pytest.raises(InputError, match="one ONNX file holds less than 2 GiB"):
        build_probe(graph_model(tmp_path, TWO, ["z"], TWO_W), tmp_path / "p.onnx", layers=["c"])
