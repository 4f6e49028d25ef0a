"""Building probes: taps, masks, verification."""
