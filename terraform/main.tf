locals {
  # Nothing can be published where the server has every port already, or no cluster NIC.
  takes_ports = !(var.vs_attach_loadbalancer || var.vs_disable_k8s_networking)
  tcp_ports   = var.vs_tcp_ports != null ? var.vs_tcp_ports : local.takes_ports ? [22, 443, 60443, 4172, 3389] : []
  udp_ports   = var.vs_udp_ports != null ? var.vs_udp_ports : local.takes_ports ? [4172, 3389] : []

  dns_config = var.vs_dns_config == null ? null : {
    for key, value in {
      nameservers = var.vs_dns_config.nameservers
      searches    = var.vs_dns_config.searches
      options     = [for option in var.vs_dns_config.options : { for key, value in option : key => value if value != null }]
    } : key => value if length(value) > 0
  }

  # What is not asked for is left out, so that the API's own defaults hold and no plan shows them.
  network = {
    for key, value in {
      public                     = var.vs_public_networking
      directAttachLoadBalancerIP = var.vs_attach_loadbalancer ? true : null
      tcp                        = length(local.tcp_ports) > 0 ? { ports = local.tcp_ports } : null
      udp                        = length(local.udp_ports) > 0 ? { ports = local.udp_ports } : null
      floatingIPs                = length(var.vs_floating_ips) > 0 ? var.vs_floating_ips : null
      macAddress                 = var.vs_mac_address
      dnsPolicy                  = var.vs_dns_policy
      dnsConfig                  = local.dns_config
      headless                   = var.vs_headless ? true : null
      vpcs                       = length(var.vs_vpcs) > 0 ? [for name in var.vs_vpcs : { name = name }] : null
      disableK8sNetworking       = var.vs_disable_k8s_networking ? true : null
    } : key => value if value != null
  }

  disks = [
    for disk in var.vs_additional_disks : {
      for key, value in {
        name = disk.name
        spec = {
          for key, value in {
            persistentVolumeClaim = disk.claim == null ? null : { claimName = disk.claim }
            dataVolume            = disk.data_volume == null ? null : { name = disk.data_volume }
            emptyDisk             = disk.empty == null ? null : { capacity = disk.empty }
          } : key => value if value != null
        }
        readOnly = disk.read_only
        serial   = disk.serial
      } : key => value if value != null
    }
  ]

  # The password is in a Secret: whoever may read VirtualServers, plans or this module's outputs does not see it.
  password_secret = (
    var.vs_password_secret != null ? var.vs_password_secret :
    var.vs_generate_password ? { name = kubernetes_secret_v1.generated_password[0].metadata[0].name, key = "password" } :
    { name = kubernetes_secret_v1.password[0].metadata[0].name, key = "password" }
  )

  user = {
    for key, value in {
      username          = var.vs_username
      passwordSecretRef = local.password_secret
      sshpublickey      = length(var.vs_ssh_public_keys) > 0 ? join("\n", var.vs_ssh_public_keys[*]) : null
    } : key => value if value != null
  }

  spec = {
    for key, value in {
      region    = var.vs_region
      os        = { type = var.vs_os_type }
      resources = merge({ cpu = { count = var.vs_cpu_count }, memory = var.vs_memory }, var.vs_gpu_enable ? { gpu = { type = var.vs_gpu, count = var.vs_gpu_count } } : {})
      storage = merge({
        root = {
          size             = var.vs_root_storage
          storageClassName = coalesce(var.vs_storage_class, "block-nvme-${lower(var.vs_region)}")
          source           = { pvc = { namespace = var.vs_image_namespace, name = var.vs_image } }
        }
      }, length(local.disks) > 0 ? { additionalDisks = local.disks } : {})
      users             = [local.user]
      network           = local.network
      cloudInit         = var.vs_cloud_init
      initializeRunning = var.vs_running
      runStrategy       = var.vs_running ? var.vs_run_strategy : "Halted"
    } : key => value if value != null
  }

  # Where the apply before was refused, waited in vain or was cut off, this one is another attempt, which is answered anew.
  before      = try(data.kubernetes_resources.before[0].objects[0], null)
  answered    = try(local.before.metadata.annotations["virtualservers.coreweave.com/revision"], "")
  restarts    = try(local.before.status.conditions[0].reason, "") == "RestartRequired"
  was_settled = contains([for word in local.restarts ? ["Ready", "Stopped", "Waiting"] : ["Ready", "Stopped"] : "${local.answered} ${word}"], try(coalesce(local.before.status.settled), ""))
  last        = try(regex("-([0-9]+)$", local.answered)[0], "")
  attempt     = local.before == null ? "1" : local.was_settled && local.last != "" ? local.last : formatdate("YYYYMMDDhhmmss", plantimestamp())

  # The key by which the operator's answer to this apply is told from its answer to an earlier one.
  digest   = substr(sha256(jsonencode([local.spec, var.vs_labels, var.vs_annotations])), 0, 16)
  revision = "${local.digest}-${local.attempt}"
  within   = var.vs_running ? var.vs_ready_timeout : var.vs_stopped_timeout

  manifest = {
    apiVersion = "virtualservers.coreweave.com/v1alpha1"
    kind       = "VirtualServer"
    metadata = merge({
      name      = var.vs_name
      namespace = var.user_namespace
      annotations = merge(var.vs_annotations, { "virtualservers.coreweave.com/revision" = local.revision },
      var.vs_wait ? { "virtualservers.coreweave.com/settle-within" = local.within } : {})
    }, length(var.vs_labels) > 0 ? { labels = var.vs_labels } : {})
    spec = local.spec
  }

  status = try(data.kubernetes_resource.virtualserver.object.status, null)
  conditions = {
    for condition in try(local.status.conditions, []) : condition.type => {
      status  = condition.status
      reason  = try(condition.reason, "")
      message = try(condition.message, "")
    }
  }
  ready = try(local.conditions["Ready"], { status = "Unknown", reason = "", message = "" })
  # Where the message of Ready is cut short, that of FullyApplied begins with all of it.
  told = endswith(local.ready.message, " …") ? try(local.conditions["FullyApplied"].message, "") : local.ready.message
}

