variable "ssh_public_keys" {
  type        = list(string)
  default     = []
  description = "Public ssh keys that may log in as `someone`."
}

variable "vpc" {
  type        = string
  default     = "blue"
  description = "Name of the VPC."
}

resource "kubernetes_manifest" "vpc" {
  manifest = {
    apiVersion = "k8s.cni.cncf.io/v1"
    kind       = "NetworkAttachmentDefinition"
    metadata   = { name = var.vpc, namespace = "default" }
    spec       = { config = jsonencode({ cniVersion = "0.3.1", name = var.vpc, type = "bridge" }) }
  }
}

module "firewall" {
  source = "../.."

  user_namespace     = "default"
  vs_name            = "firewall"
  vs_username        = "someone"
  vs_ssh_public_keys = var.ssh_public_keys

  vs_image        = "debian"
  vs_memory       = "512Mi"
  vs_cpu_count    = 1
  vs_root_storage = "4Gi"
  vs_gpu_enable   = false # one machine has no GPU to give

  vs_tcp_ports = [22]
  vs_udp_ports = []
  vs_vpcs      = [kubernetes_manifest.vpc.manifest.metadata.name]
}

module "inside" {
  source = "../.."

  user_namespace     = "default"
  vs_name            = "inside"
  vs_username        = "someone"
  vs_ssh_public_keys = var.ssh_public_keys

  vs_image        = "debian"
  vs_memory       = "512Mi"
  vs_cpu_count    = 1
  vs_root_storage = "4Gi"
  vs_gpu_enable   = false # one machine has no GPU to give

  vs_disable_k8s_networking = true
  vs_vpcs                   = [kubernetes_manifest.vpc.manifest.metadata.name]
}

output "address" {
  value = module.firewall.vs_network
}
