"""What becomes of every field that a client can write, kind by kind, where the node stands in for KubeVirt and CDI.

One table a kind (``virtual_server``), each a list of `field.Field`. It is read by whoever decides on an object, says in
a condition what of it has no effect, and by the page for users (``docs/support.md``, ``tools/support_docs.py``).
"""
