"""Figures: Altair charts, and the pictures of decision regions."""
