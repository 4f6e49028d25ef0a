"""The page and the figures, read as files; `test_report_browser.py` opens the page."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from sdmetrics.analysis import facts
from sdmetrics.analysis.results import Results
from sdmetrics.errors import InputError
from sdmetrics.report import charts, words, write_figures, write_report
from tests.helpers import runs

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7 * 7 }}"


class Page(HTMLParser):
    """What a browser would make of the page: its tags, its scripts and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open.append("/" + tag)

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside != "style":
            self.text += data

    def data(self) -> dict:
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "new folder" / "report.html"
    motion = runs.run(dead=3, skipped=[("talk.mp4", "no video stream")])
    assert write_report({"motion": motion, "appearance": runs.run(runs.APPEARANCE)}, path) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    run = runs.run({HOSTILE: (0.4, 0.6)}, name=HOSTILE, units=3, skipped=[(HOSTILE, HOSTILE)])
    run.settings[HOSTILE] = HOSTILE
    return Page(write_report([run], tmp_path_factory.mktemp("report") / "report.html"))


def test_the_answer_stands_in_the_headline_and_in_words(two: Page) -> None:
    assert "motion leans dynamic; appearance leans static" in two.text
    stage4 = runs.run(dead=3).layer("stage4")
    shares = {name: words.share(count, 64) for name, count in stage4["counts"].items()}
    answer = (
        f"stage4 – the deepest layer – has {shares['dynamic']} dynamic units, {shares['static']} static, "
        f"{shares['joint']} joint and {shares['residual']} residual (dead: {shares['dead']})."
    )
    assert " ".join(answer.split()) in two.text
    bounds = words.interval_text(words.interval(stage4, "percent", "dynamic"), 1)
    assert f"{stage4['percent']['dynamic']:.1f} % 95 % interval {bounds}" in two.text.replace("\u202f", " ")


def test_every_layer_stands_in_the_table_with_its_numbers(two: Page) -> None:
    for layer in runs.run(dead=3).layers:
        counts = " ".join(str(layer["counts"][c]) for c in ("dynamic", "static", "joint", "residual", "dead"))
        cells = [
            f"{words.number(layer[quantity][f], digits)} "
            f"{words.interval_text(words.interval(layer, quantity, f), digits)}"
            for quantity, factors, digits in (
                ("scores", ("dynamic", "static"), 2),
                ("percent", ("dynamic", "static", "identical"), 1),
            )
            for f in factors
        ]
        row = f"{layer['name']}64300{''.join(cells)}{counts}"
        assert row.replace(" ", "") in two.text.replace(" ", "")


def test_skipped_clips_and_settings_are_listed(two: Page) -> None:
    assert "300 clips used, 1 skipped" in two.text
    assert "no video stream" in two.text
    for term, fact in facts.facts(runs.run(dead=3)):
        if term != "clips skipped":
            assert term in two.text
            assert fact in two.text


def test_nothing_is_loaded_from_anywhere(two: Page) -> None:
    links = [value for _, attrs in two.tags for key in ("src", "href", "action") if (value := attrs.get(key))]
    assert links
    assert all(link == "data:," or link.startswith("#") for link in links)
    style = (Path(words.__file__).parent / "templates" / "page.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in two.scripts[0]
    namespaces = {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/xmlns/",
    }
    # Besides namespaces the bundle names an editor, a schema and a bug report; the policy bars them all.
    others = set(re.findall(r"https?://[^\"'`\s)]+", two.scripts[1])) - namespaces
    assert all("vega.github.io" in url or "github.com/vega" in url for url in others)


def test_the_policy_lets_only_the_pages_own_scripts_run(hostile: Page) -> None:
    (policy,) = [a["content"] for t, a in hostile.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in hostile.scripts[1:]]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]


def test_names_that_are_code_are_shown_and_never_run(hostile: Page) -> None:
    tags = [tag for tag, _ in hostile.tags]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert not any(key.startswith("on") for _, attrs in hostile.tags for key in attrs)
    assert hostile.text.count(HOSTILE) >= 6
    assert hostile.data()["runs"][0]["layers"][0]["name"] == HOSTILE


