"""`--input`, `--layer` and options of several numbers, and the errors that name what is wrong with them."""

import numpy as np
import pytest

from sdmetrics.cli.input_option import parse_inputs, parse_layers
from sdmetrics.cli.options import join_numbers, parse_numbers
from sdmetrics.errors import InputError
from sdmetrics.probes.model_file import read_model_file
from tests.helpers.unlike_inputs import save_file


def test_fields_of_every_input():
    texts = ["image layout=NCHW frames=1", "flow source=flow_vectors size=48,64 mean=0,0.5,1"]
    assert parse_inputs(texts) == {
        "image": {"layout": "NCHW", "frames": 1},
        "flow": {"source": "flow_vectors", "size": (48, 64), "mean": (0.0, 0.5, 1.0)},
    }
    texts = ["a resize=256 fps=30", "b resize=128,171 sampling=spread"]
    assert parse_inputs(texts) == {
        "a": {"resize": 256, "fps": 30},
        "b": {"resize": (128, 171), "sampling": "spread"},
    }


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([""], "has no settings; expected a name and FIELD=VALUE pairs, e.g. --input 'flow source=flow"),
        (["flow"], "has no settings"),
        (["source=flow frames=1"], "has no settings"),
        (["flow frames=1", "flow stride=2"], "describes 'flow' twice; put all of its settings in one --input"),
        (["flow colour=blue"], "contains 'colour=blue'; allowed: source, layout, frames, stride, size, mean, std"),
        (["flow frames=2 frames=3"], "sets a field twice"),
        (["flow colours=hsv"], "colours is 'hsv'; allowed: rgb, bgr"),
        (
            ["ids constant=0 frames=2"],
            "sets constant, frames; an input that is held still has a constant",
        ),
        (["ids shape=1,2"], "an input that is held still has a constant"),
        (["ids constant=many"], "expected a number, zeros, ones or a path that ends in .npy"),
        (["ids constant=absent.npy"], "absent.npy cannot be read"),
        (["ids constant=0 shape=0,2"], "expected numbers"),
        (["ids constant=0 shape=N,N"], "expected numbers"),
        (["flow frames"], "contains 'frames'; allowed: source"),
        (["flow frames=two"], "contains 'frames=two'; expected numbers, e.g."),
        (["flow size=48"], "size has 1 number(s); expected 2"),
        (["video resize=256,256,3"], "resize has 3 number(s); expected 1 or 2"),
        (["video resize=small"], "contains 'resize=small'; expected numbers"),
        (["video sampling=all"], "sampling is 'all'; allowed: window, spread"),
        (["video fps=fast"], "contains 'fps=fast'; expected numbers"),
        (["flow source=depth"], "source is 'depth'; allowed: rgb, flow, flow_vectors"),
    ],
)
def test_bad_settings(texts, reason):
    with pytest.raises(InputError) as caught:
        parse_inputs(texts)
    assert reason in str(caught.value)


def test_constants(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("tokens.npy", np.array([[1, 2]]))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for text, value in {"0": 0, "2.5": 2.5, "-1e-3": -1e-3, "zeros": 0, "ones": 1}.items():
        assert parse_inputs([f"x constant={text}"])["x"]["constant"] == value
    assert parse_inputs(["x constant=tokens.npy shape=N,2"])["x"]["constant"].tolist() == [[1, 2]]
    (tmp_path / "archive.npy").write_bytes(b"PK\x03\x04" + bytes(40))
    np.savez("several.npz", a=np.zeros(2))
    (tmp_path / "several.npz").rename("several.npy")
    huge = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(huge).to_bytes(2, "little") + huge)
    for name in ("broken", "objects", "archive", "several", "huge"):
        with pytest.raises(InputError, match="is not an array of numbers"):
            parse_inputs([f"x constant={name}.npy"])


@pytest.mark.parametrize("text", ["mean=0.1,0.2,0.3", "mean=0.1 0.2 0.3", "mean=0.1, 0.2, 0.3"])
def test_numbers_with_commas_or_spaces(text):
    assert parse_inputs([f"video {text} frames=2"]) == {"video": {"mean": (0.1, 0.2, 0.3), "frames": 2}}
    option, values = text.split("=")
    words = join_numbers(["probe", "--mean", *values.split(), "--size", "8", "9", "m.onnx"])
    assert join_numbers(["--mean", "0.5", "0.5", "--", "m.onnx"]) == ["--mean", "0.5,0.5", "--", "m.onnx"]
    assert words[0::5][:1] == ["probe"]
    assert words[-1] == "m.onnx"
    passed = parse_numbers(**{option: words[2], "size": words[4]})
    assert passed == {"mean": (0.1, 0.2, 0.3), "size": (8, 9)}


def test_numbers_of_the_command(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file("open sizes", "model.onnx")
    made = []
    for size, mean in ((["16", "16"], ["-0.5", "0.5", "0.5"]), (["16,16"], ["-0.5,0.5,0.5"])):
        passed = ["--size", *size, "--mean", *mean, "--frames", 4, "-l", "act"]
        assert command("probe", "model.onnx", "-o", "probe.onnx", *passed)[0] == 0
        made.append((tmp_path / "probe.onnx").read_bytes())
    assert made[0] == made[1]
    fed = ["--size", "16,16", "--frames", 4, "-l", "act", "--resize", "20", "--fps", 30]
    code, out, _ = command("probe", "model.onnx", "-o", "fed.onnx", *fed, "--input", "video resize=18,24")
    assert code == 0
    assert "scaled to 18 × 24, 30 frames per second" in out
    (video,) = read_model_file("fed.onnx").metadata.inputs
    assert (video.resize, video.fps, video.sampling) == ((18, 24), 30, "window")
    code, out, _ = command("probe", "model.onnx", "-o", "fed.onnx", *fed[:-2], "--sampling", "spread")
    assert (code, "short side 20, spread over the video" in out) == (0, True)
    code, _, err = command("probe", "model.onnx", "-o", "p.onnx", *fed[:-4], "--resize", "15")
    assert code == 2
    assert "has resize 15 and size (16, 16); expected the shorter side, a whole number of pixels from 16" in err
    wrong = (("--resize", "1,2,3"), ("--resize", "a"), ("--size", "16"), ("--mean", "a,b,c"), ("--std", "1,2,3,4"))
    for option, value in wrong:
        code, _, err = command("probe", "model.onnx", "-o", "p.onnx", option, value)
        assert code == 2
        assert f"{option} is '{value}'; expected" in err


def test_layers_with_axes():
    assert parse_layers(None) is None
    assert parse_layers(["a", "b c"]) == ["a", "b c"]
    assert parse_layers(["a", "b c axis=-1"]) == {"a": None, "b c": -1}
    for texts, reason in ((["a axis=x"], "has the axis 'x'"), (["a", "a axis=1"], "names 'a' twice")):
        with pytest.raises(InputError, match=reason):
            parse_layers(texts)
