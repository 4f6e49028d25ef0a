"""Files of class names in every published form, whole and with mistakes."""

import json
import os

import pytest

from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.class_files import read_classes


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
        ("a.json", json.dumps({str(index): name for index, name in enumerate(NAMES)})),
        ("config.json", json.dumps({"model_type": "vivit", "id2label": dict(enumerate(NAMES))})),
        ("config.json", json.dumps({"label2id": {name: index for index, name in enumerate(NAMES)}})),
        ("a.csv", "id,name\n" + "".join(f'{index},"{name}"\n' for index, name in enumerate(NAMES))),
        ("a.csv", "name,id,note\n" + "".join(f"{name}, {index},x\n" for index, name in enumerate(NAMES))),
        ("a.txt", "".join(f"{index} {name}\n" for index, name in enumerate(NAMES))),
        ("a.txt", "".join(f"{index}\t{name}\n" for index, name in reversed(list(enumerate(NAMES))))),
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
        ("a.json", '{"run": 1, "jump": 1}', ["2 names", "none has the index 2", "from 1 to 2"]),
        ("a.json", '{"run": 5, "jump": 6}', ["none has the index 1"]),
        ("a.json", '{"run": -1, "jump": 0}', ["'run' to -1", "at least 0"]),
        ("a.json", '{"run": "-1"}', ["'-1'"]),
        ("a.json", '{"run": 0.0}', ["0.0"]),
        ("a.json", '{"run": true}', ["True"]),
        ("a.json", '{"0": "run", "x": "jump"}', ["'0' to 'run'"]),
        ("a.json", '{"0": "run", "0": "jump"}', ["2 names", "none has the index 1"]),
        ("a.json", '{"0": "run", "1": "run"}', ["'run' twice"]),
        ("a.json", f'{{"{"9" * 5000}": "run"}}', ["'run'", "999", "expected a whole number"]),
        ("a.json", f'{{"run": "{"9" * 5000}"}}', ["'run'", "999", "expected a whole number"]),
        ("a.json", f'{{"run": {"9" * 5000}}}', ["JSON"]),
        ("a.json", '{"id2label": {"0": ["run"]}}', ["0"]),
        ("a.json", '{"label2id": 3}', ["are 3"]),
        ("a.txt", "1 run\n3 jump\n", ["2 names", "none has the index 2"]),
        ("a.txt", "2 run\n2 jump\n", ["2 names", "none has the index 1"]),
        ("a.txt", f"{'1' * 5000} run\n{'1' * 5000} run\n", ["twice"]),
        ("a.csv", 'id,name\n0,"run\n1,jump\n', ["CSV"]),
        ("a.csv", "id,name\n0,run\n0,jump\n", ["none has the index 1"]),
        ("a.csv", "id,name\n0\n", ["class 0 None"]),
        ("a.json", '{"run": {"id": 0}}', ["'run' to [('id', 0)]"]),
        ("a.json", "7", ["are 7", "a list of names"]),
        ("a.json", "null", ["are None"]),
        ("a.json", "{run", ["JSON"]),
        ("a.json", "[" * 100_000, ["nests too deeply"]),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classInd.txt", "1 abseiling\r\n2 sitting down\r\n3 naïve walking\r\n"),
        ("a.json", json.dumps({str(number): name for number, name in enumerate(NAMES, 1)})),
    ],
)
def test_numbers_from_one_belong_to_the_outputs_from_zero_and_it_is_said(tmp_path, name, text):
    with pytest.warns(Note, match="numbers its classes from 1; output 0 is 'abseiling'"):
        classes = read_classes(written(tmp_path, text, name))
    assert classes == {name: index for index, name in enumerate(NAMES)}
    assert classes.first == 1


def test_special_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    for path in (tmp_path / "fifo.json", "/dev/zero"):
        with pytest.raises(InputError, match="not a file, and was not opened"):
            read_classes(path)


def test_published_files(shared):
    lists = shared / "real" / "annotations"
    if not lists.is_dir():
        pytest.skip("no folder real/annotations in shared/: published lists are not part of the checkout")
    with pytest.warns(Note, match="output 0 is 'ApplyEyeMakeup'"):
        ucf = read_classes(lists / "ucf101-classInd.txt")
    assert (len(ucf), ucf["ApplyEyeMakeup"], ucf["YoYo"], ucf.first) == (101, 0, 100, 1)
    something = read_classes(lists / "something-else-oneobject-labels.json")
    assert something["Attaching something to something"] == 1


def test_the_field_of_transformers_tells_names_from_numbers(tmp_path):
    names = {"0": "1", "1": "2 walk", "2": "3"}
    path = written(tmp_path, json.dumps({"id2label": names}), "config.json")
    assert read_classes(path) == {"1": 0, "2 walk": 1, "3": 2}
