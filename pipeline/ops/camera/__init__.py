"""Fisheye cameras: the model and its exact inverse, rectification, boxes both ways."""
