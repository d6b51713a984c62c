"""Results of queries: executed once, kept, refreshed and settled."""
