"""What a VirtualServer becomes: (server, observed objects, site profile) -> objects to apply, and a status.

Pure: no I/O, no clock, no randomness; the same input gives the same bytes. One module per object, each returning the
manifest that a reader would write by hand; ``planning`` puts them together. The golden files under
``tests/unit/plan/golden`` are the documentation of what each network mode becomes.
"""
