"""Disks, images and image builds. Knows no Kubernetes."""
