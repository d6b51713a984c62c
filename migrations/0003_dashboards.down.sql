DROP FUNCTION bridge_claim_due_dashboards(integer);
DROP TABLE lineage_edges, dashboard_tombstones, dashboard_versions, dashboards;
