# The README's table is made of this file: tools/terraform_docs.py.

output "vs_network" {
  description = "The address at which the server is reached: the load balancer's, else its own; null while there is none."
  value       = try(coalesce(local.status.network.externalIP, local.status.network.internalIP), null)
}

output "internal_ip" {
  description = "The guest's own address, null where there is none."
  value       = try(coalesce(local.status.network.internalIP), null)
}

output "external_ip" {
  description = "The load balancer address, public or private; null where there is none."
  value       = try(coalesce(local.status.network.externalIP), null)
}

output "floating_ips" {
  description = "Floating addresses by Service."
  value       = { for service, address in try(local.status.network.floatingIPs, {}) : service => address }
}

output "status" {
  description = "`ready`, and `conditions` by type: `status`, `reason`, `message`."
  value = {
    ready      = local.ready.status == "True"
    conditions = local.conditions
  }
}

output "vs_password" {
  description = "The user's password, null where `vs_password_secret` is given."
  sensitive   = true
  value = (
    var.vs_password_secret != null ? null :
    var.vs_generate_password ? kubernetes_secret_v1.generated_password[0].data["password"] : var.vs_password
  )
}

output "manifest" {
  description = "The VirtualServer as it is sent; it holds no password."
  value       = local.manifest
}
