"""The pages: each view asks `reports.status` and hands the answer to a template."""
