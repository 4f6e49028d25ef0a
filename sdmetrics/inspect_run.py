"""inspect(): what single units of a run respond to, as a page in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sdmetrics.analysis.results import Results
from sdmetrics.clips.styles.built_in import STYLES, Style, style_identity
from sdmetrics.errors import InputError
from sdmetrics.inspection.choice import named_units, typical_units
from sdmetrics.inspection.look import Inspection, look
from sdmetrics.loading.run_source import RunSource
from sdmetrics.loading.tensors import open_tensors
from sdmetrics.report.inspection import FILE_NAME, write_inspection
from sdmetrics.run import FLOW_FOLDER, write_run_report


def inspect(
    run: str | Path,
    *,
    layers: Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    typical: int = 2,
    exemplars: int = 3,
    model: str | Path | None = None,
    clips: str | Path | None = None,
    styles: Mapping[str, Style] | None = None,
    out: str | Path | None = None,
    max_mb: float = 5.0,
    provider: str = "auto",
    threads: int | None = None,
    device: str | None = None,
) -> Inspection:
    """Show what units of a run respond to: their responses to all clips, their exemplars, and where they respond.

    The run kept its responses (`keep_responses`). The model runs once more, on the exemplars only.

    Parameters
    ----------
    run
        The folder of the run. Its report links to the page afterwards.
    layers
        Names of layers. Default: the last one.
    units
        Numbers of units of each of these layers. Default: the most typical ones of each class.
    typical
        How many of each class.
    exemplars
        How many clips with the highest, and with the lowest response are shown.
    model, clips, styles
        As passed to `analyze`. Default: those of the run, where they are at their place; styles that are not built in
        have to be passed again.
    out
        The page. Default: `inspection.html` in the folder of the run.
    max_mb
        Its largest size, in millions of bytes, see `sdmetrics.report.inspection.write_inspection`.
    provider, threads, device
        See `open_model`.

    Raises
    ------
    InputError
        If the run has no responses, or something is not found or not among what is allowed.

    Examples
    --------
    >>> import tempfile
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as path, tempfile.TemporaryDirectory() as run:
    ...     _ = sd.analyze(path, "world:40", out=run, keep_responses=True)
    ...     seen = sd.inspect(run, typical=1)
    ...     print(Path(run, "inspection.html").exists(), seen.units[0].label, seen.units[0].responses.shape)
    True dynamic (40, 3)
    """
    run = Path(run)
    results = Results.load(run)
    for name, value in (("typical", typical), ("exemplars", exemplars)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is {value!r}; expected a whole number, at least 1")
    chosen = (
        [results.layer(name)["name"] for name in layers] if layers else [row["name"] for row in results.layers[-1:]]
    )
    rows = [
        row
        for layer in dict.fromkeys(chosen)
        for row in (typical_units(results, layer, typical) if units is None else named_units(results, layer, units))
    ]
    for layer in chosen:
        results.responses(layer)  # before the model is opened
    source = RunSource.load(run, model=model, clips=clips)
    runner = open_tensors(str(source.model), results, chosen, provider=provider, threads=threads, device=device)
    listed = source.open_clips(runner, cache=run / FLOW_FOLDER)
    seen = look(results, runner, listed, rows, count=exemplars, styles=_styles(results, styles))
    page = write_inspection(seen, run / FILE_NAME if out is None else out, max_mb=max_mb)
    if page.resolve() == (run / FILE_NAME).resolve():
        write_run_report(run, results)
    return seen


def _styles(results: Results, passed: Mapping[str, Style] | None) -> dict[str, Style] | None:
    """Return the styles of the run; raise an `InputError` if they are others."""
    stored = {name: what for name, what in results.settings["styles"].items() if what != {"given": "with the clips"}}
    if not stored:
        return None
    offered = STYLES if passed is None else passed
    for name, what in stored.items():
        if name not in offered or style_identity(offered[name]) != what:
            raise InputError(
                f"the run has the style {name!r} ({', '.join(map(str, what.values()))}), which is not among "
                f"{', '.join(offered)}; pass the run's styles with --styles (in Python, styles)"
            )
    return {name: offered[name] for name in stored}