# The random bits of a version 4 UUID come from the system's generator for secrets. Made once, and then left alone.
resource "kubernetes_secret_v1" "generated_password" {
  count = var.vs_generate_password && var.vs_password_secret == null ? 1 : 0

  metadata {
    name      = "${var.vs_name}-generated-password"
    namespace = var.user_namespace
  }
  data = { password = "Vs-${uuid()}" }

  lifecycle {
    ignore_changes = [data]
  }
}

# Also where there is no password, with an empty one, which nobody can log in with: whether a password that another
# resource makes is null is not known while planning.
resource "kubernetes_secret_v1" "password" {
  count = !var.vs_generate_password && var.vs_password_secret == null ? 1 : 0

  metadata {
    name      = "${var.vs_name}-password"
    namespace = var.user_namespace
  }
  data = { password = var.vs_password == null ? "" : var.vs_password }
}

# What the operator said last, before this apply; a list, because there may be none.
data "kubernetes_resources" "before" {
  count = var.vs_wait ? 1 : 0

  api_version    = "virtualservers.coreweave.com/v1alpha1"
  kind           = "VirtualServer"
  namespace      = var.user_namespace
  field_selector = "metadata.name=${var.vs_name}"
}

resource "kubernetes_manifest" "virtualserver" {
  manifest = local.manifest

  field_manager {
    force_conflicts = var.vs_force_conflicts
  }

  timeouts {
    delete = var.vs_delete_timeout
  }
}

# The wait is an object of its own: one that fails taints itself, never the server and its disk. The operator answers
# in any case, also when the time is over; the provider's own limit strikes only where there is no operator.
resource "kubernetes_manifest" "wait" {
  count = var.vs_wait ? 1 : 0

  manifest = {
    apiVersion = "virtualservers.coreweave.com/v1alpha1"
    kind       = "VirtualServerWait"
    metadata = {
      # Another one for each that is made: an apply that was cut off may have made one that the state does not know.
      name      = "${var.vs_name}-${formatdate("YYYYMMDDhhmmss", plantimestamp())}"
      namespace = var.user_namespace
    }
    spec = {
      server = var.vs_name
      key    = local.revision
    }
  }

  wait {
    fields = {
      "status.settled" = "^${local.revision} (Ready|Stopped|Refused|Waiting)$"
    }
  }

  timeouts {
    create = "${local.within}60s"
    update = "${local.within}60s"
  }

  lifecycle {
    ignore_changes = [manifest.metadata.name]
    # It goes with its server: one that is replaced is waited for by another.
    replace_triggered_by = [kubernetes_manifest.virtualserver.object.metadata.uid]
  }

  depends_on = [kubernetes_manifest.virtualserver]
}

# `kubernetes_manifest` keeps no status, so the addresses are read here.
data "kubernetes_resource" "virtualserver" {
  api_version = local.manifest.apiVersion
  kind        = local.manifest.kind

  metadata {
    name      = var.vs_name
    namespace = var.user_namespace
  }

  depends_on = [kubernetes_manifest.virtualserver, kubernetes_manifest.wait]

  lifecycle {
    # A server that somebody stopped or started by hand, or that needs a restart, is left alone: a warning says so.
    postcondition {
      condition = !var.vs_wait || try(self.object.status.conditions[0].reason, "") == "RestartRequired" || can(regex(" (Ready|Stopped)$", self.object.status.settled))
      error_message = "VirtualServer ${var.user_namespace}/${var.vs_name} ${
        endswith(try(coalesce(self.object.status.settled), ""), " Refused") ? "is not carried out" : "is not ready after ${local.within}, and goes on by itself"
        }: ${try("${self.object.status.conditions[0].reason}: ${
          # Where the message of Ready is cut short, that of FullyApplied begins with all of it.
          self.object.status.conditions[endswith(self.object.status.conditions[0].message, " …") ? 4 : 0].message
      }", "")}"
    }
  }
}

check "runs_as_wished" {
  assert {
    condition     = var.vs_wait ? local.ready.reason == (var.vs_running ? "VirtualServerReady" : "VirtualServerStopped") : true
    error_message = "VirtualServer ${var.user_namespace}/${var.vs_name} is left as it is: ${local.ready.reason}: ${local.told}"
  }
}

# Keys, users and cloud-init are told to a guest at its first start: an apply that changes them later says so.
check "reaches_the_guest" {
  assert {
    condition     = var.vs_wait ? try(local.conditions["FullyApplied"].reason, "") != "FirstStartOnly" : true
    error_message = "VirtualServer ${var.user_namespace}/${var.vs_name}: ${try(local.conditions["FullyApplied"].message, "")}"
  }
}
