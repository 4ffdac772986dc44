"""VirtualMachines: whether each should have a VMI now, and what its status says."""
