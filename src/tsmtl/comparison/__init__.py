"""Did the second task help? Variants of one training, tuned alike, against each task alone."""
