"""What a run leaves behind to look at: tables, pictures, JSON."""
