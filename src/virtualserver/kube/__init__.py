"""The reconcile core: client, reflector and store, queue, server-side apply, events, Lease. Knows no VirtualServer."""
