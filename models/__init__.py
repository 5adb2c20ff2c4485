"""The papers' networks as plain torch modules, and the catalogue of models known to work."""
