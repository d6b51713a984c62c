"""POST /v1/throwaway: throw a thing away."""

from shared.throwaway import service
from shared.throwaway.service import Thing

from shared.platform.background.jobs import JobAccepted
from shared.platform.edge import Call, accepted, http


@http("POST", "/v1/throwaway", role="member", body=Thing, status=202, rate="throwaway")
def start(call: Call, thing: Thing) -> JobAccepted:
    return accepted(service.start(call.team, thing.thing, user=call.user))
