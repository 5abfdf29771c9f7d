"""Layouts of other people's data sets, read and written."""
