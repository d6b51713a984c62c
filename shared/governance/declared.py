"""What governance may do, before there is some."""

from shared.platform.registry.kinds import Flag

ACTIONS = Flag("governance_actions", True, "Governance findings that change something when they are accepted")
