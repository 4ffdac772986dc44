"""Layer 2 networks (VPCs): empty until they come."""
