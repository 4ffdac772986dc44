"""One machine instead of KubeVirt, CDI, MetalLB, kube-proxy and the CNI: fulfils the same objects on top of fabric.

`agent` puts the parts together. `watches` says which keys a change of the API concerns, and adds them to the `queues`;
each resource has a room with its controller: `vm`, `vmi`, `services`, `volumes`, `networks`. What they put on this host
is written down in `held`, what they give in `allocation`; `sweep` frees what nobody holds any more. `served` is the
aggregated API.
"""
