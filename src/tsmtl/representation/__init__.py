"""From series to representation vectors."""
