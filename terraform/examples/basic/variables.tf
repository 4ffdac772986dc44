# As the Terraform tab of the networking page prints them.
variable "vs_public_networking" {
  default = true
}

variable "vs_attach_loadbalancer" {
  description = "Attach Service LoadBalancer IP directly to VS (vs_tcp_ports and vs_udp_ports must be empty)."
  default     = false
}

variable "vs_tcp_ports" {
  type    = list(any)
  default = [22, 443, 60443, 4172, 3389]
}

variable "vs_udp_ports" {
  type    = list(any)
  default = [4172, 3389]
}
