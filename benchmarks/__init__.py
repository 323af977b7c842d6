"""Scenarios and measurements on real processes. Nothing in the product imports this package."""
