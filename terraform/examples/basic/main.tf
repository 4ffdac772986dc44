variable "ssh_public_keys" {
  type        = list(string)
  default     = []
  description = "Public ssh keys that may log in as `someone`."
}

module "server" {
  source = "../.."

  user_namespace     = "default"
  vs_name            = "basic"
  vs_username        = "someone"
  vs_ssh_public_keys = var.ssh_public_keys

  vs_image        = "debian"
  vs_memory       = "512Mi"
  vs_cpu_count    = 1
  vs_root_storage = "4Gi"
  vs_gpu_enable   = false # one machine has no GPU to give

  vs_public_networking   = var.vs_public_networking
  vs_attach_loadbalancer = var.vs_attach_loadbalancer
  vs_tcp_ports           = var.vs_tcp_ports
  vs_udp_ports           = var.vs_udp_ports
}

output "address" {
  value = module.server.vs_network
}

output "password" {
  value     = module.server.vs_password
  sensitive = true
}
