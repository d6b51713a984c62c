"""What lets one worker at a time do something: leases, heartbeats, breakers, stopping."""
