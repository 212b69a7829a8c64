"""Reports: score tables in, Altair charts and one self-contained HTML page out."""
