"""NetworkAttachmentDefinitions: each is a layer 2 network (VPC) of its namespace.

`definition` reads one. Its bridge is made with the first NIC on it and goes with the last (`vmi.links`): a definition
that is deleted meanwhile takes nothing away from guests that run.
"""
