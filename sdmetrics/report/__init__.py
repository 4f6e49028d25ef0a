"""The report: one offline page and static figures."""

from sdmetrics.report.figures import write_figures
from sdmetrics.report.page import write_report

__all__ = ["write_figures", "write_report"]
