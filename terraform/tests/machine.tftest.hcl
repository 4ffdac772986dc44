# What the variables of the machine, its disks and its start become.

mock_provider "kubernetes" {}

variables {
  user_namespace = "tenant"
  vs_username    = "someone"
  vs_wait        = false
}

run "name_labels_and_annotations" {
  command = plan

  variables {
    vs_name        = "web"
    vs_labels      = { team = "blue" }
    vs_annotations = { "virtualservers.coreweave.com/keep-disk" = "true" }
  }

  assert {
    condition     = output.manifest.metadata.name == "web" && output.manifest.metadata.labels == tomap({ team = "blue" }) && output.manifest.metadata.annotations["virtualservers.coreweave.com/keep-disk"] == "true"
    error_message = jsonencode(output.manifest.metadata)
  }
}

run "the_old_kubeconfig_path_is_ignored" {
  command = plan

  variables {
    kubeconfig_path = "/nowhere"
  }

  assert {
    condition     = output.manifest.spec.region == "ORD1"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "sizes_counts_and_image" {
  command = plan

  variables {
    vs_memory          = "512Mi"
    vs_root_storage    = "4Gi"
    vs_cpu_count       = 1
    vs_image           = "debian"
    vs_image_namespace = "mine"
    vs_os_type         = "windows"
  }

  assert {
    condition     = output.manifest.spec.resources.memory == "512Mi" && output.manifest.spec.storage.root.size == "4Gi" && output.manifest.spec.resources.cpu.count == 1 && output.manifest.spec.storage.root.source.pvc == { namespace = "mine", name = "debian" } && output.manifest.spec.os.type == "windows"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_gpu_can_be_switched_off" {
  command = plan

  variables {
    vs_gpu_enable = false
  }

  assert {
    condition     = !can(output.manifest.spec.resources.gpu)
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_gpu_can_be_chosen" {
  command = plan

  variables {
    vs_gpu       = "A40"
    vs_gpu_count = 2
  }

  assert {
    condition     = output.manifest.spec.resources.gpu == { type = "A40", count = 2 }
    error_message = jsonencode(output.manifest.spec)
  }
}

run "the_storage_class_follows_the_region" {
  command = plan

  variables {
    vs_region = "LAS1"
  }

  assert {
    condition     = output.manifest.spec.region == "LAS1" && output.manifest.spec.storage.root.storageClassName == "block-nvme-las1"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_storage_class_can_be_named" {
  command = plan

  variables {
    vs_storage_class = "local"
  }

  assert {
    condition     = output.manifest.spec.storage.root.storageClassName == "local"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "additional_disks_of_all_kinds" {
  command = plan

  variables {
    vs_additional_disks = [{ name = "data", claim = "data" }, { name = "more", data_volume = "more", read_only = true }, { name = "scratch", empty = "1Gi", serial = "s1" }]
  }

  assert {
    condition     = output.manifest.spec.storage.additionalDisks[0].spec.persistentVolumeClaim.claimName == "data" && output.manifest.spec.storage.additionalDisks[1].spec.dataVolume.name == "more" && output.manifest.spec.storage.additionalDisks[1].readOnly && output.manifest.spec.storage.additionalDisks[2].spec.emptyDisk.capacity == "1Gi" && output.manifest.spec.storage.additionalDisks[2].serial == "s1"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "cloud_init_is_sent_as_written" {
  command = plan

  variables {
    vs_cloud_init = "packages: [nginx]\n"
  }

  assert {
    condition     = output.manifest.spec.cloudInit == "packages: [nginx]\n"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_script_is_sent_as_written" {
  command = plan

  variables {
    vs_cloud_init = "#!/bin/sh\necho hello\n"
  }

  assert {
    condition     = output.manifest.spec.cloudInit == "#!/bin/sh\necho hello\n"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "an_empty_cloud_init_is_sound" {
  command = plan

  variables {
    vs_cloud_init = "# nothing"
  }

  assert {
    condition     = output.manifest.spec.cloudInit == "# nothing"
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_server_that_is_not_to_run_is_halted" {
  command = plan

  variables {
    vs_running = false
  }

  assert {
    condition     = output.manifest.spec.runStrategy == "Halted" && output.manifest.spec.initializeRunning == false
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_run_strategy_can_be_chosen" {
  command = plan

  variables {
    vs_run_strategy = "Always"
  }

  assert {
    condition     = output.manifest.spec.runStrategy == "Always" && output.manifest.spec.initializeRunning == true
    error_message = jsonencode(output.manifest.spec)
  }
}

run "a_name_in_upper_case_is_refused" {
  command = plan

  variables {
    vs_name = "MY-VS"
  }

  expect_failures = [var.vs_name]
}

run "a_name_of_60_characters_is_refused" {
  command = plan

  variables {
    vs_name = join("", [for number in range(60) : "a"])
  }

  expect_failures = [var.vs_name]
}

run "a_namespace_with_a_dot_is_refused" {
  command = plan

  variables {
    user_namespace = "a.b"
  }

  expect_failures = [var.user_namespace]
}

run "the_annotation_of_the_module_is_refused" {
  command = plan

  variables {
    vs_annotations = { "virtualservers.coreweave.com/revision" = "1" }
  }

  expect_failures = [var.vs_annotations]
}

run "the_time_of_the_module_is_refused_too" {
  command = plan

  variables {
    vs_annotations = { "virtualservers.coreweave.com/settle-within" = "1m" }
  }

  expect_failures = [var.vs_annotations]
}

run "no_memory_is_refused" {
  command = plan

  variables {
    vs_memory = "0Gi"
  }

  expect_failures = [var.vs_memory]
}

run "memory_in_words_is_refused" {
  command = plan

  variables {
    vs_memory = "16 GB"
  }

  expect_failures = [var.vs_memory]
}

run "a_root_disk_in_words_is_refused" {
  command = plan

  variables {
    vs_root_storage = "large"
  }

  expect_failures = [var.vs_root_storage]
}

run "an_unknown_system_is_refused" {
  command = plan

  variables {
    vs_os_type = "plan9"
  }

  expect_failures = [var.vs_os_type]
}

run "an_empty_image_is_refused" {
  command = plan

  variables {
    vs_image = ""
  }

  expect_failures = [var.vs_image]
}

run "no_cpu_is_refused" {
  command = plan

  variables {
    vs_cpu_count = 0
  }

  expect_failures = [var.vs_cpu_count]
}

run "half_a_gpu_is_refused" {
  command = plan

  variables {
    vs_gpu_count = 0.5
  }

  expect_failures = [var.vs_gpu_count]
}

run "an_empty_gpu_type_is_refused" {
  command = plan

  variables {
    vs_gpu = ""
  }

  expect_failures = [var.vs_gpu]
}

run "a_disk_of_two_kinds_is_refused" {
  command = plan

  variables {
    vs_additional_disks = [{ name = "data", claim = "data", empty = "1Gi" }]
  }

  expect_failures = [var.vs_additional_disks]
}

run "a_disk_without_a_source_is_refused" {
  command = plan

  variables {
    vs_additional_disks = [{ name = "data" }]
  }

  expect_failures = [var.vs_additional_disks]
}

run "repeated_disks_are_refused" {
  command = plan

  variables {
    vs_additional_disks = [{ name = "data", claim = "a" }, { name = "data", claim = "b" }]
  }

  expect_failures = [var.vs_additional_disks]
}

run "cloud_init_that_is_a_list_is_refused" {
  command = plan

  variables {
    vs_cloud_init = "- nginx"
  }

  expect_failures = [var.vs_cloud_init]
}

run "cloud_init_of_more_than_900_kib_is_refused" {
  command = plan

  variables {
    vs_cloud_init = format("a: %921600s", "b")
  }

  expect_failures = [var.vs_cloud_init]
}

run "halted_as_a_strategy_is_refused" {
  command = plan

  variables {
    vs_run_strategy = "Halted"
  }

  expect_failures = [var.vs_run_strategy]
}
