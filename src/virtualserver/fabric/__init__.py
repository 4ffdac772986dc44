"""A node's data plane: what should be true of packets, made true with nftables, netlink, DHCP and DNS.

Knows no Kubernetes: `virtualserver.node` translates. ``desired`` is pure; ``kernel`` and ``dhcp`` make it so;
``dataplane`` puts them together.
"""
