"""NetworkAttachmentDefinitions: each is a layer 2 network (VPC) of its namespace. Empty until VPCs come.

A controller will bring each definition into the data plane as a bridge, and report one that it cannot carry out. Which
NIC of a VMI is in which network is the matter of `vmi.specification` and `vmi.links`.
"""
