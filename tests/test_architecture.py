"""The floors of the house: imports go down, never up, never in a circle; and nothing outgrows its room."""

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"sdmetrics": "sdmetrics", "exporters": "sdmetrics.exporters", "runners": "sdmetrics.runners"}

# From the ground up. A room imports from itself and from lower floors only, lazily or for types, too.
FLOORS = (
    "errors  _interrupts  _shown  _temporary  _version  _text  exporters.anywhere",
    "_files  _progress  _reading  _tables",
    "metrics  clips.media  loggers",
    "probes  clips.fit  clips.iso_boxes",
    "clips.clip  clips.request  clips.same_content  clips.sampling  clips.stamps  clips.truncation  "
    "clips.upright  runners  torch.classifiers  torch.segmenters",
    "clips.decode  clips.views  clips.prefetch  exporters._graph  exporters._flax  exporters.architectures",
    "clips.flow  exporters._assembly  exporters._weights",
    "clips.videos  clips.styles  clips.generated  exporters._tensorflow  exporters._torch",
    "clips.segmentation  exporters.torch  exporters.tensorflow  exporters.jax  exporters.layers  exporters.probe",
    "clips.render  clips.open  exporters.saved_models  exporters.catalogue",
    "clips.manipulations",
    "analysis",
    "evaluation",
    "ablation  comparison  inspection",
    "report  torch.training  torch.styling",
    "gate  loading  torch.integrations",
    "run",
    "demo  inspect_run  testing",
    "cli",
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor.split()}
# They hand on names of rooms and define nothing.
FACES = ("sdmetrics", "sdmetrics.clips", "sdmetrics.testing", "sdmetrics.torch")
FILES_PER_FOLDER = 20
LINES_PER_FILE = 350
# Copied as one file into environments without this package.
SELF_CONTAINED = {"sdmetrics.exporters.anywhere": 600}


def module_name(path: Path) -> str:
    top, *inner = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES.get(top, top), *(part for part in inner if part != "__init__")])


def python_files(*folders: str) -> dict[str, Path]:
    return {module_name(path): path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))}


SOURCES = python_files(*PACKAGES)
ALL = SOURCES | python_files("tests", "benchmarks")


def imported(path: Path) -> set[str]:
    """Return the modules of this repository that a file names in an import, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & ALL.keys() or {str(node.module)}
    return {name for name in found if name in ALL}


def room_of(module: str) -> str:
    """Return the longest name of a room that a module lies in."""
    inside = module.removeprefix("sdmetrics.")
    parts = inside.split(".")
    return next((".".join(parts[:n]) for n in (2, 1) if ".".join(parts[:n]) in FLOOR), "")


@pytest.mark.parametrize("module", [name for name in SOURCES if name not in FACES])
def test_imports_go_down(module):
    if module in ("sdmetrics.__main__", "sdmetrics.exporters"):
        return
    room = room_of(module)
    assert room, f"{module} is in no room; name its floor in FLOORS"
    for target in imported(SOURCES[module]):
        below = room_of(target)
        assert below == room or (below and FLOOR[below] < FLOOR[room]), f"{module} imports {target}: not further down"


def test_no_circles():
    TopologicalSorter({name: imported(path) for name, path in ALL.items()}).prepare()


def test_benchmarks_never_import_tests():
    for name, path in python_files("benchmarks").items():
        assert not [target for target in imported(path) if target.startswith("tests")], name


def test_the_wheel_holds_every_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(packages)
    for path in SOURCES.values():
        assert (path.parent / "__init__.py").exists(), f"{path.parent} is no package"


def test_no_folder_and_no_file_is_too_large():
    for name, path in ALL.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= SELF_CONTAINED.get(name, LINES_PER_FILE), f"{path} has {lines} lines"
    folders: dict[Path, int] = {}
    for path in (SOURCES | python_files("benchmarks")).values():
        folders[path.parent] = folders.get(path.parent, 0) + (path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > FILES_PER_FOLDER} == {}


def test_rooms_say_what_they_are_and_nothing_else():
    """A name handed on by a room would hide the module of that name, as `analysis` and `analyze` would."""
    for name, path in SOURCES.items():
        if path.name == "__init__.py" and name not in (*FACES, "sdmetrics.report", "sdmetrics.cli"):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert len(body) == 1, f"{path} holds more than a docstring"
            assert isinstance(body[0], ast.Expr)
