"""Build the documentation site with Sphinx: `make docs`.

The sources are the pages of this repository where they are, so that their links lead somewhere here, too: the pages of
`docs/`, the tutorials, and a few of the files at the top. No page loads anything from a network.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbclient
from jupyter_cache.executors import utils as execution
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.ext import autosummary

from sdmetrics._version import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "site"))

# Kernels warn about a debugger that nobody uses, and about connections that stay on this machine.
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
profiles = tempfile.TemporaryDirectory()
os.environ["IPYTHONDIR"] = profiles.name
Path(profiles.name, "profile_default").mkdir()
Path(profiles.name, "profile_default", "ipython_kernel_config.py").write_text(
    "get_config().Application.log_level = 40\n"
)

project = "sdmetrics"
author = "The sdmetrics developers"
copyright = author
version = release = __version__
language = "en"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb", "mathml"]

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "benchmarks/studies/RESULTS.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "demo", "dist", "runs", "sdmetrics", "exporters", "runners", "tests", "docs/site"]
templates_path = [str(HERE / "site" / "templates")]
smartquotes = False  # of `--option` it would make a dash

html_theme = "furo"
html_title = f"sdmetrics {__version__}"
html_static_path = ["site/static", str(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf")]
html_css_files = ["site.css"]
html_extra_path = ["site/top"]
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"

autosummary_generate = True
autosummary_filename_map = {  # beside `Scene`, where file names have no case
    "sdmetrics.clips.generated.world.scene": "sdmetrics.clips.generated.world.function-scene"
}
# Full stops that do not end a summary.
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Sec.", "Eq.", "Eqs.")
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
numpydoc_show_class_members = False
default_role = "py:obj"  # `names` in docstrings
suppress_warnings = ["ref.python"]  # a short name of several classes, as `ModelInput`: the first is that of sdmetrics

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# The tutorials are executed at every build, and what they write is left in a temporary folder.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 900  # for a cell, also where other programs run
nb_execution_raise_on_error = True
# What a command prints arrives in pieces. `nb_merge_streams` would begin a line with each.
execution.executenb = partial(nbclient.execute, coalesce_streams=True)
nb_output_stderr = "remove"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

APPENDED_TO = "## Pages\n"
"""Heading of the list of pages in the overview, which the navigation replaces."""


def appended(_: Sphinx, name: str, content: list[str]) -> None:
    """Add the navigation to the overview, and the commands to the page that lists them."""
    if name == root_doc:
        content[0] = content[0].partition(APPENDED_TO)[0] + (HERE / "site" / "navigation.md").read_text("utf-8")
    elif name == "docs/reference/commands":
        from commands import commands

        content[0] += commands()


def kept_literal(*arguments: Any) -> None:  # noqa: ANN401 (what Sphinx passes)
    """Keep `layer/<name>` of a docstring as it is, where a role would read a title and its target."""
    lines = arguments[-1]
    lines[:] = [re.sub(r"(?<![`:])`([^`]*<[^`]*)`(?!`)", r"``\1``", line) for line in lines]


def print_times(app: Sphinx, error: Exception | None) -> None:
    """Print how long each tutorial ran."""
    for name in sorted(app.env.found_docs) if error is None else ():
        ran = NbMetadataCollector.get_exec_data(app.env, name)
        if ran and ran["runtime"] is not None:
            print(f"{name}: executed in {ran['runtime']:.0f} s")


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.add_config_value("offline", True, "env")  # `-D offline=1` changes nothing: no page loads anything
    app.connect("source-read", appended)
    app.connect("autodoc-process-docstring", kept_literal)
    app.connect("build-finished", print_times)
