"""The public API: the answers of ``reports.status`` as JSON and CSV."""
