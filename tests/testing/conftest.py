"""What the tests of assertions and of the plugin share."""

import pytest

from sdmetrics.demo import run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The runs of the demo on few clips.

    A session of pytest within a test forgets the modules that it has loaded, and compiled ones cannot be loaded twice:
    this loads them before.
    """
    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder, clips=60)
    return folder
