"""Makes VirtualServers come true: observe, plan, apply, report; one server at a time, whenever anything of it changes.

``watches`` says what is followed and which servers a change concerns; ``observation`` collects what exists for one
server; ``reconciler`` carries its plan out; ``report`` writes its status and Events; ``process`` is the process
(``python -m virtualserver.operator``). What a server becomes is not decided here but in ``plan``.

No finalizer is needed: everything that a server has is an object that it owns, so that deletion is Kubernetes' garbage
collection, at once and without us; a disk that is kept has no owner from the moment its annotation is seen.
"""
