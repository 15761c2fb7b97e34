"""Commands for hands."""
