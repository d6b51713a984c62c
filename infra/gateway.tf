# The public face: one API Gateway in front of every endpoint. It alone may invoke them (identities.tf); its own token
# takes the place of the caller's, which arrives as X-Forwarded-Authorization.
locals {
  gateway = templatefile("${path.module}/gateway.yaml", {
    addresses = { for name in keys(local.endpoints) : name => google_cloudfunctions2_function.function[name].service_config[0].uri }
  })
}

resource "google_api_gateway_api" "bridge" {
  provider   = google-beta
  api_id     = "bridge"
  depends_on = [google_project_service.used]
}

# A configuration can't be changed, only replaced: the new one serves before the old one goes.
resource "google_api_gateway_api_config" "bridge" {
  provider             = google-beta
  api                  = google_api_gateway_api.bridge.api_id
  api_config_id_prefix = "bridge-"

  openapi_documents {
    document {
      path     = "gateway.yaml"
      contents = base64encode(local.gateway)
    }
  }

  gateway_config {
    backend_config {
      google_service_account = google_service_account.gateway.email
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_api_gateway_gateway" "bridge" {
  provider   = google-beta
  region     = var.region
  gateway_id = "bridge"
  api_config = google_api_gateway_api_config.bridge.id
}

# The provider has no field for it: without streaming the events of a chat arrive when the turn is over.
resource "terraform_data" "streaming" {
  triggers_replace = google_api_gateway_gateway.bridge.id

  provisioner "local-exec" {
    interpreter = ["bash", "-euo", "pipefail", "-c"]
    command     = <<-COMMAND
      curl --fail --silent --show-error --request PATCH \
        --header "Authorization: Bearer $(gcloud auth print-access-token)" --header "Content-Type: application/json" \
        --data '{"streamingMode": "STREAMING_MODE_ENABLED"}' \
        "https://apigateway.googleapis.com/v1/${google_api_gateway_gateway.bridge.id}?updateMask=streamingMode"
    COMMAND
  }
}

output "gateway_address" {
  description = "Where people and scripts reach Bridge."
  value       = "https://${google_api_gateway_gateway.bridge.default_hostname}"
}
