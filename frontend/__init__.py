"""The pages: server-rendered, readable without a script, made only of what `reports.status` answers."""
