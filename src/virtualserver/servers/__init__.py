"""What people do with their servers, by the Kubernetes API and a kubeconfig alone: no root, no installation at hand."""
