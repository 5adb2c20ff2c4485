"""Maps as pictures and pages: takes arrays and texts, and imports nothing of models or methods."""
