"""The frame of every page: one file that works offline and runs only its own scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sdmetrics._text import printable, printable_values
from sdmetrics.analysis import facts
from sdmetrics.errors import require
from sdmetrics.report import words
from sdmetrics.report.renderer import vega_scripts

if TYPE_CHECKING:
    import altair as alt


def render_page(template: str, script: str, data: Mapping[str, Any], **context: object) -> str:
    """Return a page's HTML: a template with the shared style, Vega and the script that draws the page's charts.

    Texts are escaped, and their control characters are written as escapes, in the page and in the data of its script.
    The templates (in `templates/`) can use `style`, `scripts`, the filter `script_hash`, and the modules `words` and
    `facts`.
    """
    jinja2 = require("jinja2", extra="report")
    require("altair", extra="report")
    from sdmetrics.report import charts

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sdmetrics.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters["script_hash"] = _script_hash
    environment.globals |= {"words": words, "facts": facts}
    folder = files("sdmetrics.report") / "templates"
    scripts: Sequence[str] = [vega_scripts(), (folder / script).read_text(encoding="utf-8")]
    html: str = environment.get_template(template).render(
        colours=charts.COLOURS,
        style=(folder / "page.css").read_text(encoding="utf-8"),
        scripts=scripts,
        data=printable_values(data),
        **context,
    )
    return html


def spec(chart: alt.LayerChart | alt.Chart) -> dict[str, Any]:
    """Return a chart's specification for the browser, without the address of its schema, which is useless offline."""
    return {key: value for key, value in chart.to_dict().items() if key != "$schema"}


def _plain(value: object) -> object:
    """Return what a template prints: text without control characters, and HTML that is known to be safe as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _script_hash(script: str) -> str:
    """Return the hash by which the page's Content-Security-Policy allows a script; no other script can run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
