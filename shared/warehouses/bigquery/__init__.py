"""BigQuery: its adapter, catalog, errors and tokens."""
