"""The titles of all error codes, for who shows errors of steps that it does not know."""
