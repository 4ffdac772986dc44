"""The objects of a server, one module each: the manifest that a reader would write by hand."""
