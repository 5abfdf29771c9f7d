"""From a model's words to a repaired timeline of segments."""
