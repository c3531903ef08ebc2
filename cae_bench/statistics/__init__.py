"""Intervals, bootstraps, paired tests and average precision from matches. NumPy only: used by evaluation and results alike."""
