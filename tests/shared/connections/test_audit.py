"""Every change of a team, a connection or credentials is in the audit log, and nothing of what was secret."""

from typing import Any


def test_every_change_leaves_an_entry(cloud: Any, servers: Any) -> None:
    """Team, membership, connection and credentials: who, what, which, newest first; hashes and no values."""
    person = cloud.person()
    team = cloud.team(person)
    id = cloud.connection(team, person, validated=False)
    path = f"/v1/onboarding/connections/{id}"
    rotated = cloud.call("PUT", f"{path}/credentials", {"credentials": cloud.service_account()}, as_=person)
    assert rotated.status == 200, rotated.content
    assert cloud.call("DELETE", path, as_=person).status == 204
    assert cloud.call("DELETE", path, as_=person).status == 204

    answer = cloud.call("GET", f"/v1/audit?team_id={team}", as_=person)
    entries = answer.json["entries"]
    assert [(entry["action"], entry["target"], entry["actor"]) for entry in entries] == [
        ("connection.deleted", id, person.id),
        ("credentials.rotated", id, person.id),
        ("connection.created", id, person.id),
        ("member.added", person.id, person.id),
        ("team.created", team, person.id),
    ]
    assert all(len(entry["correlation_id"]) >= 8 for entry in entries)
    assert b"PRIVATE KEY" not in answer.content
