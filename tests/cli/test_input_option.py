"""`--input`: the settings of one model input, and the errors that name what is wrong with them."""

import pytest

from sdmetrics.cli.input_option import parse_inputs
from sdmetrics.errors import InputError


def test_fields_of_every_input():
    texts = ["image layout=NCHW frames=1", "flow source=flow_vectors size=48,64 mean=0,0.5,1"]
    assert parse_inputs(texts) == {
        "image": {"layout": "NCHW", "frames": 1},
        "flow": {"source": "flow_vectors", "size": (48, 64), "mean": (0.0, 0.5, 1.0)},
    }


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([""], "has no settings; expected a name and FIELD=VALUE pairs, e.g. --input 'flow source=flow"),
        (["flow"], "has no settings"),
        (["source=flow frames=1"], "has no settings"),
        (["flow frames=1", "flow stride=2"], "describes 'flow' twice; put all of its settings in one --input"),
        (["flow colour=blue"], "contains 'colour=blue'; allowed: source, layout, frames, stride, size, mean, std"),
        (["flow frames"], "contains 'frames'; allowed: source"),
        (["flow frames=two"], "contains 'frames=two'; expected numbers, e.g."),
        (["flow size=48"], "contains 'size=48'; expected numbers"),
        (["flow source=depth"], "source is 'depth'; allowed: rgb, flow, flow_vectors"),
    ],
)
def test_bad_settings(texts, reason):
    with pytest.raises(InputError) as caught:
        parse_inputs(texts)
    assert reason in str(caught.value)
