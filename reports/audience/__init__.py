"""What others read, and what they are told: Statuspage, feeds, badges, metrics, messages. Shapes of ``reports.status``."""
