# The README's tables are made of the files variables*.tf: tools/terraform_docs.py.

# Whose server it is

variable "kubeconfig_path" {
  type        = string
  default     = null
  description = "Ignored, so that old calls still work: configure the provider where you call the module."
}

variable "user_namespace" {
  type        = string
  nullable    = false
  description = "Namespace of the server. It must exist."

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.user_namespace))
    error_message = "user_namespace: \"${var.user_namespace}\" is no namespace: use at most 63 lower-case letters, digits and dashes."
  }
}

variable "vs_name" {
  type        = string
  default     = "my-vs"
  nullable    = false
  description = "Name of the server, and its host name: at most 59 lower-case letters, digits and dashes."

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,57}[a-z0-9])?$", var.vs_name))
    error_message = "vs_name: \"${var.vs_name}\" is no name for a server: use at most 59 lower-case letters, digits and dashes, because Services are named after it."
  }
}

variable "vs_labels" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Labels of the VirtualServer."
}

variable "vs_annotations" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Annotations of the VirtualServer, such as `external-dns.alpha.kubernetes.io/hostname`, or `virtualservers.coreweave.com/keep-disk = \"true\"`, which keeps the root disk when the server is destroyed."

  validation {
    condition     = length(setintersection(keys(var.vs_annotations), [for word in ["revision", "settle-within"] : "virtualservers.coreweave.com/${word}"])) == 0
    error_message = "vs_annotations: virtualservers.coreweave.com/revision and settle-within are what this module waits by: remove them."
  }
}

# Who may log in

variable "vs_username" {
  type        = string
  nullable    = false
  description = "The user that the guest is to have; with sudo."

  validation {
    condition     = trimspace(var.vs_username) != ""
    error_message = "vs_username: is empty: name the user."
  }
}

variable "vs_password" {
  type        = string
  default     = null
  sensitive   = true
  description = "The user's password; needs `vs_generate_password = false`. It is kept in a Secret and in the state; `vs_password_secret` keeps it out of the state."
}

variable "vs_generate_password" {
  type        = bool
  default     = true
  nullable    = false
  description = "Generate a password once and keep it in a Secret; read it with `terraform output vs_password`. Without effect where `vs_password_secret` is given."

  validation {
    condition     = !(var.vs_generate_password && var.vs_password != null)
    error_message = "vs_generate_password: is true, so vs_password would have no effect: set vs_generate_password = false, or remove vs_password."
  }
}

variable "vs_password_secret" {
  type = object({
    name = string
    key  = optional(string, "password")
  })
  default     = null
  description = "A Secret of the namespace, made elsewhere, that holds the password: it is then neither in the state nor in any output."

  validation {
    condition     = var.vs_password_secret == null || var.vs_password == null
    error_message = "vs_password_secret: excludes vs_password: remove one of the two."
  }
}

variable "vs_ssh_public_keys" {
  type        = list(string)
  default     = []
  nullable    = false
  description = "Public ssh keys of the user."

  validation {
    condition     = alltrue([for key in var.vs_ssh_public_keys : trimspace(key) != "" && !strcontains(trimspace(key), "\n")])
    error_message = "vs_ssh_public_keys: write one key in each item, without line breaks inside."
  }
}

# The machine

variable "vs_memory" {
  type        = string
  default     = "16Gi"
  nullable    = false
  description = "Memory."

  validation {
    condition     = can(regex("^(\\d+(\\.\\d*)?|\\.\\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\\d+)?$", var.vs_memory)) && can(regex("^[0.]*[1-9]", var.vs_memory))
    error_message = "vs_memory: \"${var.vs_memory}\" is no amount: write a number more than 0 with a unit, such as 8Gi."
  }
}

variable "vs_root_storage" {
  type        = string
  default     = "80Gi"
  nullable    = false
  description = "Size of the root disk. It may grow later, never shrink."

  validation {
    condition     = can(regex("^(\\d+(\\.\\d*)?|\\.\\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\\d+)?$", var.vs_root_storage)) && can(regex("^[0.]*[1-9]", var.vs_root_storage))
    error_message = "vs_root_storage: \"${var.vs_root_storage}\" is no amount: write a number more than 0 with a unit, such as 80Gi."
  }
}

variable "vs_os_type" {
  type        = string
  default     = "linux"
  nullable    = false
  description = "`linux` or `windows`."

  validation {
    condition     = contains(["linux", "windows"], var.vs_os_type)
    error_message = "vs_os_type: \"${var.vs_os_type}\" is not known: use linux or windows."
  }
}

variable "vs_image" {
  type        = string
  default     = "ubuntu2004-docker-master-20210601-ord1"
  nullable    = false
  description = "Name of the image, a PersistentVolumeClaim in `vs_image_namespace`. On one machine: `debian`, or `vs image list`."

  validation {
    condition     = var.vs_image != ""
    error_message = "vs_image: is empty: name an image (on one machine, `vs image list` shows them)."
  }
}

variable "vs_gpu" {
  type        = string
  default     = "Quadro_RTX_4000"
  nullable    = false
  description = "Type of the GPU, where `vs_gpu_enable` is true."

  validation {
    condition     = var.vs_gpu != "" || !var.vs_gpu_enable
    error_message = "vs_gpu: is empty: name a type, or set vs_gpu_enable = false."
  }
}

variable "vs_gpu_enable" {
  type        = bool
  default     = true
  nullable    = false
  description = "Whether the server has GPUs. One machine has none to give: set `vs_gpu_enable = false` there."
}

