"""A turn as a server object: its state, its journal and its lease."""
