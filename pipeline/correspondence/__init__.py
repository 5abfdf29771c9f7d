"""The object masked in one view, found in the other."""
