"""VirtualMachines: whether each should have an instance now, and what its status says."""
