"""The factory line: download → extract → check-rectify → annotate."""
