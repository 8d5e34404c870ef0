"""What is learnt: losses, metrics, and how outputs become predictions."""
