# What each network variable becomes, and what is refused: the same as the CRD refuses.

mock_provider "kubernetes" {}

variables {
  user_namespace = "tenant"
  vs_username    = "someone"
  vs_wait        = false
}

run "ports_that_are_given_replace_the_published_lists" {
  command = plan

  variables {
    vs_tcp_ports = [22, 80]
    vs_udp_ports = [53]
  }

  assert {
    condition     = output.manifest.spec.network.tcp.ports == tolist([22, 80]) && output.manifest.spec.network.udp.ports == tolist([53])
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "ports_as_text_are_numbers" {
  command = plan

  variables {
    vs_tcp_ports = ["22", "443"]
  }

  assert {
    condition     = output.manifest.spec.network.tcp.ports == tolist([22, 443])
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "empty_lists_publish_nothing" {
  command = plan

  variables {
    vs_tcp_ports = []
    vs_udp_ports = []
  }

  assert {
    condition     = !can(output.manifest.spec.network.tcp) && !can(output.manifest.spec.network.udp)
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "null_means_the_published_lists" {
  command = plan

  variables {
    vs_tcp_ports = null
    vs_udp_ports = null
  }

  assert {
    condition     = length(output.manifest.spec.network.tcp.ports) == 5 && length(output.manifest.spec.network.udp.ports) == 2
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "direct_attach_alone_publishes_no_ports" {
  command = plan

  variables {
    vs_attach_loadbalancer = true
  }

  assert {
    condition     = output.manifest.spec.network == { public = true, directAttachLoadBalancerIP = true, dnsPolicy = "ClusterFirst" }
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "direct_attach_takes_empty_lists" {
  command = plan

  variables {
    vs_attach_loadbalancer = true
    vs_tcp_ports           = []
    vs_udp_ports           = []
    vs_public_networking   = false
  }

  assert {
    condition     = output.manifest.spec.network.directAttachLoadBalancerIP && !output.manifest.spec.network.public && !can(output.manifest.spec.network.tcp) && !can(output.manifest.spec.network.udp)
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "private_ports" {
  command = plan

  variables {
    vs_public_networking = false
  }

  assert {
    condition     = output.manifest.spec.network.public == false && length(output.manifest.spec.network.tcp.ports) == 5
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "headless" {
  command = plan

  variables {
    vs_headless  = true
    vs_tcp_ports = []
    vs_udp_ports = []
  }

  assert {
    condition     = output.manifest.spec.network.headless == true
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "floating_addresses_in_all_forms" {
  command = plan

  variables {
    vs_floating_ips = [{ serviceName = "web" }, "mail", "240.141.77.141", "2001:db8::1"]
  }

  assert {
    condition     = output.manifest.spec.network.floatingIPs == [{ serviceName = "web" }, "mail", "240.141.77.141", "2001:db8::1"]
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "mac_addresses_are_sent_as_written" {
  command = plan

  variables {
    vs_mac_address = "A2-1F-EE-09-06-5D"
  }

  assert {
    condition     = output.manifest.spec.network.macAddress == "A2-1F-EE-09-06-5D"
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "mac_addresses_with_colons" {
  command = plan

  variables {
    vs_mac_address = "a2:1f:ee:09:06:5d"
  }

  assert {
    condition     = output.manifest.spec.network.macAddress == "a2:1f:ee:09:06:5d"
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "dns_is_sent_as_given" {
  command = plan

  variables {
    vs_dns_policy = "None"
    vs_dns_config = { nameservers = ["192.0.2.53"], options = [{ name = "ndots", value = "2" }, { name = "rotate" }] }
  }

  assert {
    condition     = output.manifest.spec.network.dnsPolicy == "None" && output.manifest.spec.network.dnsConfig.nameservers == tolist(["192.0.2.53"]) && !can(output.manifest.spec.network.dnsConfig.searches) && output.manifest.spec.network.dnsConfig.options[0].value == "2" && !can(output.manifest.spec.network.dnsConfig.options[1].value)
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "vpcs_keep_their_order" {
  command = plan

  variables {
    vs_vpcs = ["blue", "amber"]
  }

  assert {
    condition     = output.manifest.spec.network.vpcs == [{ name = "blue" }, { name = "amber" }]
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "no_cluster_network_publishes_nothing" {
  command = plan

  variables {
    vs_disable_k8s_networking = true
    vs_vpcs                   = ["blue"]
  }

  assert {
    condition     = output.manifest.spec.network.disableK8sNetworking && !can(output.manifest.spec.network.tcp) && !can(output.manifest.spec.network.udp)
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "direct_attach_with_tcp_ports_is_refused" {
  command = plan

  variables {
    vs_attach_loadbalancer = true
    vs_tcp_ports           = [22]
  }

  expect_failures = [var.vs_attach_loadbalancer]
}

run "direct_attach_with_udp_ports_is_refused" {
  command = plan

  variables {
    vs_attach_loadbalancer = true
    vs_udp_ports           = [53]
  }

  expect_failures = [var.vs_attach_loadbalancer]
}

run "tcp_port_0_is_refused" {
  command = plan

  variables {
    vs_tcp_ports = [0]
  }

  expect_failures = [var.vs_tcp_ports]
}

run "tcp_port_65536_is_refused" {
  command = plan

  variables {
    vs_tcp_ports = [65536]
  }

  expect_failures = [var.vs_tcp_ports]
}

run "a_fraction_of_a_port_is_refused" {
  command = plan

  variables {
    vs_tcp_ports = [22.5]
  }

  expect_failures = [var.vs_tcp_ports]
}

run "repeated_tcp_ports_are_refused" {
  command = plan

  variables {
    vs_tcp_ports = [22, 80, 22]
  }

  expect_failures = [var.vs_tcp_ports]
}

run "eleven_tcp_ports_are_refused" {
  command = plan

  variables {
    vs_tcp_ports = range(1, 12)
  }

  expect_failures = [var.vs_tcp_ports]
}

run "udp_port_0_is_refused" {
  command = plan

  variables {
    vs_udp_ports = [0]
  }

  expect_failures = [var.vs_udp_ports]
}

run "repeated_udp_ports_are_refused" {
  command = plan

  variables {
    vs_udp_ports = [53, 53]
  }

  expect_failures = [var.vs_udp_ports]
}

run "eleven_udp_ports_are_refused" {
  command = plan

  variables {
    vs_udp_ports = range(1, 12)
  }

  expect_failures = [var.vs_udp_ports]
}

run "three_octets_are_no_floating_address" {
  command = plan

  variables {
    vs_floating_ips = ["1.2.3"]
  }

  expect_failures = [var.vs_floating_ips]
}

run "a_name_in_upper_case_is_no_floating_address" {
  command = plan

  variables {
    vs_floating_ips = ["Web"]
  }

  expect_failures = [var.vs_floating_ips]
}

run "an_octet_of_256_is_no_floating_address" {
  command = plan

  variables {
    vs_floating_ips = ["192.0.2.256"]
  }

  expect_failures = [var.vs_floating_ips]
}

run "ten_floating_addresses_are_the_most" {
  command = plan

  variables {
    vs_floating_ips = [for number in range(10) : "s${number}"]
  }

  assert {
    condition     = length(output.manifest.spec.network.floatingIPs) == 10
    error_message = jsonencode(output.manifest.spec.network)
  }
}

run "eleven_floating_addresses_are_refused" {
  command = plan

  variables {
    vs_floating_ips = [for number in range(11) : "s${number}"]
  }

  expect_failures = [var.vs_floating_ips]
}

run "mixed_mac_forms_are_refused" {
  command = plan

  variables {
    vs_mac_address = "A2-1F:EE-09-06-5D"
  }

  expect_failures = [var.vs_mac_address]
}

run "a_mac_address_that_is_not_local_is_refused" {
  command = plan

  variables {
    vs_mac_address = "A0-1F-EE-09-06-5D"
  }

  expect_failures = [var.vs_mac_address]
}

run "a_multicast_mac_address_is_refused" {
  command = plan

  variables {
    vs_mac_address = "a3:1f:ee:09:06:5d"
  }

  expect_failures = [var.vs_mac_address]
}

run "an_unknown_dns_policy_is_refused" {
  command = plan

  variables {
    vs_dns_policy = "ClustrFirst"
  }

  expect_failures = [var.vs_dns_policy]
}

run "dns_none_without_nameservers_is_refused" {
  command = plan

  variables {
    vs_dns_policy = "None"
    vs_dns_config = { searches = ["example.com"] }
  }

  expect_failures = [var.vs_dns_policy]
}

run "repeated_vpcs_are_refused" {
  command = plan

  variables {
    vs_vpcs = ["blue", "blue"]
  }

  expect_failures = [var.vs_vpcs]
}

run "eleven_vpcs_are_refused" {
  command = plan

  variables {
    vs_vpcs = [for number in range(11) : "vpc${number}"]
  }

  expect_failures = [var.vs_vpcs]
}

run "no_cluster_network_with_ports_is_refused" {
  command = plan

  variables {
    vs_disable_k8s_networking = true
    vs_tcp_ports              = [22]
  }

  expect_failures = [var.vs_disable_k8s_networking]
}

run "no_cluster_network_with_direct_attach_is_refused" {
  command = plan

  variables {
    vs_disable_k8s_networking = true
    vs_attach_loadbalancer    = true
  }

  expect_failures = [var.vs_disable_k8s_networking]
}

run "no_cluster_network_with_headless_is_refused" {
  command = plan

  variables {
    vs_disable_k8s_networking = true
    vs_headless               = true
  }

  expect_failures = [var.vs_disable_k8s_networking]
}

run "no_cluster_network_with_floating_addresses_is_refused" {
  command = plan

  variables {
    vs_disable_k8s_networking = true
    vs_floating_ips           = ["web"]
  }

  expect_failures = [var.vs_disable_k8s_networking]
}
