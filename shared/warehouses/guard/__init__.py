"""The gate before a warehouse: what a statement may be made of."""
