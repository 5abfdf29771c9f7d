"""Masks as run lengths: LZString text, COCO RLE, their checks."""
