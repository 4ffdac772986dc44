# Passwords and keys: no password is in the manifest or in an output that is shown.

mock_provider "kubernetes" {}

variables {
  user_namespace = "tenant"
  vs_username    = "someone"
  vs_wait        = false
}

run "a_password_is_generated_by_default" {
  command = apply

  assert {
    condition     = output.manifest.spec.users == [{ username = "someone", passwordSecretRef = { name = "my-vs-generated-password", key = "password" } }]
    error_message = jsonencode(output.manifest.spec.users)
  }

  assert {
    condition     = issensitive(output.vs_password)
    error_message = "the output is not sensitive"
  }
}

run "a_given_password_is_in_a_secret" {
  command = plan

  variables {
    vs_generate_password = false
    vs_password          = "correct horse"
  }

  assert {
    condition     = output.manifest.spec.users[0].passwordSecretRef == { name = "my-vs-password", key = "password" } && !can(output.manifest.spec.users[0].password)
    error_message = jsonencode(output.manifest.spec.users)
  }

  assert {
    condition     = nonsensitive(kubernetes_secret_v1.password[0].data["password"]) == "correct horse" && nonsensitive(output.vs_password) == "correct horse"
    error_message = "the Secret does not hold it"
  }

  assert {
    condition     = length(kubernetes_secret_v1.generated_password) == 0
    error_message = "one is generated too"
  }

  assert {
    condition     = !strcontains(jsonencode(output.manifest), "correct horse")
    error_message = "the manifest holds the password"
  }
}

run "a_secret_of_somebody_else_is_referred_to" {
  command = plan

  variables {
    vs_password_secret = { name = "mine" }
  }

  assert {
    condition     = output.manifest.spec.users[0].passwordSecretRef == { name = "mine", key = "password" }
    error_message = jsonencode(output.manifest.spec.users)
  }

  assert {
    condition     = length(kubernetes_secret_v1.generated_password) + length(kubernetes_secret_v1.password) == 0 && output.vs_password == null
    error_message = "a Secret is made beside it"
  }
}

run "keys_without_a_password" {
  command = plan

  variables {
    vs_generate_password = false
    vs_ssh_public_keys   = ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
  }

  assert {
    condition     = output.manifest.spec.users[0].sshpublickey == "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two" && nonsensitive(kubernetes_secret_v1.password[0].data["password"]) == ""
    error_message = jsonencode(output.manifest.spec.users)
  }
}

run "a_password_that_would_be_replaced_is_refused" {
  command = plan

  variables {
    vs_password = "correct horse"
  }

  expect_failures = [var.vs_generate_password]
}

run "two_passwords_are_refused" {
  command = plan

  variables {
    vs_generate_password = false
    vs_password          = "correct horse"
    vs_password_secret   = { name = "mine" }
  }

  expect_failures = [var.vs_password_secret]
}

run "an_empty_user_is_refused" {
  command = plan

  variables {
    vs_username = " "
  }

  expect_failures = [var.vs_username]
}

run "two_keys_in_one_item_are_refused" {
  command = plan

  variables {
    vs_ssh_public_keys = ["ssh-ed25519 AAAA one\nssh-ed25519 BBBB two"]
  }

  expect_failures = [var.vs_ssh_public_keys]
}
