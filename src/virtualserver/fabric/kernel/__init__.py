"""What the data plane makes of the kernel: namespace, links, routes, nftables, connections, settings."""
