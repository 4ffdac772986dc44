"""QEMU processes: launch, watch, adopt, end; accelerator, memory, seed. Knows no Kubernetes."""
