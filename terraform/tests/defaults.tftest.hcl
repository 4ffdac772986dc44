# What the published names and defaults mean. No cluster is needed: the provider is mocked.

mock_provider "kubernetes" {}

variables {
  user_namespace = "tenant"
  vs_username    = "someone"
  vs_wait        = false # what is waited for is read from a cluster: wait.tftest.hcl
}

run "defaults_are_the_published_ones" {
  command = plan

  assert {
    condition = output.manifest == {
      apiVersion = "virtualservers.coreweave.com/v1alpha1"
      kind       = "VirtualServer"
      metadata = {
        name        = "my-vs"
        namespace   = "tenant"
        annotations = { "virtualservers.coreweave.com/revision" = output.manifest.metadata.annotations["virtualservers.coreweave.com/revision"] }
      }
      spec = {
        region            = "ORD1"
        os                = { type = "linux" }
        resources         = { cpu = { count = 3 }, memory = "16Gi", gpu = { type = "Quadro_RTX_4000", count = 1 } }
        storage           = { root = { size = "80Gi", storageClassName = "block-nvme-ord1", source = { pvc = { namespace = "vd-images", name = "ubuntu2004-docker-master-20210601-ord1" } } } }
        users             = [{ username = "someone", passwordSecretRef = { name = "my-vs-generated-password", key = "password" } }]
        network           = { public = true, dnsPolicy = "ClusterFirst", tcp = { ports = tolist([22, 443, 60443, 4172, 3389]) }, udp = { ports = tolist([4172, 3389]) } }
        initializeRunning = true
        runStrategy       = "RerunOnFailure"
      }
    }
    error_message = jsonencode(output.manifest)
  }
}
