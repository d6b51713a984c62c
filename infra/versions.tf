terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

locals {
  manifest  = jsondecode(file("${path.module}/../functions/manifest.json"))
  deployed  = { for f in local.manifest.functions : f.name => f if !lookup(f, "local_only", false) }
  endpoints = { for name, f in local.deployed : name => f if contains(["http", "sse"], f.kind) }
  tasks     = { for name, f in local.deployed : name => f if f.kind == "task" }
  finalized = { for name, f in local.deployed : name => f if f.kind == "finalized" }
  scheduled = { for name, f in local.deployed : name => f if f.kind == "scheduled" }
  queues    = toset(keys(local.manifest.declared.queues))
  buckets   = local.manifest.declared.buckets
}
