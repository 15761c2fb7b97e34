"""What was decided about outages, and every way to write it down: by the engine, by an administrator."""
