"""The report: one offline page and static figures."""
