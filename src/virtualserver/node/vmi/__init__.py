"""VirtualMachineInstances: each has a link in the data plane and a machine."""
