"""The page: template, theme, palette, and what things are called on it."""
