"""Generated clips whose motion, appearance and objects are known."""
