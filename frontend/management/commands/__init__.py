"""Commands for hands: each calls the module that does the work."""
