"""Generated clips with known motion, appearance and objects."""
