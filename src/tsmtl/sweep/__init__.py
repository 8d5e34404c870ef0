"""Sweeps: the jobs of one command, their order, their processes, and what came of them."""
