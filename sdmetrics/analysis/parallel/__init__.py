"""Shards measured by several processes: parts, executors and their workers."""
