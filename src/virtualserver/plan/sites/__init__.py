"""Where a server runs: what the site writes into objects, which conditions it waits for, what it cannot do."""
