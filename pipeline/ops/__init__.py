"""Pure functions on arrays and streams."""
