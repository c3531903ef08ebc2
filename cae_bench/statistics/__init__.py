"""Intervals, bootstraps, paired tests and average precision from matches. NumPy only."""
