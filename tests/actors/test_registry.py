"""One address has one owner."""

from __future__ import annotations

import pytest

import understudy as us
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.tree import Tree


class One(us.Actor):
    pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/{name}", "a/{key}"),
        ("a/{name}", "a/ada"),
        ("a/ada", "a/{name}"),
        ("{x}/b", "a/{y}"),
        ("a/{x}/c", "a/b/{z}"),
        ("a/b", "a/b"),
    ],
)
def test_two_definitions_that_an_address_fits_are_refused_by_name(one: str, other: str) -> None:
    with pytest.raises(us.DefinitionError) as refused:
        Tree([us.Child(one, One), us.Child(other, One)])
    assert one in str(refused.value)
    assert other in str(refused.value)


@pytest.mark.parametrize(("one", "other"), [("a/{x}", "b/{x}"), ("a/{x}", "a/{x}/c"), ("a/b", "a/c"), ("{x}/b", "a/c")])
def test_definitions_that_share_no_address_live_side_by_side(one: str, other: str) -> None:
    tree = Tree([us.Child(one, One), us.Child(other, One)])
    owners = [tree.directory.find(Address(template.replace("{x}", "x"))) for template in (one, other)]
    assert [owner.template for owner in owners if owner is not None] == [one, other]
