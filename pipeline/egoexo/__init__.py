"""The Ego-Exo4D line: release → frames, masks and pairs."""
