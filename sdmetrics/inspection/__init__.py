"""What single units respond to: typical units, their exemplars, and where in a clip they respond."""
