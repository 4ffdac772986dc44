# What the examples with objects of their own beside the server become.

mock_provider "kubernetes" {}

run "a_floating_address_is_that_of_the_service_which_the_example_makes" {
  command = apply

  module {
    source = "./examples/floating"
  }

  override_data {
    target = module.server.data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled    = "k-1 Ready"
          network    = { internalIP = "10.42.0.1", externalIP = "", serviceIP = "", floatingIPs = { web-address = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  assert {
    condition     = kubernetes_manifest.address.manifest.spec.type == "LoadBalancer" && !can(kubernetes_manifest.address.manifest.spec.selector)
    error_message = jsonencode(kubernetes_manifest.address.manifest)
  }

  assert {
    condition     = module.server.manifest.spec.network == { public = true, floatingIPs = [{ serviceName = "web-address" }], dnsPolicy = "ClusterFirst" }
    error_message = jsonencode(module.server.manifest.spec.network)
  }

  assert {
    condition     = output.floating_ips == { web-address = "203.0.113.9" }
    error_message = jsonencode(output.floating_ips)
  }
}

run "one_server_is_on_both_networks_and_the_other_on_the_vpc_alone" {
  command = apply

  variables {
    vpc = "office"
  }

  module {
    source = "./examples/vpc"
  }

  override_data {
    target = module.firewall.data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled    = "k-1 Ready"
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7" }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  override_data {
    target = module.inside.data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled    = "k-1 Ready"
          network    = { internalIP = "", externalIP = "", serviceIP = "" }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  assert {
    condition     = kubernetes_manifest.vpc.manifest.metadata.name == "office" && jsondecode(kubernetes_manifest.vpc.manifest.spec.config).type == "bridge"
    error_message = jsonencode(kubernetes_manifest.vpc.manifest)
  }

  assert {
    condition     = module.firewall.manifest.spec.network == { public = true, tcp = { ports = tolist([22]) }, vpcs = [{ name = "office" }], dnsPolicy = "ClusterFirst" }
    error_message = jsonencode(module.firewall.manifest.spec.network)
  }

  assert {
    condition     = module.inside.manifest.spec.network == { public = true, disableK8sNetworking = true, vpcs = [{ name = "office" }], dnsPolicy = "ClusterFirst" }
    error_message = jsonencode(module.inside.manifest.spec.network)
  }

  assert {
    condition     = output.address == "203.0.113.7" && module.inside.vs_network == null
    error_message = "${output.address}, ${jsonencode(module.inside.vs_network)}"
  }
}
