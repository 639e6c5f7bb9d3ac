"""By which name resolvers know who claims something."""

from __future__ import annotations

import pytest

from understudy.protocols.ids import Address
from understudy.supervisor.conflicts.known import Known

TEAM = Known(Address("desk"), ("medical", "fire"), ("crews/{name}",))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("desk/call-1/medical", "medical"),
        ("desk/call-1/medical/2", "medical"),
        ("desk/call-1", "desk/call-1"),
        ("desk/call-1/judge", "desk/call-1/judge"),
        ("desk2/call-1/medical", "desk2/call-1/medical"),
        ("crews/a", "crews/{name}"),
        ("elsewhere", "elsewhere"),
        ("", "outside"),
    ],
)
def test_a_worker_is_known_by_its_name_a_plain_actor_by_its_template_and_others_by_their_address(
    address: str, name: str
) -> None:
    assert TEAM.name(address) == name
