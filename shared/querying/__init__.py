"""The one way to a warehouse's rows: guard, cap, policy, quota, labels."""
