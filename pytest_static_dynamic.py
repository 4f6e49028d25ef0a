"""The pytest plugin: runs that are measured once a session, and a baseline to compare them with.

It is a module beside the package, since pytest imports it at the start of every session of an environment: nothing of
the package is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sdmetrics.analysis.results import Results

CACHE = "static-dynamic-metrics"
"""The folder of the runs in pytest's cache."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--bias-baseline`."""
    parser.getgroup("static-dynamic-metrics").addoption(
        "--bias-baseline",
        metavar="RUN",
        help="Folder of the run that the fixture bias_baseline returns, e.g. that of the main branch. Default: tests "
        "that use it are skipped.",
    )


@pytest.fixture(scope="session")
def static_dynamic_run(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Results]:
    """Return a function that analyzes a model: `static_dynamic_run(model, clips, **options)`.

    It takes the arguments of `sdmetrics.analyze` and returns its `Results`. A session measures a run once. Runs are
    kept in pytest's cache, and a later session measures only if the model, the clips or the settings have changed.
    """
    from sdmetrics.testing.run_cache import RunCache

    cache = getattr(pytestconfig, "cache", None)  # there is none with -p no:cacheprovider
    runs = RunCache(tmp_path_factory.mktemp(CACHE) if cache is None else cache.mkdir(CACHE))

    def analyzed(model: Any, clips: Any, **options: Any) -> Results:  # noqa: ANN401  see RunCache
        __tracebackhide__ = True
        with _one_line_errors():
            return runs(model, clips, **options)

    return analyzed


@pytest.fixture(scope="session")
def bias_baseline(pytestconfig: pytest.Config) -> Results:
    """Return the results of the run of `--bias-baseline`; skip the test without it."""
    folder = pytestconfig.getoption("--bias-baseline")
    if folder is None:
        pytest.skip("there is no baseline; pass --bias-baseline RUN")
    from sdmetrics.analysis.results import Results

    with _one_line_errors():
        return Results.load(Path(folder))


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Let what a user can fix fail the test with its one line, without a traceback through the package."""
    from sdmetrics.errors import InputError, MissingExtra

    try:
        yield
    except (InputError, MissingExtra) as error:
        raise pytest.fail.Exception(f"{type(error).__name__}: {error}", pytrace=False) from None
