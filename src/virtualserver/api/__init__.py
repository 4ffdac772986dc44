"""The VirtualServer API: names, types, defaults, validation, conditions and the CRD's manifests.

Knows nothing of the rest of the project, and does no I/O but reading its own manifests.
"""
