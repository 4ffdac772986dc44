# The network

variable "vs_public_networking" {
  type        = bool
  default     = true
  nullable    = false
  description = "true: the server's address is a public one. false: a private one."
}

variable "vs_attach_loadbalancer" {
  type        = bool
  default     = false
  nullable    = false
  description = "Attach the load balancer address to the server itself: every port and protocol. `vs_tcp_ports` and `vs_udp_ports` must then be null or empty."

  validation {
    condition     = !(var.vs_attach_loadbalancer && length(concat(coalesce(var.vs_tcp_ports, []), coalesce(var.vs_udp_ports, []))) > 0)
    error_message = "vs_attach_loadbalancer: lets every port in, so vs_tcp_ports and vs_udp_ports must be empty: set both to [] or leave them out, or set vs_attach_loadbalancer = false."
  }
}

variable "vs_tcp_ports" {
  type        = list(number)
  default     = null
  description = "TCP ports that are published, at most 10; [] for none. null: `[22, 443, 60443, 4172, 3389]`, or none with `vs_attach_loadbalancer` or `vs_disable_k8s_networking`."

  validation {
    condition     = alltrue([for port in coalesce(var.vs_tcp_ports, []) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "vs_tcp_ports: ${join(", ", coalesce(var.vs_tcp_ports, []))}: use whole numbers from 1 to 65535."
  }

  validation {
    condition     = length(distinct(coalesce(var.vs_tcp_ports, []))) == length(coalesce(var.vs_tcp_ports, []))
    error_message = "vs_tcp_ports: ${join(", ", coalesce(var.vs_tcp_ports, []))}: a port is repeated: name each port once."
  }

  validation {
    condition     = length(coalesce(var.vs_tcp_ports, [])) <= 10
    error_message = "vs_tcp_ports: ${length(coalesce(var.vs_tcp_ports, []))} ports are given, 10 are allowed: remove some, or use vs_attach_loadbalancer."
  }
}

variable "vs_udp_ports" {
  type        = list(number)
  default     = null
  description = "UDP ports that are published, at most 10; [] for none. null: `[4172, 3389]`, or none with `vs_attach_loadbalancer` or `vs_disable_k8s_networking`."

  validation {
    condition     = alltrue([for port in coalesce(var.vs_udp_ports, []) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "vs_udp_ports: ${join(", ", coalesce(var.vs_udp_ports, []))}: use whole numbers from 1 to 65535."
  }

  validation {
    condition     = length(distinct(coalesce(var.vs_udp_ports, []))) == length(coalesce(var.vs_udp_ports, []))
    error_message = "vs_udp_ports: ${join(", ", coalesce(var.vs_udp_ports, []))}: a port is repeated: name each port once."
  }

  validation {
    condition     = length(coalesce(var.vs_udp_ports, [])) <= 10
    error_message = "vs_udp_ports: ${length(coalesce(var.vs_udp_ports, []))} ports are given, 10 are allowed: remove some, or use vs_attach_loadbalancer."
  }
}

variable "vs_floating_ips" {
  type        = any
  default     = []
  nullable    = false
  description = "A list of addresses that are added to the server: each `{ serviceName = NAME }` or `NAME`, a LoadBalancer Service of the namespace, or an address."

  validation {
    condition = alltrue([for item in var.vs_floating_ips : anytrue([
      can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", try(item.serviceName, item))),
      can(regex("^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.|$)){4}$", item)),
      can(regex(":", item)) && can(cidrhost("${item}/128", 0)),
    ])])
    error_message = "vs_floating_ips: ${jsonencode(var.vs_floating_ips)}: write each as { serviceName = NAME } or the NAME of a Service of the namespace, or as an IPv4 or IPv6 address."
  }

  validation {
    condition     = length(var.vs_floating_ips) <= 10
    error_message = "vs_floating_ips: ${length(var.vs_floating_ips)} are given, 10 are allowed: remove some."
  }
}

variable "vs_mac_address" {
  type        = string
  default     = null
  description = "MAC address of the cluster NIC, as `A2-1F-EE-09-06-5D` or `a2:1f:ee:09:06:5d`. null: one derived from the name."

  validation {
    condition     = var.vs_mac_address == null || can(regex("^([0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5})$", var.vs_mac_address))
    error_message = "vs_mac_address: is no MAC address: write it like A2-1F-EE-09-06-5D or a2:1f:ee:09:06:5d, or leave it out and one is derived."
  }

  validation {
    condition     = var.vs_mac_address == null || !can(regex("^[0-9A-Fa-f][013-57-9B-DFb-df]", var.vs_mac_address))
    error_message = "vs_mac_address: is not local unicast, so it could be another device's: make its second digit 2, 6, a or e, or leave it out and one is derived."
  }
}

variable "vs_dns_policy" {
  type        = string
  default     = "ClusterFirst"
  nullable    = false
  description = "`ClusterFirst`, `ClusterFirstWithHostNet`, `Default` or `None`, as for pods."

  validation {
    condition     = contains(["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], var.vs_dns_policy)
    error_message = "vs_dns_policy: \"${var.vs_dns_policy}\" is not known: use ClusterFirst, ClusterFirstWithHostNet, Default or None."
  }

  validation {
    condition     = var.vs_dns_policy != "None" || length(try(var.vs_dns_config.nameservers, [])) > 0
    error_message = "vs_dns_policy: None needs nameservers in vs_dns_config, because the guest would have no resolver: add them, or choose another policy."
  }
}

variable "vs_dns_config" {
  type = object({
    nameservers = optional(list(string), [])
    searches    = optional(list(string), [])
    options = optional(list(object({
      name  = string
      value = optional(string)
    })), [])
  })
  default     = null
  description = "The guest's resolver, as for pods: nameservers, searches, options."
}

variable "vs_headless" {
  type        = bool
  default     = false
  nullable    = false
  description = "Make a headless Service when nothing else is exposed, so that cluster DNS knows the server."
}

variable "vs_vpcs" {
  type        = list(string)
  default     = []
  nullable    = false
  description = "Names of layer 2 VPCs, at most 10: one NIC for each, in this order, after the cluster NIC."

  validation {
    condition     = length(var.vs_vpcs) <= 10 && length(distinct(var.vs_vpcs)) == length(var.vs_vpcs) && !contains(var.vs_vpcs, "")
    error_message = "vs_vpcs: ${join(", ", var.vs_vpcs)}: name at most 10 VPCs, each once."
  }
}

variable "vs_disable_k8s_networking" {
  type        = bool
  default     = false
  nullable    = false
  description = "No cluster NIC at all: only the VPCs' NICs."

  validation {
    condition = !var.vs_disable_k8s_networking || !anytrue([
      length(concat(coalesce(var.vs_tcp_ports, []), coalesce(var.vs_udp_ports, []))) > 0,
      var.vs_attach_loadbalancer,
      var.vs_headless,
      length(var.vs_floating_ips) > 0,
    ])
    error_message = "vs_disable_k8s_networking: leaves no cluster NIC, which vs_tcp_ports, vs_udp_ports, vs_attach_loadbalancer, vs_headless and vs_floating_ips would need: remove one of the two."
  }
}
