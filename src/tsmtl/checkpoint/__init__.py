"""One file that is enough to predict."""
