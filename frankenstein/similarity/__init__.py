"""Layers against layers: matrices of measures, their intervals and nulls, and their pages."""
