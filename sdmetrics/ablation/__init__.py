"""Removing units and scoring the model without them (paper, Sec. 5.1)."""
