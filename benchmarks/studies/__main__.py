"""Run the studies: python -m benchmarks.studies [NAME ...] [--quick]

Trained models are stored in a bank on disk, so that an interrupted run can be resumed and studies share their models.
Results are written to benchmarks/studies/ (the quick form: build/studies-quick/). The studies of remedies take hours:
what was measured of their models is kept in the repository (--keep), so that a later run goes on without the weights.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from benchmarks.studies import (
    architectures,
    datasets,
    dose,
    fusion,
    fusion_layers,
    instances,
    over_training,
    records,
    removal,
    segmentation_data,
)
from benchmarks.studies.bank import Bank
from benchmarks.studies.models.recipe import STANDARD, Budget
from benchmarks.studies.remedies import alone, networks, worlds
from benchmarks.studies.remedies.recipe import PREFIX
from benchmarks.studies.results import write_results
from benchmarks.studies.study import Plan, Scale, Study

STUDIES = (
    architectures,
    datasets,
    over_training,
    removal,
    dose,
    fusion,
    fusion_layers,
    segmentation_data,
    instances,
    alone,
    networks,
    worlds,
)
PLANS = {module.PLAN.name: module.PLAN for module in STUDIES}
HERE = Path(__file__).resolve().parent
FULL = Scale()
QUICK = Scale(
    seeds=(0, 1), budget=Budget(clips=600, epochs=2, tested=200, measured=100), removed=(0.3, 0.7), draws=2, few=True
)


def run(plans: list[Plan], bank: Bank, scale: Scale, out: Path, processes: int | None = None) -> Path:
    """Train the missing models, conclude the studies, and write the page of all concluded studies."""
    bank.fill([recipe for plan in plans for recipe in plan.recipes(scale)], processes)
    bank.fill([recipe for plan in plans if plan.further for recipe in plan.further(bank, scale)], processes)
    for plan in plans:
        if plan.measure:
            measured = plan.further(bank, scale) if plan.further else plan.recipes(scale)
            bank.each(partial(plan.measure, scale=scale), measured, f"models measured for {plan.name}", processes)
        plan.conclude(bank, scale).save(out)
    done = [out / f"{name}.json" for name in PLANS]
    return write_results([Study.load(path) for path in done if path.exists()], out)


def keep(folder: Path) -> None:
    """Add the records of models trained with remedies, of a bank's folder, to those kept in the repository."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(f"{PREFIX}*.json")}
    whole = {key: record for key, record in found.items() if record["recipe"]["budget"]["tested"] == STANDARD.tested}
    kept = {**records.read(records.KEPT), **whole}
    records.write(records.KEPT, kept)
    print(f"{records.KEPT.relative_to(Path.cwd())}: {len(kept)} records")


def main() -> None:
    """Run the studies named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Studies to run; default: all ({', '.join(PLANS)}).")
    parser.add_argument("--quick", action="store_true", help="Use two seeds, smaller budgets and fewer arms.")
    parser.add_argument("--processes", type=int, help="Number of models trained at a time; default: one for each core.")
    parser.add_argument(
        "--bank", type=Path, default=Path("build/studies"), help="Folder of the trained models; default: build/studies."
    )
    parser.add_argument(
        "--keep", action="store_true", help="Train nothing; keep the records of the studies of remedies for later runs."
    )
    options = parser.parse_args()
    if options.keep:
        keep(options.bank)
        return
    unknown = [name for name in options.names if name not in PLANS]
    if unknown:
        parser.error(f"{unknown[0]!r} is not a study; expected one of: {', '.join(PLANS)}")
    plans = [PLANS[name] for name in options.names or PLANS]
    out = Path("build/studies-quick") if options.quick else HERE
    kept = None if options.quick else records.KEPT
    print(run(plans, Bank(options.bank, kept), QUICK if options.quick else FULL, out, options.processes))


if __name__ == "__main__":
    main()
