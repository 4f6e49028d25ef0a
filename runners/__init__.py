"""What runs a probe."""
