"""The reconcile core: client, reflector, store, cache, queue, controller, server-side apply, writer, events and Lease.

Knows no VirtualServer.
"""
