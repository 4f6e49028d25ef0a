"""`check`: requirements on the results of a run, and limits on how far it may fall behind a baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import RUN
from sdmetrics.errors import InputError


@app.command()
def check(
    run: Annotated[Path, RUN],
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Requirement; repeat for several. 'LAYER.dynamic >= 30': percent of Eq. 1 (dynamic, static, "
            "identical). "
            "'LAYER.units.dynamic >= 30': percent of units of Eq. 3 (dynamic, static, joint, residual, dead), or that "
            "encode a further factor ('LAYER.units.reverse <= 50'). "
            "'LAYER.score.reverse <= 0.9': the layer's score of a factor, -1 to 1.",
            show_default=False,
        ),
    ] = None,
    bound: Annotated[
        bool,
        typer.Option(
            "--bound",
            help="Compare requirements with the least favourable bound of the 95 % interval, not with the estimate.",
        ),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Folder of the run that --max-drop and --max-rise compare with.", show_default=False),
    ] = None,
    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            help="By how much a number may be lower than the baseline's; repeat for several. 'LAYER.dynamic 5', "
            "'LAYER.units.dynamic 5': points. 'LAYER.score.dynamic 0.1'. After analyze --evaluate also "
            "'evaluation.top1 2', 'evaluation.top5 2', and 'evaluation.shuffle 3', the points of top-1 that shuffled "
            "frames cost.",
            show_default=False,
        ),
    ] = None,
    max_rise: Annotated[
        list[str] | None,
        typer.Option(help="By how much a number may be higher, e.g. 'LAYER.static 5'.", show_default=False),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 3 if the clips cannot tell whether a limit is kept.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(help="JUnit XML file to write, a test case for each line.", show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="File that a Markdown table is appended to, e.g. $GITHUB_STEP_SUMMARY.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead of lines.")] = False,
) -> None:
    """Check requirements on a run, and that it is not worse than a baseline, e.g. before a release.

    A limit is judged by the 95 % interval of the change, paired by clip if both runs used the same clips and seed: the
    run is worse if all of it is beyond the limit, not worse if none of it is; else these clips cannot tell.

    Exits with status 1 if a requirement does not hold or the run is worse, and under --strict with 3 if the clips
    cannot tell.
    """
    from sdmetrics.gate.check import FAILING
    from sdmetrics.gate.check import check as check_run
    from sdmetrics.gate.formats import append_markdown, outcome_in_words, write_junit
    from sdmetrics.gate.verdict import CANNOT_TELL

    limits = bool(max_drop or max_rise)
    if not require and not limits:
        raise InputError(
            "there is nothing to check; pass --require 'LAYER.dynamic >= 30', or --baseline RUN with --max-drop "
            "'LAYER.dynamic 5'"
        )
    if limits != (baseline is not None):
        raise InputError(
            "--max-drop and --max-rise compare with a run; pass --baseline RUN"
            if limits
            else "--baseline is compared with nothing; pass --max-drop 'LAYER.dynamic 5', or drop it"
        )
    if bound and not require:
        raise InputError("--bound goes with --require; limits always use the interval. Drop it")
    gate = check_run(
        run, require or (), baseline=baseline, max_drop=max_drop or (), max_rise=max_rise or (), bound=bound
    )
    if as_json:
        typer.echo(json.dumps(gate.as_document(), indent=1, ensure_ascii=False))
    else:
        for warning in gate.warnings:
            console.print(f"warning: {warning}", style="yellow", soft_wrap=True)
        for outcome in gate.outcomes:
            style = "red" if outcome.verdict in FAILING else "yellow" if outcome.verdict == CANNOT_TELL else "green"
            console.print(outcome_in_words(outcome), style=style, soft_wrap=True)
    if junit:
        write_junit(gate, junit, strict)
    if markdown:
        append_markdown(gate, markdown)
    if status := gate.status(strict):
        raise typer.Exit(status)
