"""An S3 store as the egoexo client reads it."""
