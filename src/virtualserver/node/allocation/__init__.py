"""Addresses, MACs, taps and UIDs: recorded before use. Takes values, never manifests."""
