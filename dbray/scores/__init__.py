"""Scores of label maps: agreement, fragmentation and their bootstrap intervals. NumPy only."""
