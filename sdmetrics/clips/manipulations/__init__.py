"""Manipulations: views of a clip from which motion, its direction or appearance is taken away."""
