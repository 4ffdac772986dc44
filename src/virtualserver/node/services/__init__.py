"""Services: load balancer addresses, published ports, names, EndpointSlices."""
