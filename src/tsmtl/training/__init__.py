"""The epoch loop and what it calls."""
