"""The maths of detection: arrays in, decisions out. No Django, no clock, no I/O."""
