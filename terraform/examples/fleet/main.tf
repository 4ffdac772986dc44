variable "ssh_public_keys" {
  type        = list(string)
  default     = []
  description = "Public ssh keys that may log in as `someone`."
}

variable "servers" {
  type = map(object({
    tcp_ports = list(number)
    public    = optional(bool, true)
  }))
  default = {
    web      = { tcp_ports = [22, 80, 443] }
    database = { tcp_ports = [5432], public = false }
  }
}

module "server" {
  source   = "../.."
  for_each = var.servers

  user_namespace     = "default"
  vs_name            = "fleet-${each.key}"
  vs_username        = "someone"
  vs_ssh_public_keys = var.ssh_public_keys

  vs_image        = "debian"
  vs_memory       = "512Mi"
  vs_cpu_count    = 1
  vs_root_storage = "4Gi"
  vs_gpu_enable   = false # one machine has no GPU to give

  vs_public_networking = each.value.public
  vs_tcp_ports         = each.value.tcp_ports
  vs_udp_ports         = []
}

output "addresses" {
  value = { for name, server in module.server : name => server.vs_network }
}
