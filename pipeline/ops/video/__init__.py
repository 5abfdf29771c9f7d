"""Exact frames out of video streams."""
