resource "google_sql_database_instance" "directory" {
  name                = "bridge-${var.environment}"
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = true

  settings {
    tier              = var.database_tier
    availability_type = var.environment == "prod" ? "REGIONAL" : "ZONAL"

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.bridge.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "bridge" {
  name     = "bridge"
  instance = google_sql_database_instance.directory.name
}

# The address with its password is put there by an operator; functions read the newest version:
# postgresql://bridge_app:<password>@<private address>:5432/bridge?sslmode=verify-ca
# The instance signs its certificate itself and no certificate names a private address, so the authority alone is compared.
resource "google_secret_manager_secret" "database_url" {
  secret_id = "bridge-database-url"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "functions" {
  secret_id = google_secret_manager_secret.database_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.functions.member
}