def test_the_page_has_a_language_a_title_and_named_controls(two: Page) -> None:
    attrs = dict(two.tags)
    assert attrs["html"]["lang"] == "en"
    assert "motion leans dynamic; appearance leans static – static and dynamic bias" in two.text
    headings = [int(tag[1]) for tag, _ in two.tags if re.fullmatch("h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert any(tag == "label" and a.get("for") == "threshold" for tag, a in two.tags)
    assert all(a.get("aria-label") for tag, a in two.tags if a.get("role") in ("img", "region"))


def test_the_browser_gets_every_score_to_the_last_bit(two: Page) -> None:
    run = runs.run(dead=3)
    for layer in two.data()["runs"][0]["layers"]:
        rows = [unit for unit in run.units if unit["layer"] == layer["name"]]
        for column in ("unit", "dynamic", "static"):
            assert layer[column] == [row[column] for row in rows]


def test_the_guide_states_what_equation_1_gives() -> None:
    def eq1(dynamic: float, static: float) -> list[str]:
        weights = [math.exp(dynamic), math.exp(static), math.e]
        return [f"{100 * w / sum(weights):.1f}" for w in weights[:2]]

    guide = (Path(words.__file__).parent / "templates" / "page.html").read_text()
    guide = " ".join(guide[guide.index('id="guide"') :].split())
    assert f"With both scores 0, dynamic and static each still get {eq1(0, 0)[0]} %" in guide
    assert f"with both 1, each gets {eq1(1, 1)[0]} %" in guide
    assert "shows {} % against {} %".format(*eq1(1, 0)) in guide
    assert f"no percent can leave the range {eq1(-1, 1)[0]}–{eq1(1, -1)[0]} %" in guide


@pytest.mark.parametrize(
    ("run", "note"),
    [
        (runs.run(pairs=1), "A score needs at least two pairs of each factor."),
        (runs.run(dead=64), "A layer whose units are all dead has no score."),
        (runs.run(intervals=False), "An interval needs clips in at least 5 of the 20 groups"),
    ],
)
def test_a_dash_says_why(run: words.Results, note: str, tmp_path: Path) -> None:
    (reason,) = words.footnotes(run)
    assert reason.startswith(note)
    assert f"–: undefined. {reason}" in Page(write_report([run], tmp_path / "report.html")).text


def test_no_note_without_a_dash(two: Page) -> None:
    assert words.footnotes(runs.run(dead=3)) == []
    assert "–: undefined" not in two.text


@pytest.mark.parametrize(
    ("dynamic", "static", "half", "leans"),
    [
        (30.0, 25.0, 1.0, "dynamic"),
        (25.0, 30.0, 1.0, "static"),
        (30.0, 28.0, 1.0, "neither"),  # the intervals touch
        (30.0, 29.0, None, "dynamic"),
        (30.0, 30.0, None, "neither"),
        (None, None, None, "undefined"),
    ],
)
def test_a_layer_leans_only_when_its_intervals_are_apart(
    dynamic: float | None, static: float | None, half: float | None, leans: str
) -> None:
    percent = {"dynamic": dynamic, "static": static}
    bounds = {f: [None, None] if half is None else [v - half, v + half] for f, v in percent.items() if v}
    assert words.lean({"percent": percent, "ci95": {"percent": bounds}}) == leans


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ((0.9, 0.1), "net leans dynamic"),
        ((0.95, 0.9), "net leans dynamic, with most units joint"),
        ((0.0, 0.25), "net leans static, with most units residual"),
        ((0.9, 0.9), "net leans neither way, with most units joint"),
    ],
)
def test_the_headline_tells_when_most_units_are_of_another_class(means: tuple[float, float], said: str) -> None:
    assert words.headline({"net": runs.run({"first": (0.1, 0.9), "last": means}, units=400)}) == said


