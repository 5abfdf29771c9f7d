"""Matching an object of one view with proposals of another: pooling, neighbours, candidates."""
