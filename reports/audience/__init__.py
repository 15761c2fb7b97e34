"""What others read: Statuspage, feeds, badges, metrics. Shapes of the answers of ``reports.status``."""
