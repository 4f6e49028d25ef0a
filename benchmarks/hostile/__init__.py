"""Hostile input: mutated files and arrays, each tried in a process of its own with a limit of memory and time."""
