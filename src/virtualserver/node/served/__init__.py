"""The aggregated API that the node serves behind kube-apiserver."""
