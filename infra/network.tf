# A network of our own, so that the database has no public address: functions reach it through the connector.
resource "google_compute_network" "bridge" {
  name                    = "bridge"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_global_address" "services" {
  name          = "bridge-services"
  network       = google_compute_network.bridge.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.bridge.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

resource "google_vpc_access_connector" "functions" {
  name          = "bridge-functions"
  region        = var.region
  network       = google_compute_network.bridge.id
  ip_cidr_range = "10.8.0.0/28"
  min_instances = 2
  max_instances = 4
}
