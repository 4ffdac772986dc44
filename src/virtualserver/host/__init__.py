"""Any process's Linux: process identity, locks, commands, settings, files. Knows nothing else of ours."""
