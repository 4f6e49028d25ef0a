"""The contract of a probe: its inputs, its metadata, its file, and how it is run and checked."""
