"""One machine instead of KubeVirt, CDI, MetalLB, kube-proxy and the CNI: fulfils the same objects on top of fabric."""
