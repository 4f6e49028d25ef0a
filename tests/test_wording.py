"""Public text is plain English: the constructions retired below do not come back."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sdmetrics", "exporters", "runners")
ERRORS = ("InputError", "MissingExtra")
UNREAD = re.compile(r"```.*?```|<!-- (\w+): begin -->.*?<!-- \1: end -->", re.DOTALL)
"""The parts of a page that are not prose: code, and what a script writes."""

START = r"(?:^|[.;:!?] )"
"""Where a sentence or a clause starts."""
ORDER = r"(?:^|[.;:,!?] |\b(?:or|and|to|then) )"
"""Where an imperative or an infinitive starts."""
COMPARATIVE = r"(?:longer|more|less|fewer|better|worse|larger|smaller|greater|higher|lower|earlier|later|further)"

RETIRED = (
    # name, what is found, what to write instead
    ("is no X", rf"(?<![Tt]here )\b(?:is|are|was|were) no\b(?! {COMPARATIVE}\b)", "is not a X, has no X"),
    ("is none", r"(?<![Tt]here )\b(?:is|are|was|were) none\b", "is not, has none"),
    ("Of X, Y", rf"{START}Of (?!course\b)", "For X, Y"),
    ("as of", r"\bas of\b", "as in, for; See `X`"),
    ("of before", r"\bof before\b", "previous"),
    ("goes on", r"\b(?:go|goes|going|went) on\b", "resumes, continues"),
    ("anew", r"\banew\b", "again"),
    ("mend", r"\bmend(?:s|ed|ing)?\b", "fix"),
    ("say", rf"{ORDER}say (?:it|so|that|what|which|how|whether|such|the|all)\b", "specify"),
    ("says of", r"\b(?:say|says|said) (?:nothing )?(?:of|itself|otherwise|such as)\b", "describes, specifies"),
    ("give", rf"{ORDER}give\b(?! (?:the same|up\b|rise\b|way\b))", "pass, use"),
    ("refuse, insist", r"\b(?:refus|insist)(?:e|es|ed|ing|s)?\b", "check, reject, is an error"),
    (
        "X alone",
        r"\b(?:NumPy|factors?|frames?|images?|measure|metric|modules?|names?|numbers?|percents?) alone\b",
        "only X",
    ),
    ("at hand", r"\bat hand\b", "available"),
    ("X, at most", r"\w, at most\b(?! \w)", "at most X, maximum"),
    ("house", r"\brooms? of the house\b|\bthe house\b|\bfront door\b", "module, optional dependency, public API"),
    ("kin", r"\bkin\b", "similar"),
    ("picture", r"\bpictures?\b", "image"),
    ("asked for", rf"{START}(?:asked for|asked to|interrupted,|told to)", "a full sentence"),
    ("told", r"\b(?:is|are|was|be|been|not) told\b|\btold (?:apart|from|by)\b", "known, inferred, distinguished"),
    (
        "call otherwise",
        r"\b(?:call(?:ed)?|made|moves?|named?) (?:it |them )?otherwise\b",
        "choose another name, differently",
    ),
    (
        "lie, stand",
        r"\b(?:file|clip|frame|video|folder|run|image|mask)s? (?:lies?|lay|stands?|stood)\b" r"|\b(?:it|they) lies?\b",
        "is, are",
    ),
    ("by anyone", r"\b(?:that|which)? ?anyone made\b|\bmade by anyone\b", "third-party, any other"),
    ("not so?", r"\bnot so\?", "if this is wrong,"),
    ("has the answer", r"\b(?:answers|thinks) (?:alike|alone)\b|\bsee alike\b", "responds similarly"),
    ("likelier", r"\blikelier\b", "more likely, more probable"),
    ("none at all", r"\bor not at all\b|\bnone at all\b", "a full sentence"),
)
FIND = {name: re.compile(pattern) for name, pattern, _ in RETIRED}
INSTEAD = {name: instead for name, _, instead in RETIRED}
INTERVAL_BY_HAND = re.compile(r"\{\} to \{\}|\(\{\}[–-]\{\}\)|\[\{\}, \{\}\]")


class Text(NamedTuple):
    """A piece of public text and where it is."""

    place: str
    """A file, or a command's help page."""
    line: int
    text: str


def python_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def one_line(text: str) -> str:
    return " ".join(text.split())


