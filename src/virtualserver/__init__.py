"""Virtual machines with exactly the network their owner asks for, from a Kubernetes manifest."""

__version__ = "0.1.0"
