"""What a VirtualServer becomes: (server, what exists, site) -> objects to apply, and a status.

Pure: no I/O, no clock, no randomness; the same input gives the same bytes. A reader begins with ``planning``, which
puts the parts together:

* ``network``, ``user_data``: what the manifest asks for, read once; ``children``: what exists, by kind and name;
  ``situation``: all of it as one value;
* ``objects``: one module an object, each returning the manifest that a reader would write by hand; its ``table`` has
  one line a kind;
* ``judging``: refusals, readiness and status: each verdict from that situation;
* ``sites``: where it runs: what is written for, waited for and refused by whoever carries the objects out there.

``tests/unit/plan/golden`` is the documentation of what each network mode becomes, and of every situation's status.
"""
