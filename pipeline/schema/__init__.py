"""What lies on disk, as pydantic models: no numpy, no torch."""