def literal(node: ast.expr) -> str:
    """Return the text of an expression: its string literals, with {} for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    if isinstance(node, ast.IfExp):
        return f"{literal(node.body)}. {literal(node.orelse)}"
    return "{}"


def error_texts() -> Iterator[Text]:
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                for argument in node.args:
                    yield Text(str(path.relative_to(ROOT)), node.lineno, one_line(literal(argument)))


def public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public classes and functions of a module, and their public members."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def docstrings() -> Iterator[Text]:
    """Yield public docstrings up to their examples; what those print is an error text."""
    for path in python_files():
        module = ast.parse(path.read_text(encoding="utf-8"))
        for node in (module, *public(module.body)):
            text = re.split(r"\n\s*Examples\n\s*---", ast.get_docstring(node) or "")[0]
            for place, paragraph in enumerate(re.split(r"\n\s*\n", text)):
                prose = "\n".join(line for line in paragraph.splitlines() if not re.match(r"\s*(>>>|\.\.\. )", line))
                line = getattr(node, "lineno", 1)
                # A parameter's name, then its description.
                for part in re.split(r"\n(?=\w)(?=[\w.*, ]+\n\s)", prose) if place else [prose]:
                    yield Text(str(path.relative_to(ROOT)), line, one_line(part))


def help_pages() -> Iterator[Text]:
    from typer.main import get_command

    from sdmetrics.cli import app

    group = get_command(app)
    for name, command in {"": group, **group.commands}.items():
        page = f"sdmetrics {name} --help".replace("  ", " ")
        for paragraph in re.split(r"\n\s*\n", command.help or ""):
            yield Text(page, 0, one_line(paragraph))
        for option in command.params:
            yield Text(f"{page} ({option.name})", 0, one_line(getattr(option, "help", None) or ""))


def pages() -> Iterator[Text]:
    named = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
    for path in [*named, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]:
        line = 1
        text = UNREAD.sub(lambda block: "\n" * block[0].count("\n"), path.read_text(encoding="utf-8"))
        for paragraph in re.split(r"(\n\s*\n)", text):
            for part in re.split(r"(?m)^(?=(?:\* |- |\|))", paragraph):
                yield Text(str(path.relative_to(ROOT)), line, one_line(re.sub(r"^[*|-] ?", "", part)))
                line += part.count("\n")


KINDS = {"help pages": help_pages, "error texts": error_texts, "pages": pages, "docstrings": docstrings}


@pytest.mark.parametrize("kind", KINDS)
def test_retired_constructions_do_not_come_back(kind):
    hits = [
        (text.place, f"{text.place}:{text.line}: {name}: …{excerpt(text.text, match)}… (write: {INSTEAD[name]})")
        for text in KINDS[kind]()
        for name, pattern in FIND.items()
        for match in pattern.finditer(text.text)
    ]
    counts = Counter(place for place, _ in hits)
    message = [f"{len(hits)} in {kind}", *(f"{n:4} {place}" for place, n in counts.most_common()), ""]
    assert not hits, "\n".join([*message, *(hit for _, hit in hits)])


def excerpt(text: str, match: re.Match[str]) -> str:
    return text[max(match.start() - 30, 0) : match.end() + 30]


@pytest.mark.parametrize("kind", ["help pages", "error texts"])
def test_examples_are_introduced_by_eg(kind):
    wrong = [text for text in KINDS[kind]() if "such as" in text.text]
    assert not wrong, "\n".join(f"{text.place}:{text.line}: {text.text}" for text in wrong)


def test_help_begins_with_what_an_option_is():
    wrong = [text for text in help_pages() if "(" in text.place and re.match(r"(?:Of|Where|As)\b", text.text)]
    assert not wrong, "\n".join(f"{text.place}: {text.text}" for text in wrong)


def test_commands_print_intervals_in_one_notation():
    """What an interval looks like is decided in one place, which no command goes past."""
    for path in sorted((ROOT / "sdmetrics" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                assert not INTERVAL_BY_HAND.search(literal(node)), f"{path.name}:{node.lineno}: {literal(node)}"


@pytest.mark.parametrize("text", ["It is no longer used.", "There is no video in it.", "Both give the same views."])
def test_good_english_passes(text):
    assert not [name for name, pattern in FIND.items() if pattern.search(text)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.txt is no folder; use another", "is no X"),
        ("Of a Keras file, name the layers.", "Of X, Y"),
        ("run/ is there; give another folder", "give"),
        ("Clips per run of the model, at most.", "X, at most"),
        ("the shape is unclear; say it, such as NCTHW", "say"),
    ],
)
def test_retired_constructions_are_found(text, name):
    assert FIND[name].search(text)
