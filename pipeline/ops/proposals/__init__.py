"""Masks that may be objects: put in order, compared with true masks, read and written in others' layouts."""
