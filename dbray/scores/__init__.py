"""The arithmetic of the scores: pure functions of arrays, one file a score."""
