"""Labels become indices of the model's outputs, or an error that says what is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips import Clip
from sdmetrics.errors import InputError
from sdmetrics.evaluation.labels import class_indices, read_classes


def clip(label, name="wave"):
    return Clip(name, lambda: np.zeros((8, 8, 8, 3), np.uint8), label=label)


def written(tmp_path, text, name="classes.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


NAMES = ["abseiling", "sitting down", "naïve walking"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "\n".join(NAMES)),
        ("a.txt", "\ufeff" + "\r\n".join(NAMES) + "\r\n\n"),
        ("a.names", "  \n".join(NAMES)),
        ("a.json", json.dumps(NAMES)),
        ("a.json", json.dumps({name: index for index, name in reversed(list(enumerate(NAMES)))})),
        ("a.json", json.dumps({name: str(index) for index, name in enumerate(NAMES)})),
        ("a.JSON", json.dumps({f'"{name}"': index for index, name in enumerate(NAMES)})),
    ],
)
def test_every_kind_of_file_gives_the_same_classes(tmp_path, name, text):
    assert read_classes(written(tmp_path, text, name)) == {name: index for index, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "", ["are empty", "one name per line"]),
        ("a.txt", " \n\n", ["are empty"]),
        ("a.txt", "run\n\njump", ["class 1 ''", "in their order"]),
        ("a.txt", "run\njump\nrun\n", ["'run' twice"]),
        ("a.json", "[]", ["are empty"]),
        ("a.json", "{}", ["are empty"]),
        ("a.json", '["run", 3]', ["class 1 3"]),
        ("a.json", '[["Back", "15som"]]', ["class 0 ['Back', '15som']"]),
        ("a.json", '{"run": 0, "run": 1}', ["'run' twice"]),
        ("a.json", '{"run": 0, "jump": 2}', ["2 names", "none has the index 1", "0 to 1"]),
        ("a.json", '{"run": 1, "jump": 1}', ["none has the index 0"]),
        ("a.json", '{"run": -1, "jump": 0}', ["'run' to -1", "at least 0"]),
        ("a.json", '{"run": "-1"}', ["'-1'"]),
        ("a.json", '{"run": 0.0}', ["0.0"]),
        ("a.json", '{"run": true}', ["True"]),
        ("a.json", '{"0": "run"}', ["'0' to 'run'"]),
        ("a.json", '{"run": {"id": 0}}', ["'run' to [('id', 0)]"]),
        ("a.json", "7", ["are 7", "a list of names"]),
        ("a.json", "null", ["are None"]),
        ("a.json", "{run", ["cannot be read"]),
        ("a.json", "[" * 100_000, ["cannot be read"]),
    ],
)
def test_what_is_not_a_list_of_classes_is_an_error_of_one_line(tmp_path, name, text, words):
    path = written(tmp_path, text, name)
    with pytest.raises(InputError) as raised:
        read_classes(path)
    message = str(raised.value)
    assert "\n" not in message
    for word in [str(path), *words]:
        assert word in message


def test_a_file_that_is_missing_or_not_text_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"gone\.txt cannot be read"):
        read_classes(tmp_path / "gone.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_classes(tmp_path / "bytes.txt")


@given(st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), min_size=1, unique=True), st.data())
def test_a_label_is_the_index_of_its_name(names, data):
    classes = {name: index for index, name in enumerate(names)}
    labels = data.draw(st.lists(st.sampled_from(names)))
    found = class_indices([clip(label, f"clip {k}") for k, label in enumerate(labels)], classes)
    assert found.dtype == np.int64
    assert [names[index] for index in found] == labels


def test_a_label_of_several_parts_counts_by_the_one_that_is_a_class():
    labels = [clip("right/stripes"), clip("left/dots")]
    assert class_indices(labels, {"left": 0, "right": 1}).tolist() == [1, 0]
    assert class_indices(labels, {"stripes": 0, "plain": 1, "dots": 2}).tolist() == [0, 2]
    # A name that has the sign itself is taken whole.
    assert class_indices([clip("on/off")], {"on": 0, "on/off": 1}).tolist() == [1]
    with pytest.raises(InputError, match=r"in which 'right' and 'stripes' are classes; expected exactly one"):
        class_indices([clip("right/stripes")], {"right": 0, "stripes": 1})


def test_without_classes_labels_are_numbers():
    assert class_indices([clip("0"), clip("47")]).tolist() == [0, 47]
    for label in ("run", "-1", "1.5", ""):
        with pytest.raises(InputError, match=r"'wave' has the label .*only numbers are allowed"):
            class_indices([clip("3"), clip(label)])


def test_a_clip_without_a_label_or_of_no_class_is_named_with_what_is_allowed():
    with pytest.raises(InputError, match=r"'wave' has no label; use a CSV file"):
        class_indices([clip(None)], {"run": 0})
    many = {name: index for index, name in enumerate("abcdefgh")}
    with pytest.raises(InputError, match=r"'wave' has the label 'run', .* 8 classes: 'a', 'b', 'c', 'd', 'e', …\."):
        class_indices([clip("run")], many)
    with pytest.raises(InputError, match=r"not one of the 1 classes: 'jump'\."):
        class_indices([clip("run")], {"jump": 0})
    assert class_indices([], {"jump": 0}).shape == (0,)
