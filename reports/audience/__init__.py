"""What others read and are told: Statuspage, feeds, badges, metrics, messages. Shapes of ``reports.status``."""
