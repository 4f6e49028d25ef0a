"""The outcomes of a check as words, and as files for CI: JUnit XML and a Markdown table."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from sdmetrics._files import check_is_file, replacing, writable_folder
from sdmetrics._text import printable
from sdmetrics.errors import InputError
from sdmetrics.gate.check import FAILING, Gate, Outcome
from sdmetrics.gate.verdict import CANNOT_TELL
from sdmetrics.report.words import estimate, known, number


def outcome_in_words(outcome: Outcome) -> str:
    """Return a line about an outcome.

    Examples
    --------
    >>> outcome_in_words(Outcome("stage4.dynamic at most 5 lower", "worse", 30.0, 1, False, 40.0, -13.0, -7.0))
    'worse: stage4.dynamic at most 5 lower (40.0 → 30.0: −10.0 [−13.0, −7.0])'
    """
    note = f". {outcome.note[0].upper()}{outcome.note[1:]}" if outcome.note else ""
    return f"{outcome.verdict}: {outcome.text} ({measured(outcome)}){note}"


def measured(outcome: Outcome) -> str:
    """Return the numbers of an outcome."""
    value = number(outcome.value, outcome.digits)
    if outcome.baseline is None:
        return f"{'bound' if outcome.bound else 'measured'}: {value}"
    change = estimate(outcome.change, known((outcome.low, outcome.high)), outcome.digits)
    return f"{number(outcome.baseline, outcome.digits)} → {value}: {change}"


def write_junit(gate: Gate, path: str | Path, strict: bool = False) -> Path:
    """Write the outcomes as JUnit XML, a test case each, and return the path.

    A breach or *worse* is a failure. *Cannot tell* is skipped, with the reason; with `strict` it is a failure, too.
    """
    failures = [_fails(outcome, strict) for outcome in gate.outcomes]
    skipped = [outcome.verdict == CANNOT_TELL and not strict for outcome in gate.outcomes]
    counts = {"tests": len(failures), "failures": sum(failures), "errors": 0, "skipped": sum(skipped)}
    suite = ElementTree.Element("testsuite", {"name": "sdmetrics check", **{k: str(v) for k, v in counts.items()}})
    for outcome, failed, left in zip(gate.outcomes, failures, skipped, strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"classname": gate.run, "name": outcome.text, "time": "0"})
        words = outcome_in_words(outcome)
        if failed or left:
            ElementTree.SubElement(case, "failure" if failed else "skipped", {"message": words})
        ElementTree.SubElement(case, "system-out").text = words
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    with replacing(Path(path)) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)
    return Path(path)


def markdown(gate: Gate) -> str:
    """Return the outcomes as a Markdown table, with what is to be kept in mind below it.

    Examples
    --------
    >>> print(markdown(Gate("run", "", (Outcome("stage4.dynamic >= 30", "holds", 38.5),))))
    ### holds: static and dynamic bias of `run`
    <BLANKLINE>
    | verdict | requirement | numbers | note |
    |---|---|---|---|
    | holds | stage4.dynamic >= 30 | measured: 38.5 | |
    <BLANKLINE>
    """
    whole = next((o.verdict for o in gate.outcomes if o.verdict in FAILING), None) or next(
        (o.verdict for o in gate.outcomes if o.verdict == CANNOT_TELL), gate.outcomes[-1].verdict
    )
    against = f" against `{gate.baseline}`" if gate.baseline else ""
    lines = [f"### {whole}: static and dynamic bias of `{gate.run}`{against}", ""]
    lines += ["| verdict | requirement | numbers | note |", "|---|---|---|---|"]
    for outcome in gate.outcomes:
        verdict = f"**{outcome.verdict}**" if outcome.verdict in FAILING else outcome.verdict
        cells = (verdict, _cell(outcome.text), measured(outcome), _cell(outcome.note))
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    if gate.warnings:
        lines += ["", *(f"- {_cell(warning)}" for warning in gate.warnings)]
    return "\n".join(lines) + "\n"


def append_markdown(gate: Gate, path: str | Path) -> Path:
    """Append the table to a file, as the summaries of CI systems are written, and return the path."""
    path = Path(path)
    check_is_file(path)
    writable_folder(path.parent)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown(gate))
    except OSError as error:
        raise InputError(f"cannot write {printable(path)}: {error.strerror or error}. Write elsewhere") from None
    return path


def _fails(outcome: Outcome, strict: bool) -> bool:
    return outcome.verdict in FAILING or (strict and outcome.verdict == CANNOT_TELL)


def _cell(text: str) -> str:
    """Return a text for a cell of a Markdown table, in which a layer's name may have anything."""
    return printable(text).replace("\\", "\\\\").replace("|", "\\|")