def test_runs_made_differently_are_told() -> None:
    one, other = runs.run(), replace(runs.run(name="other"), threshold=0.6)
    assert facts.differences({"a": one, "b": other}) == ["threshold λ"]
    assert facts.differences({"a": one, "b": runs.run(runs.APPEARANCE, name="other")}) == []


def test_runs_take_their_models_names_and_stay_apart() -> None:
    names = words.named_runs([runs.run(), runs.run(), runs.run(name="x")])
    assert list(names) == ["motion", "motion (2)", "x"]


@pytest.mark.parametrize("write", [write_report, write_figures])
def test_what_cannot_be_reported_is_said_in_one_line(write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no runs"):
        write([], tmp_path / "out")
    with pytest.raises(InputError, match="run 'motion' has no layers"):
        write([replace(runs.run(), layers=[])], tmp_path / "out")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot write to the folder"):
        write([runs.run()], blocked / "out")


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    run = runs.run()
    run.units[0]["dynamic"] = math.nan
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report([run], path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_figures_are_drawn_as_png_and_svg(tmp_path: Path) -> None:
    layers = {"stem": (0.4, 0.7), "blocks.3.res_blocks.5.activation": (0.6, 0.5)}
    named = {"one": runs.run(layers, dead=2), HOSTILE: runs.run(layers, threshold=0.7, pairs=1)}
    written = write_figures(named, tmp_path / "figures")
    stems = ("layer-wise", "unit-wise", "unit-scatter")
    assert [path.name for path in written] == [f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")]
    for path in written:
        if path.suffix == ".png":
            picture = cv2.imread(str(path))
            assert min(picture.shape[:2]) > 150
            assert len({tuple(colour) for colour in picture[::7, ::7].reshape(-1, 3).tolist()}) > 5
        else:
            text = " ".join(ET.parse(path).getroot().itertext())
            assert "blocks.3.res_blocks.5.activation" in text
            assert HOSTILE[:40] in text
    scatter = (tmp_path / "figures" / "unit-scatter.svg").read_text()
    # 62 living units in each of one run's two layers; the other run has too few pairs to have any.
    assert len(re.findall(r'<path[^>]+opacity="0.6"', scatter)) == 124


def test_a_points_tooltip_has_each_fact_once() -> None:
    tips = charts.live_scatter().to_dict()["layer"][0]["encoding"]["tooltip"]
    titles = [tip.get("title", tip["field"]) for tip in tips]
    assert titles == ["unit", "class", "dynamic", "dynamic, 95 %", "static", "static, 95 %"]


def test_bars_fill_the_axis_and_show_the_dead_apart() -> None:
    spec = json.dumps(charts.bars(runs.run(dead=3).layers).to_dict())
    assert spec.count('"end": 100.0') == 4
    assert len(re.findall(r'"class": "dead"', spec)) == 4
    assert "undefined: fewer than two pairs" in json.dumps(charts.bars(runs.run(pairs=0).layers).to_dict())


def test_the_axis_of_percents_is_common_and_grows_only_when_needed() -> None:
    layers = runs.run().layers
    assert charts.top(layers) == 50
    assert charts.top(runs.run(pairs=1).layers) == 50
    layers[0]["ci95"]["percent"]["static"] = [40.0, 55.5]
    assert charts.top(layers) == 55.5


def test_a_run_that_lost_no_units_says_nothing_of_them(two: Page) -> None:
    assert "Unit ablation" not in two.text
    assert two.data()["removals"] == []


def test_a_limit_of_address_space_is_told_before_the_renderer_ends_the_process(tmp_path):
    code = (
        "import resource; kind = resource.RLIMIT_AS;"
        "resource.setrlimit(kind, (40 << 30, resource.getrlimit(kind)[1]));"
        "import sdmetrics as sd; from sdmetrics.demo import demo_model\n"
        "with demo_model('motion') as path: sd.analyze(path, 'world:6', out=r'%s', progress=False)" % (tmp_path / "run")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no report.html: charts cannot be drawn within 40 GiB of address space" in done.stderr
    assert Results.load(tmp_path / "run").clips["used"] == 6
