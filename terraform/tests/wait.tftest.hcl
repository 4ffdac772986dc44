# What is waited for, and what the outputs say of it.

mock_provider "kubernetes" {}

variables {
  user_namespace = "tenant"
  vs_username    = "someone"
}

run "a_server_that_is_to_run_is_waited_for_until_it_is_ready" {
  command = apply

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  assert {
    condition     = kubernetes_manifest.virtualserver.wait[0].fields["status.observedRevision"] == "^${output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"]}$"
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  assert {
    condition     = can(regex(kubernetes_manifest.virtualserver.wait[0].fields["status.conditions[0].reason"], "VirtualServerReady"))
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  assert {
    condition     = !can(regex(kubernetes_manifest.virtualserver.wait[0].fields["status.conditions[0].reason"], "Starting"))
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  assert {
    condition     = kubernetes_manifest.virtualserver.timeouts[0].create == "10m" && kubernetes_manifest.virtualserver.timeouts[0].delete == "10m"
    error_message = jsonencode(kubernetes_manifest.virtualserver.timeouts)
  }

  assert {
    condition     = output.status.ready && output.vs_network == "203.0.113.7" && output.external_ip == "203.0.113.7" && output.internal_ip == "10.42.0.1" && output.floating_ips == { web = "203.0.113.9" }
    error_message = jsonencode(output.status)
  }
}

run "without_an_outer_address_the_network_is_the_inner_one" {
  command = apply

  variables {
    vs_tcp_ports         = []
    vs_udp_ports         = []
    vs_public_networking = false
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "10.42.0.1", externalIP = "", serviceIP = "" }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  assert {
    condition     = output.vs_network == "10.42.0.1" && output.external_ip == null && output.floating_ips == {}
    error_message = jsonencode(output.status)
  }
}

run "a_server_that_was_stopped_by_hand_is_left_and_told_of" {
  command = apply

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "VirtualServerStopped", message = "the machine is stopped" }]
        }
      }
    }
  }

  assert {
    condition     = can(regex(kubernetes_manifest.virtualserver.wait[0].fields["status.conditions[0].reason"], "VirtualServerStopped"))
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  expect_failures = [check.runs_as_wished]
}

run "a_needed_restart_is_told_of" {
  command = apply

  variables {
    vs_attach_loadbalancer = true
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "RestartRequired", message = "virtctl restart my-vs" }]
        }
      }
    }
  }

  expect_failures = [check.runs_as_wished]
}

run "what_the_operator_refuses_is_an_error" {
  command = apply

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "NotSupportedYet", message = "spec.resources.gpu: ... vs_gpu_enable = false" }]
        }
      }
    }
  }

  expect_failures = [data.kubernetes_resource.virtualserver]
}

run "a_server_that_is_not_to_run_is_waited_for_until_it_is_stopped" {
  command = apply

  variables {
    vs_running         = false
    vs_stopped_timeout = "2m"
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          network    = { internalIP = "", externalIP = "", serviceIP = "" }
          conditions = [{ type = "Ready", status = "False", reason = "VirtualServerStopped", message = "the machine is stopped" }]
        }
      }
    }
  }

  assert {
    condition     = can(regex(kubernetes_manifest.virtualserver.wait[0].fields["status.conditions[0].reason"], "VirtualServerStopped"))
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  assert {
    condition     = kubernetes_manifest.virtualserver.timeouts[0].update == "2m"
    error_message = jsonencode(kubernetes_manifest.virtualserver.timeouts)
  }

  assert {
    condition     = !output.status.ready && output.status.conditions["Ready"].reason == "VirtualServerStopped"
    error_message = jsonencode(output.status)
  }
}

run "nothing_is_waited_for_when_that_is_switched_off" {
  command = apply

  variables {
    vs_wait            = false
    vs_force_conflicts = true
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = { object = null }
  }

  assert {
    condition     = length(kubernetes_manifest.virtualserver.wait) == 0
    error_message = jsonencode(kubernetes_manifest.virtualserver.wait)
  }

  assert {
    condition     = kubernetes_manifest.virtualserver.field_manager[0].force_conflicts
    error_message = "conflicts are not forced"
  }

  assert {
    condition     = output.vs_network == null && output.internal_ip == null && output.floating_ips == {} && !output.status.ready
    error_message = jsonencode(output.status)
  }
}

run "ready_timeout_in_words_is_refused" {
  command = plan

  variables {
    vs_ready_timeout = "ten minutes"
    vs_wait          = false
  }

  expect_failures = [var.vs_ready_timeout]
}

run "stopped_timeout_in_words_is_refused" {
  command = plan

  variables {
    vs_stopped_timeout = "ten minutes"
    vs_wait            = false
  }

  expect_failures = [var.vs_stopped_timeout]
}

run "delete_timeout_in_words_is_refused" {
  command = plan

  variables {
    vs_delete_timeout = "ten minutes"
    vs_wait           = false
  }

  expect_failures = [var.vs_delete_timeout]
}
