"""Opening models and clips, and what a run was made of."""
