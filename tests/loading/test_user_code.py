"""Models in the user's own code: found, run once, and every mistake in it told in one line with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sdmetrics.errors import InputError
from sdmetrics.loading.user_code import build_model, is_code, model_name, split_code
from tests.helpers.user_code import write_code


@pytest.mark.parametrize(
    ("text", "place", "function", "name"),
    [
        ("my_code.py:build", "my_code.py", "build", "my_code.build"),
        ("a b/my code.v2.py:make_it", "a b/my code.v2.py", "make_it", "my code.v2.make_it"),
        ("package.module:build", "package.module", "build", "package.module.build"),
        ("code:build", "code", "build", "code.build"),
        (r"C:\code\my_code.py:build", r"C:\code\my_code.py", "build", None),
        ("C:/code/my_code.py:build", "C:/code/my_code.py", "build", "my_code.build"),
    ],
)
def test_files_and_modules_are_told_from_their_functions(text, place, function, name):
    assert is_code(text)
    assert is_code(Path(text))
    assert split_code(text) == (place, function)
    assert name is None or model_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["model.onnx", "a/b.onnx", r"C:\models\model.onnx", "C:/model.onnx", "world:40", "model", "a:b.onnx", "x/y:z"],
)
def test_other_models_are_no_code(text):
    assert not is_code(text)


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model:final").touch()
    assert not is_code("model:final")
    assert is_code("model:first")


@pytest.mark.parametrize("text", ["my_code.py", "my_code.py:", "my_code.py:build()", "my_code.py:Net.build"])
def test_a_function_is_named(text):
    assert is_code(text)
    with pytest.raises(InputError, match=r"names no function; pass the one .*, e\.g\. my_code\.py:build"):
        build_model(text)


def test_a_file_imports_from_its_own_folder_first_and_then_last(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path, arguments = [*sys.path], [*sys.argv]
    code = write_code(tmp_path / "mine", width=5)
    module, (video,), layers = build_model(f"{code}:build")
    assert module.stem.out_channels == 5
    assert (video.frames, layers) == (4, ["stem", "tokens"])
    assert sys.path[-1] == str(tmp_path / "mine")
    assert (sys.path[:-1], sys.argv) == ([place for place in path if place in sys.path[:-1]], arguments)
    assert not (tmp_path / "mine" / "__pycache__" / "my_code.pyc").exists()


def test_each_folder_has_its_own_files_of_the_same_names(tmp_path):
    first, second = (write_code(tmp_path / str(width), width=width) for width in (5, 7))
    widths = [build_model(f"{code}:build").module.stem.out_channels for code in (first, second, first)]
    assert widths == [5, 7, 5]


def test_a_file_is_read_as_it_is_now(tmp_path):
    code = write_code(tmp_path, seed=1)
    before = build_model(f"{code}:build").module.stem.weight
    # As long as before, and within the same second: bytecode would be taken for current.
    write_code(tmp_path, seed=2)
    after = build_model(f"{code}:build").module.stem.weight
    assert (before != after).any()


def test_modules_are_found_in_the_current_folder(tmp_path, monkeypatch):
    package = tmp_path / "my_package_of_models"
    write_code(package / "inner", "nets.py", width=3)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").touch()
    text = (package / "inner" / "nets.py").read_text()
    (package / "inner" / "nets.py").write_text(text.replace("from sizes", "from .sizes"))
    monkeypatch.chdir(tmp_path)
    assert build_model("my_package_of_models.inner.nets:build").module.stem.out_channels == 3
    with pytest.raises(InputError, match=r"nets\.py:6 fails .* attempted relative .*, so pass package\.module"):
        build_model(f"{package / 'inner' / 'nets.py'}:build")


def test_arguments_of_the_command_are_not_those_of_the_code(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sdmetrics", "analyze", "--provider", "cpu"])
    text = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--depth', default=3)\n"
    (tmp_path / "train.py").write_text(f"{text}depth = parser.parse_args().depth\ndef build(): return depth, {{}}, []")
    with pytest.raises(InputError, match=r"build of .*train\.py returns \{\} as the inputs"):
        build_model(f"{tmp_path / 'train.py'}:build")
    assert sys.argv[1] == "analyze"


def test_the_current_folder_is_what_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moves.py").write_text(
        "import os, sdmetrics as sd\ndef build():\n    os.chdir('elsewhere')\n    return 1, sd.ModelInput('v'), ['a']\n"
    )
    build_model("moves.py:build")
    assert Path.cwd() == tmp_path


def test_the_layers_of_a_set_have_one_order(tmp_path):
    (tmp_path / "code.py").write_text(
        "import sdmetrics as sd\ndef build(): return 1, sd.ModelInput('v'), {'d', 'b', 'a', 'c'}\n"
    )
    assert build_model(f"{tmp_path / 'code.py'}:build").layers == ["a", "b", "c", "d"]


def test_a_guard_for_programs_holds_and_classes_are_found_by_their_module(tmp_path):
    (tmp_path / "odd-name.v1.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, pickle, torch, sdmetrics as sd\n"
        "@dataclasses.dataclass\n"
        "class Settings:\n"
        "    width: int = 2\n"
        "def build():\n"
        "    width = pickle.loads(pickle.dumps(Settings(4))).width\n"
        "    return torch.nn.Conv3d(3, width, 1), [sd.ModelInput('video')], 'stages'\n"
        "if __name__ == '__main__':\n"
        "    raise RuntimeError\n"
    )
    built = build_model(f"{tmp_path / 'odd-name.v1.py'}:build")
    assert built.module.out_channels == 4
    assert built.layers == "stages"


FAILS = {
    "raises": (
        "def build():\n    x = {}\n    return x['weights']\n",
        r"code\.py:3 fails in build: KeyError: 'weights'\. For",
    ),
    "raises deeper": (
        "import json\ndef build():\n    json.loads('{')\n",
        r"code\.py:3 fails in build: JSONDecodeError: Expecting property name",
    ),
    "import": (
        "\nimport nowhere_to_be_found\n",
        r"code\.py:2 fails while it is imported: ModuleNotFoundError: No module",
    ),
    "syntax": ("def build(:\n", r"code\.py:1 fails while it is imported: SyntaxError: invalid syntax"),
    "syntax of a neighbour": ("import wrong_neighbour\n", r"wrong_neighbour\.py:2 fails while .*: SyntaxError"),
    "bytes": ("x = '\0'", r"code\.py.* fails while it is imported: (SyntaxError|ValueError): source code .*null bytes"),
    "exits": ("def build():\n    raise SystemExit('no weights')", r"code\.py:2 fails in build: SystemExit: no weights"),
    "its own input": (
        "import sdmetrics as sd\ndef build():\n    return sd.ModelInput('v', layout='X')\n",
        r"code\.py:3 fails in build: InputError: input 'v' has the layout 'X'",
    ),
    "arguments": ("def build(weights): ...", r"code\.py fails in build: TypeError: build\(\) missing 1 required"),
    "control": (
        "def build():\n    raise ValueError('\\x1b[31mred\\x07')",
        r"code\.py:2 fails in build: ValueError: red\\x07\. For",
    ),
    "none": ("def biuld(): ...", r"code\.py has no function 'build'\. The nearest names: biuld"),
    "empty": ("", r"code\.py has no function 'build'\. The names: none"),
    "not callable": ("build = 3", r"code\.py has no function 'build'"),
    "returns nothing": (
        "def build(): ...",
        r"build of .*code\.py returns a NoneType; expected \(module, inputs, layers\): a",
    ),
    "returns two": ("def build(): return 1, 2", r"returns a tuple of 2; expected"),
    "returns other inputs": ("def build(): return 1, ['video'], []", r"returns \['video'\] as the inputs; expected"),
    "returns other axes": (
        "import sdmetrics as sd\ndef build(): return 1, sd.ModelInput('v'), {'stem': 'C'}",
        r"build of .*code\.py returns the axis 'C' for layer 'stem'; expected a whole number, e\.g\. 1, or None",
    ),
    "returns no inputs": ("def build(): return 1, [], []", r"returns \[\] as the inputs; expected"),
}


@pytest.mark.parametrize("case", FAILS)
def test_mistakes_are_one_line_with_their_place(case, tmp_path):
    text, words = FAILS[case]
    (tmp_path / "wrong_neighbour.py").write_text("\nx = = 1\n")
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(InputError, match=words) as told:
        build_model(f"{tmp_path / 'code.py'}:build")
    assert str(told.value).isprintable()
    assert str(tmp_path) not in sys.path


def test_what_is_not_there_is_not_what_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"^none\.py does not exist; expected FILE\.py:FUNCTION or package\.module:FUN"
    ):
        build_model("none.py:build")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InputError, match=r"folder\.py is a folder, not a file"):
        build_model("folder.py:build")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "__init__.py").touch()
    (tmp_path / "half" / "broken.py").write_text("import nowhere_to_be_found")
    for name in ("no_such_module", "half.no_such_part", "half.broken.no_such_part"):
        (tmp_path / "half" / "broken.py").write_text("")
        with pytest.raises(InputError, match=rf"there is no module '{name}' in {tmp_path} or among the installed"):
            build_model(f"{name}:build")
    (tmp_path / "half" / "fails.py").write_text("\nimport nowhere_to_be_found")
    with pytest.raises(InputError, match=r"half/fails\.py:2 fails while it is imported: ModuleNotFoundError"):
        build_model("half.fails:build")


@pytest.mark.parametrize("text", ["a" * 5000 + ":build", "a" * 5000 + ".py:build", "a\0.py:build", "a.b\x1b.py:build"])
def test_names_that_no_file_has_are_one_line(text):
    assert is_code(text)
    with pytest.raises(InputError, match=r"does not exist|there is no module") as told:
        build_model(text)
    assert str(told.value).isprintable()


def test_the_cause_is_kept_for_python(tmp_path):
    (tmp_path / "code.py").write_text("def build():\n    1 / 0\n")
    with pytest.raises(InputError) as told:
        build_model(f"{tmp_path / 'code.py'}:build")
    assert isinstance(told.value.__cause__, ZeroDivisionError)


def test_nothing_is_imported_to_look_at_a_name():
    names = "import sys; from sdmetrics.loading.user_code import is_code; assert is_code('antigravity:fly')"
    done = subprocess.run([sys.executable, "-c", f"{names}; assert 'antigravity' not in sys.modules"], check=False)
    assert done.returncode == 0
