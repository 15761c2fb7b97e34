"""Every read of the public. Import the questions from here; the answers are in ``reports.status.answers``."""
