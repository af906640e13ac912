"""What one pass keeps of representations, and the algebra on it."""
