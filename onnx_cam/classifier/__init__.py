"""A loaded model, and what is known of it."""
