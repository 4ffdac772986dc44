terraform {
  required_version = ">= 1.9.0"

  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 2.36.0, < 4.0.0"
    }
  }
}

# Which cluster: the variable KUBE_CONFIG_PATH names the kubeconfig (the provider does not read KUBECONFIG).
provider "kubernetes" {}
