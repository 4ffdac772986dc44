variable "ssh_public_keys" {
  type        = list(string)
  default     = []
  description = "Public ssh keys that may log in as `someone`."
}

resource "kubernetes_manifest" "address" {
  manifest = {
    apiVersion = "v1"
    kind       = "Service"
    metadata   = { name = "web-address", namespace = "default" }
    spec = {
      type  = "LoadBalancer"
      ports = [{ name = "any", port = 1, protocol = "TCP" }]
    }
  }
}

module "server" {
  source = "../.."

  user_namespace     = "default"
  vs_name            = "floating"
  vs_username        = "someone"
  vs_ssh_public_keys = var.ssh_public_keys

  vs_image        = "debian"
  vs_memory       = "512Mi"
  vs_cpu_count    = 1
  vs_root_storage = "4Gi"
  vs_gpu_enable   = false # one machine has no GPU to give

  vs_tcp_ports    = []
  vs_udp_ports    = []
  vs_floating_ips = [{ serviceName = kubernetes_manifest.address.manifest.metadata.name }]
}

output "floating_ips" {
  value = module.server.floating_ips
}
