"""How frames are scaled and chosen is part of an input, of a file that declares it, and of a run's identity."""

import dataclasses
import json

import numpy as np
import onnx
import pytest

from sdmetrics.analysis.identity import input_differences
from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import describe_feeding
from sdmetrics.probes.feeds import check_sources
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Metadata, metadata_of
from tests.helpers.torch_models import exported


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"resize": 15},
            "resize 15 and size (16, 24); expected the shorter side, a whole number of pixels from 24,",
        ),
        ({"resize": 23}, "resize 23 and size"),
        ({"resize": (16, 23)}, "resize (16, 23) and size"),
        ({"resize": (15, 24)}, "a height from 16 and a width from 24, each at most 4096"),
        ({"resize": (24, 24, 24)}, "resize (24, 24, 24)"),
        ({"resize": 24.0}, "resize 24.0"),
        ({"resize": True}, "resize True"),
        ({"resize": "256"}, "resize '256'"),
        ({"resize": 5000}, "resize 5000"),
        ({"sampling": "all"}, "sampling 'all'; allowed: window, spread"),
        ({"sampling": None}, "sampling None; allowed: window, spread"),
        ({"fps": 0}, "fps 0; expected frames per second, a number above 0 and up to 1000"),
        ({"fps": float("nan")}, "fps nan"),
        ({"fps": float("inf")}, "fps inf"),
        ({"fps": "30"}, "fps '30'"),
        ({"fps": True}, "fps True"),
        ({"fps": 30, "sampling": "spread"}, "whatever their rate; leave fps out"),
    ],
)
def test_wrong_values(fields, reason):
    with pytest.raises(InputError) as caught:
        ModelInput("video", size=(16, 24), **fields)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("input 'video' has")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mean": 0.5}, "has the mean 0.5; expected 3 numbers, one per channel of rgb"),
        ({"std": [0.2, 0.2, "x"]}, "has the std [0.2, 0.2, 'x']; expected 3 numbers"),
        ({"std": (0.2, 0.2, True)}, "has the std (0.2, 0.2, True); expected 3 numbers"),
        ({"mean": "abc"}, "has the mean 'abc'; expected 3 numbers"),
        ({"mean": (0, 0, 10**400)}, "expected finite numbers"),
        ({"size": 224}, "has the size 224; expected (height, width) in pixels"),
        ({"size": "22"}, "has the size '22'; expected (height, width) in pixels"),
        ({"size": (224,)}, "has the size (224,); expected (height, width) in pixels"),
        ({"size": (224.0, 224)}, "size of input 'video' is 224.0; expected a whole number, at least 1"),
        ({"size": (224, 0)}, "size of input 'video' is 0; expected at least 1"),
        ({"frames": "8"}, "frames of input 'video' is '8'; expected a whole number, at least 1"),
        ({"frames": 0}, "frames of input 'video' is 0; expected at least 1"),
        ({"stride": 1.5}, "stride of input 'video' is 1.5; expected a whole number"),
        ({"source": ["rgb"]}, "has the source ['rgb']; expected one of rgb, flow, flow_vectors"),
        (
            {"source": "flow_vectors", "limit": "20"},
            "has the limit '20' and the source flow_vectors; a limit is",
        ),
    ],
)
def test_what_is_no_number_is_one_line(fields, reason):
    with pytest.raises(InputError) as caught:
        ModelInput("video", **fields)
    assert reason in str(caught.value)


def test_numbers_of_numpy_are_kept_as_pythons_own():
    given = ModelInput("video", frames=np.int64(4), size=np.array([8, 9]), mean=np.zeros(3), std=[np.float32(0.5)] * 3)
    assert given == ModelInput("video", frames=4, size=(8, 9), mean=(0.0, 0.0, 0.0), std=(0.5, 0.5, 0.5))
    # What a run records of them is the same as well.
    assert repr(ModelInput("video", mean=(0, 0, 0), std=(1, 1, 1))) == repr(
        ModelInput("video", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    )
    assert json.loads(json.dumps(given.document()))["frames"] == 4


FEEDINGS = [{"resize": 40}, {"resize": (32, 40)}, {"sampling": "spread"}, {"fps": 12.5}, {"resize": 99, "fps": 30.0}]


@pytest.mark.parametrize("fields", FEEDINGS)
def test_files_keep_them_and_older_files_do_not_have_them(fields):
    metadata = metadata_of(onnx.load_from_string(exported("framewise")), "m.onnx")
    (plain,) = metadata.inputs
    fed = dataclasses.replace(plain, **fields)
    text = dataclasses.replace(metadata, inputs=(fed,)).to_json()
    assert Metadata.from_json(text, "m.onnx").inputs == (fed,)
    assert fed.document() == plain.document() | fields
    assert input_differences([json.loads(json.dumps(plain.document()))], [fed]) == [
        f"inputs.{plain.name}.{name} was null, is {json.dumps(value)}" for name, value in sorted(fields.items())
    ]
    older = json.loads(metadata.to_json())
    for name in ("resize", "sampling", "fps"):
        del older["inputs"][0][name]
    assert Metadata.from_json(json.dumps(older), "m.onnx").inputs == (plain,)


def test_the_rate_of_a_whole_number_is_the_same_rate():
    assert json.dumps(ModelInput("x", fps=30).document()) == json.dumps(ModelInput("x", fps=30.0).document())


@pytest.mark.parametrize("fields", FEEDINGS[:4])
def test_inputs_of_one_model_agree(fields):
    one = ModelInput("slow", frames=2, size=(16, 16))
    two = dataclasses.replace(one, name="fast", frames=8)
    check_sources([one, two])
    check_sources([dataclasses.replace(item, **fields) for item in (one, two)])
    (field,) = fields
    with pytest.raises(InputError, match=f"'slow' and 'fast' have {field} .* pass one {field} for all"):
        check_sources([one, dataclasses.replace(two, **fields)])


def test_a_file_is_described_anew(tmp_path):
    metadata = metadata_of(model := onnx.load_from_string(exported("framewise")), "m.onnx")
    entry = next(entry for entry in model.metadata_props if entry.key == "sdmetrics")
    fed = dataclasses.replace(metadata.inputs[0], fps=30, resize=64)
    entry.value = dataclasses.replace(metadata, inputs=(fed,)).to_json()
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert describe_feeding(tmp_path / "m.onnx") == (fed,)
    (spread,) = describe_feeding(tmp_path / "m.onnx", sampling="spread")
    assert spread == dataclasses.replace(fed, sampling="spread", fps=None)
    assert describe_feeding(tmp_path / "m.onnx", {fed.name: {"fps": 15}})[0].fps == 15
