"""From files to splits of series (N, C, T) or vectors (N, E) with their targets."""
