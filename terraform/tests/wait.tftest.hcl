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
          settled    = "k-1 Ready"
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" }]
        }
      }
    }
  }

  assert {
    condition     = length(kubernetes_manifest.virtualserver.wait) == 0
    error_message = "what the server waits for taints the server"
  }

  assert {
    condition     = alltrue([for word in ["Ready", "Stopped", "Refused", "Waiting"] : can(regex(kubernetes_manifest.wait[0].wait[0].fields["status.settled"], "${output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"]} ${word}"))])
    error_message = jsonencode(kubernetes_manifest.wait[0].wait)
  }

  assert {
    condition     = !can(regex(kubernetes_manifest.wait[0].wait[0].fields["status.settled"], "${output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"]} Pending 2026-01-01T00:00:00Z")) && !can(regex(kubernetes_manifest.wait[0].wait[0].fields["status.settled"], "other-1 Ready"))
    error_message = jsonencode(kubernetes_manifest.wait[0].wait)
  }

  assert {
    condition     = kubernetes_manifest.wait[0].manifest.spec == { server = "my-vs", key = output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"] } && endswith(kubernetes_manifest.wait[0].manifest.spec.key, "-1")
    error_message = jsonencode(kubernetes_manifest.wait[0].manifest)
  }

  # The operator answers within the first; the provider gives up after that alone.
  assert {
    condition     = output.manifest.metadata.annotations["virtualservers.coreweave.com/settle-within"] == "10m" && kubernetes_manifest.wait[0].timeouts[0].create == "10m60s" && kubernetes_manifest.virtualserver.timeouts[0].delete == "10m"
    error_message = jsonencode(kubernetes_manifest.wait[0].timeouts)
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
          settled    = "k-1 Ready"
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
          settled    = "k-1 Stopped"
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "VirtualServerStopped", message = "the machine is stopped" }]
        }
      }
    }
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
          settled    = "k-1 Waiting"
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "RestartRequired", message = "vs restart my-vs" }]
        }
      }
    }
  }

  expect_failures = [check.runs_as_wished]
}

run "what_a_guest_that_has_started_does_not_hear_of_is_told" {
  command = apply

  variables {
    vs_ssh_public_keys = ["ssh-ed25519 AAAA"]
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled = "k-1 Ready"
          network = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7" }
          conditions = [
            { type = "Ready", status = "True", reason = "VirtualServerReady", message = "running" },
            { type = "FullyApplied", status = "False", reason = "FirstStartOnly", message = "spec.users[0].sshpublickey: the guest was told at its first start" },
          ]
        }
      }
    }
  }

  expect_failures = [check.reaches_the_guest]
}

run "what_the_operator_refuses_is_an_error" {
  command = apply

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled    = "k-1 Refused"
          network    = { internalIP = "10.42.0.1", externalIP = "203.0.113.7", serviceIP = "10.96.0.7", floatingIPs = { web = "203.0.113.9" } }
          conditions = [{ type = "Ready", status = "False", reason = "NotSupportedYet", message = "spec.resources.gpu: ... vs_gpu_enable = false" }]
        }
      }
    }
  }

  expect_failures = [data.kubernetes_resource.virtualserver]
}

run "a_server_that_takes_longer_is_an_error_in_the_operators_words" {
  command = apply

  variables {
    vs_memory = "8Gi"
  }

  override_data {
    target = data.kubernetes_resource.virtualserver
    values = {
      object = {
        status = {
          settled    = "k-1 Waiting"
          network    = { internalIP = "", externalIP = "", serviceIP = "" }
          conditions = [{ type = "Ready", status = "Unknown", reason = "Starting", message = "the machine is starting" }]
        }
      }
    }
  }

  expect_failures = [data.kubernetes_resource.virtualserver]
}

run "an_apply_after_one_that_did_not_end_well_is_another_attempt" {
  command = plan

  override_data {
    target = data.kubernetes_resources.before[0]
    values = {
      objects = [{
        metadata = { annotations = { "virtualservers.coreweave.com/revision" = "k-7" } }
        status   = { settled = "k-7 Refused", conditions = [{ type = "Ready", reason = "MACAddressTaken" }] }
      }]
    }
  }

  assert {
    condition     = can(regex("^[0-9a-f]{16}-2[0-9]{13}$", output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"]))
    error_message = jsonencode(output.manifest.metadata)
  }

  expect_failures = [check.runs_as_wished, check.reaches_the_guest] # what they say is not known while planning
}

run "a_server_that_was_never_answered_is_another_attempt" {
  command = plan

  override_data {
    target = data.kubernetes_resources.before[0]
    values = {
      objects = [{
        metadata = { annotations = { "virtualservers.coreweave.com/revision" = "k" } }
        status   = { settled = null, conditions = [{ type = "Ready", reason = null }] }
      }]
    }
  }

  assert {
    condition     = can(regex("^[0-9a-f]{16}-2[0-9]{13}$", output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"]))
    error_message = jsonencode(output.manifest.metadata)
  }

  expect_failures = [check.runs_as_wished, check.reaches_the_guest]
}

run "an_apply_after_one_that_ended_well_is_the_same_attempt" {
  command = plan

  override_data {
    target = data.kubernetes_resources.before[0]
    values = {
      objects = [{
        metadata = { annotations = { "virtualservers.coreweave.com/revision" = "k-7" } }
        status   = { settled = "k-7 Stopped", conditions = [{ type = "Ready", reason = "VirtualServerStopped" }] }
      }]
    }
  }

  assert {
    condition     = endswith(output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"], "-7")
    error_message = jsonencode(output.manifest.metadata)
  }

  expect_failures = [check.runs_as_wished, check.reaches_the_guest]
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
          settled    = "k-1 Stopped"
          network    = { internalIP = "", externalIP = "", serviceIP = "" }
          conditions = [{ type = "Ready", status = "False", reason = "VirtualServerStopped", message = "the machine is stopped" }]
        }
      }
    }
  }

  assert {
    condition     = output.manifest.metadata.annotations["virtualservers.coreweave.com/settle-within"] == "2m" && kubernetes_manifest.wait[0].timeouts[0].update == "2m60s"
    error_message = jsonencode(output.manifest.metadata)
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
    condition     = length(kubernetes_manifest.wait) == 0 && !can(output.manifest.metadata.annotations["virtualservers.coreweave.com/settle-within"])
    error_message = jsonencode(output.manifest.metadata)
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
