"""Long-running processes and what starts them: settings, supervisor, local cloud, traffic."""
