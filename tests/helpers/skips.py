"""Summary of skipped tests: every reason once, with the number of tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any


def skips_by_reason(reports: Iterable[Any]) -> list[str]:
    """Return a line per reason, sorted by reason; the reason is that of pytest's report."""
    counts: Counter[str] = Counter()
    for report in reports:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        counts[" ".join(text.removeprefix("Skipped: ").split())] += 1
    return [f"{count} skipped: {reason}" for reason, count in sorted(counts.items())]
