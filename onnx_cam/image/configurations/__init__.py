"""The configurations that tools write beside a model or into its metadata, and the preprocessing that they describe."""
