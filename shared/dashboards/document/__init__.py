"""The dashboard document: its model, its parts and what changed between two of them."""
