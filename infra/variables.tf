variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "region" {
  type        = string
  description = "Region of functions, queues, keys and the database."
  default     = "us-central1"
}

variable "environment" {
  type        = string
  description = "dev, staging or prod."
  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment must be dev, staging or prod."
  }
}

variable "base_url" {
  type        = string
  description = "The public origin: the output gateway_address, or a domain of yours that leads there."
}

variable "database_tier" {
  type        = string
  description = "Machine type of the directory database."
  default     = "db-custom-2-7680"
}

variable "platform_admins" {
  type        = list(string)
  description = "E-mail addresses of those who administer the platform across teams."
  default     = []
}

variable "allowed_origins" {
  type        = list(string)
  description = "Other origins whose pages may call the API (CORS), such as https://app.example.org."
  default     = []
}

variable "limits" {
  type        = map(number)
  description = "Limits that differ from their defaults here, by name (docs/limits.md)."
  default     = {}
}

variable "flags" {
  type        = map(bool)
  description = "Feature flags that differ from their defaults here, by name (docs/limits.md)."
  default     = {}
}

variable "max_instances" {
  type        = number
  description = "Most instances of one function; times the pool size it must stay below the database's connections."
  default     = 10
}

variable "otlp_endpoint" {
  description = "Base address of an OpenTelemetry collector, or https://telemetry.googleapis.com; empty exports nothing. Needs bundles built with --otlp."
  type        = string
  default     = ""
}

variable "anthropic_secret" {
  type        = string
  description = "Id of the secret in Secret Manager that holds the Anthropic API key; empty: the built-in analyst answers."
  default     = ""
}
