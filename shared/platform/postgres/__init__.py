"""The directory's connections, transactions and named SQL."""
