"""What torch's exporter lacks."""
