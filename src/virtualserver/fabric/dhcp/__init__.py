"""DHCP and cluster DNS for guests: one dnsmasq an installation."""
