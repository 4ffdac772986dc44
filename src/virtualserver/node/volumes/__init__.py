"""DataVolumes and claims: each has a disk."""
