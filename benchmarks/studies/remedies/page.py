"""Write the numbers about StaticDropout in docs/training.md, from the JSON files of the studies.

python -m benchmarks.studies.remedies.page [--write docs/training.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.readme import add_write_option, write_between
from benchmarks.studies.dose import CHOSEN
from benchmarks.studies.means import Mean
from benchmarks.studies.remedies import eq4
from benchmarks.studies.remedies.arms import HARDEST, LONGER, NONE, SHARPER, STANDARD, STATIC
from benchmarks.studies.remedies.comparison import APPEARANCE, DYNAMIC_UNITS, SHORTCUT, STATIC_UNITS, TOP1
from benchmarks.studies.results import as_markdown
from benchmarks.studies.study import Study, Table

NAME = "remedies"
ALONE, NETWORKS = "remedies", "remedies_networks"
REMEDIES = (ALONE, NETWORKS, "remedies_worlds")
FOLDER = Path(__file__).resolve().parents[1]
SHOWN = (TOP1, SHORTCUT, DYNAMIC_UNITS, STATIC_UNITS, APPEARANCE)
MILD = (NONE, STANDARD, "StaticDropout 0.1", STATIC, SHARPER, HARDEST)


def main() -> None:
    """Print the tables and, with `--write FILE`, write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, default=FOLDER, help="Folder of the studies' JSON files.")
    add_write_option(parser, NAME)
    arguments = parser.parse_args()
    text = section(arguments.studies)
    print(text)
    if arguments.write:
        write_between(arguments.write, NAME, text)


def section(folder: Path) -> str:
    """Return what the studies in a folder found about StaticDropout and the other remedies.

    Study 5 is needed; the studies of remedies are left out where they were not run.
    """
    parts = [_dose(Study.load(folder / "dose.json"))]
    run = [Study.load(folder / f"{name}.json") for name in REMEDIES if (folder / f"{name}.json").exists()]
    for study in run:
        if study.name == ALONE:
            parts += _remedies(study)
        rows = [(finding.claim, finding.ours, finding.verdict) for finding in study.findings]
        parts.append(f"{study.title}\n\n{as_markdown(Table('', ('claim', 'measured', 'here'), rows))}")
        if study.name == NETWORKS:
            closed = study.tables[0]
            parts += [f"{closed.title}:", as_markdown(Table("", closed.columns, closed.rows))]
    return "\n\n".join(parts)


def _dose(study: Study) -> str:
    """Return the arms of study 5 at one rate, and what a lower temperature changes."""
    arms = study.tables[0]
    rows = [row for row in arms.rows if row[1] in ("0", f"{CHOSEN:g}")]
    (changed,) = (row for row in study.tables[1].rows if row[0].startswith("temperature"))
    columns = study.tables[1].columns
    top1, static = (changed[columns.index(name)] for name in (TOP1, STATIC_UNITS))
    names = ("dropout", "rate", TOP1, SHORTCUT, DYNAMIC_UNITS, STATIC_UNITS)
    return (
        "I3D, small motions, rare labels (study 5), percent:\n\n"
        + as_markdown(_columns(arms.columns, rows, names))
        + f"\n\n{changed[0].capitalize()} minus 1, points: static units {static}, top-1 without the shortcut {top1}."
    )


def _remedies(study: Study) -> list[str]:
    """Return Eq. 4 in numbers, the arms with dropout, and the other remedies by how much of the gap they close."""
    (scores,) = (p for p in study.points if p.get("about") == "scores")
    (estimate,) = (p for p in study.points if p.get("about") == "estimate")
    mean = {
        (p["arm"], p["measure"]): str(Mean(p["mean"], p["half_width"], p["seeds"]))
        for p in study.points
        if "measure" in p
    }
    gain = {
        p["arm"]: str(Mean(p["difference"]["mean"], p["difference"]["half_width"], p["seeds"]))
        for p in study.points
        if p.get("measure") == TOP1
    }
    rows = [(arm, *(mean[arm, name] for name in SHOWN)) for arm in MILD if (arm, TOP1) in mean]
    others = [(arm, gain[arm], *(mean[arm, name] for name in SHOWN)) for arm in gain if arm not in (*MILD, LONGER)]
    spread = (
        f"The static scores of the untreated models (study 10) are {scores['low']:.2f} to {scores['high']:.2f} "
        "(10 % and 90 % quantile). Estimated from one batch of 16 clips, as StaticDropout does, a score is off by "
        f"{estimate['error']:.2f}, while the scores of channels differ by {estimate['spread']:.2f}. Probability of a "
        "channel to be dropped:"
    )
    return [
        spread,
        as_markdown(eq4.table(study.points)),
        "SlowOnly, motion labels, shortcut (study 10), percent:",
        as_markdown(Table("", ("arm", *SHOWN), rows)),
        f"The other remedies of `sdmetrics.torch` there, and what they gain over `{NONE}`, points:",
        as_markdown(Table("", ("arm", "gain", *SHOWN), others)),
        f"![{study.title}](../benchmarks/studies/figures/{study.name}.png)",
    ]


def _columns(columns: Sequence[str], rows: Sequence[tuple[str, ...]], names: Sequence[str]) -> Table:
    """Return some columns of rows."""
    places = [list(columns).index(name) for name in names]
    return Table("", tuple(names), [tuple(row[place] for place in places) for row in rows])


if __name__ == "__main__":
    main()