variable "vs_gpu_count" {
  type        = number
  default     = 1
  nullable    = false
  description = "How many GPUs, where `vs_gpu_enable` is true."

  validation {
    condition     = var.vs_gpu_count >= 1 && floor(var.vs_gpu_count) == var.vs_gpu_count
    error_message = "vs_gpu_count: ${var.vs_gpu_count} is no number of GPUs: ask for at least one, or set vs_gpu_enable = false."
  }
}

variable "vs_cpu_count" {
  type        = number
  default     = 3
  nullable    = false
  description = "Processor cores."

  validation {
    condition     = var.vs_cpu_count >= 1 && floor(var.vs_cpu_count) == var.vs_cpu_count
    error_message = "vs_cpu_count: ${var.vs_cpu_count} is no number of cores: ask for at least one."
  }
}

variable "vs_region" {
  type        = string
  default     = "ORD1"
  nullable    = false
  description = "Where the server runs, and whose address pools it uses."
}

variable "vs_image_namespace" {
  type        = string
  default     = "vd-images"
  nullable    = false
  description = "Namespace of the image."
}

variable "vs_storage_class" {
  type        = string
  default     = null
  description = "Storage class of the root disk. null: `block-nvme-REGION`, the region in lower case."
}

variable "vs_additional_disks" {
  type = list(object({
    name        = string
    claim       = optional(string)
    data_volume = optional(string)
    empty       = optional(string)
    read_only   = optional(bool)
    serial      = optional(string)
  }))
  default     = []
  nullable    = false
  description = "More disks, each from a PersistentVolumeClaim (`claim`), a DataVolume (`data_volume`), or new and `empty` with this size."

  validation {
    condition     = alltrue([for disk in var.vs_additional_disks : disk.name != "" && length([for source in [disk.claim, disk.data_volume, disk.empty] : source if source != null]) == 1])
    error_message = "vs_additional_disks: give each a name and exactly one of claim, data_volume and empty."
  }

  validation {
    condition     = length(distinct(var.vs_additional_disks[*].name)) == length(var.vs_additional_disks)
    error_message = "vs_additional_disks: ${join(", ", var.vs_additional_disks[*].name)}: name each disk once."
  }
}

variable "vs_cloud_init" {
  type        = string
  default     = null
  description = "A cloud-config (a YAML mapping) that is merged into the guest's, or by its first line another of cloud-init's formats, such as a script. It is in the state and can be read by all who may read VirtualServers."

  validation {
    # Of what cannot be read here, cloud-init and the server's conditions are the judges: Terraform reads a part of YAML only.
    condition     = var.vs_cloud_init == null || can(regex("(?i)^\\s*(#!|#cloud-boothook|#cloud-config-archive|#include|#part-handler|#ps1|## template:|content-type:|mime-version:|rem cmd)", var.vs_cloud_init)) || !can(yamldecode(var.vs_cloud_init)) || try(yamldecode(var.vs_cloud_init) == null, false) || can(keys(yamldecode(var.vs_cloud_init)))
    error_message = "vs_cloud_init: is no YAML mapping: write keys and values, such as \"packages: [nginx]\"."
  }

  validation {
    condition     = var.vs_cloud_init == null || length(replace(base64encode(coalesce(var.vs_cloud_init, "-")), "=", "")) * 3 / 4 < 921601
    error_message = "vs_cloud_init: has more than 921600 bytes, and must fit in a Secret beside the users: let the guest fetch the rest itself."
  }
}

# Whether it runs

variable "vs_running" {
  type        = bool
  default     = true
  nullable    = false
  description = "true: the server is started when it is made, and follows `vs_run_strategy`. false: it is stopped. A server that somebody stops or starts by hand stays so until this value changes."
}

variable "vs_run_strategy" {
  type        = string
  default     = "RerunOnFailure"
  nullable    = false
  description = "`Always`, `RerunOnFailure` or `Manual`: whether the machine is started again after it ended."

  validation {
    condition     = contains(["Always", "RerunOnFailure", "Manual"], var.vs_run_strategy)
    error_message = "vs_run_strategy: \"${var.vs_run_strategy}\" is not one of Always, RerunOnFailure, Manual: choose one (for Halted, set vs_running = false)."
  }
}

# What Terraform does

variable "vs_wait" {
  type        = bool
  default     = true
  nullable    = false
  description = "Wait until the server is Ready, or stopped where `vs_running` is false."
}

variable "vs_ready_timeout" {
  type        = string
  default     = "10m"
  nullable    = false
  description = "How long to wait for a server that is to run."

  validation {
    condition     = can(regex("^([0-9]+[hms])+$", var.vs_ready_timeout))
    error_message = "vs_ready_timeout: \"${var.vs_ready_timeout}\" is no duration: write one such as 10m or 1h30m."
  }
}

variable "vs_stopped_timeout" {
  type        = string
  default     = "6m"
  nullable    = false
  description = "How long to wait for a server that is to stop; a Windows guest may take 5 minutes."

  validation {
    condition     = can(regex("^([0-9]+[hms])+$", var.vs_stopped_timeout))
    error_message = "vs_stopped_timeout: \"${var.vs_stopped_timeout}\" is no duration: write one such as 6m."
  }
}

variable "vs_delete_timeout" {
  type        = string
  default     = "10m"
  nullable    = false
  description = "How long to wait for a server to be gone."

  validation {
    condition     = can(regex("^([0-9]+[hms])+$", var.vs_delete_timeout))
    error_message = "vs_delete_timeout: \"${var.vs_delete_timeout}\" is no duration: write one such as 10m."
  }
}

variable "vs_force_conflicts" {
  type        = bool
  default     = false
  nullable    = false
  description = "Take over fields that another client wrote (`kubectl edit`, an imported server) instead of failing with a conflict."
}
