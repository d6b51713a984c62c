"""Every tool of the analyst."""

from __future__ import annotations

from shared.agents.protocol.model import Tool
from shared.analyst.tools.catalog import GetTableSchema, ListDatasets, ListTables, SearchCatalog
from shared.analyst.tools.dashboards import (
    GetDashboard,
    ListDashboards,
    SaveDashboardYaml,
    ValidateDashboardYaml,
)
from shared.analyst.tools.queries import PreviewQuery, ProfileColumn, RunDryRunQuery
from shared.analyst.tools.talk import AskUser, Decline


def tools() -> tuple[Tool, ...]:
    """One of each."""
    return (
        AskUser(),
        Decline(),
        GetDashboard(),
        GetTableSchema(),
        ListDashboards(),
        ListDatasets(),
        ListTables(),
        PreviewQuery(),
        ProfileColumn(),
        RunDryRunQuery(),
        SaveDashboardYaml(),
        SearchCatalog(),
        ValidateDashboardYaml(),
    )
