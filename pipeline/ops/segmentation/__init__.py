"""Pictures into regions by colour, texture and edges: classical segmentation, without weights."""
