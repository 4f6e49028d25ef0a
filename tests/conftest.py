"""Fixtures and options that all tests share, and the list of what was skipped."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.helpers.made import FOLDER
from tests.helpers.skips import skips_by_reason

# No test depends on time; what must pass before a change is merged sees the same examples every time.
settings.register_profile("everywhere", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("everywhere")

# A process that runs a part of the tests is told the width of a terminal, which would wrap what commands print.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

# Tests send nothing. ONNX Runtime reads this when it is loaded, and else reports to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Of processes that run the tests side by side each keeps to one core: the threads of a library that have no core of
# their own spend it on waiting for each other.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    _cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_cores[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(_cores)]})

LONGEST = ("test_docs.py", "test_catalogue.py", "test_plain_onnx.py", "test_published.py", "test_studies.py")
"""Files of tests that would be left running alone if they began late."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values and real videos beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED.name}/ beside the checkout: golden values and real videos are not part of it")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def torchlib_is_read_once() -> Iterator[None]:
    """Let all exports of a process share what torch's exporter reads of its operators."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            from tests.helpers.torchlib import from_torchlib
        except ImportError:  # another torch keeps them elsewhere
            pass
        else:
            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(from_torchlib))
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; return its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        from sdmetrics.__main__ import main

        monkeypatch.setattr(sys, "argv", ["sdmetrics", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code: object = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
        printed = capsys.readouterr()
        return int(code or 0), printed.out, printed.err

    return run


def pytest_configure(config: pytest.Config) -> None:
    """Give all processes that run the tests one folder for what they make once."""
    if FOLDER not in os.environ:
        folder = TemporaryDirectory(prefix="sdmetrics-tests-")
        os.environ[FOLDER] = folder.name
        config.add_cleanup(lambda: os.environ.pop(FOLDER))
        config.add_cleanup(folder.cleanup)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all`, which also runs the tests marked `all`: `make test-all`."""
    parser.addoption("--all", action="store_true", help="also run the tests marked `all`, which are slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests marked `all` unless `--all` is passed, and begin with the files that take longest."""
    if not config.getoption("--all"):
        left_out = [item for item in items if item.get_closest_marker("all")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("all")]
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Let no garbage collection look through all tests and imported modules again."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the reasons of all skips, with the number of tests each, whatever the verbosity."""
    lines = skips_by_reason(terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("skipped")
        for line in lines:
            terminalreporter.line(line)
