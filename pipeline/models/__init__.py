"""One file a network or backend; loading.py lends one model at a time."""
