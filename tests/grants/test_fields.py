"""A field of `Grants` is described once: a new one needs no change of the flags, policies, Python or the panel."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from wasilab import Grants, Limits
from wasilab.capabilities.random import Random
from wasilab.engine.limits import BOUNDS, DEFAULTS, Bound
from wasilab.grants.advice.compare import items, switched_fields
from wasilab.grants.fields import FieldShape, SourceKind, grant, grant_fields
from wasilab.grants.forms.flags import add_options, from_options, to_flags
from wasilab.grants.forms.python import from_python, to_python
from wasilab.grants.forms.toml import merge_text, to_toml
from wasilab.grants.value import GrantError
from wasilab.panels.table import static_html


@dataclass(frozen=True, eq=False, repr=False)
class More(Grants):
    """Grants with three fields more than there are: a switch, a source and a choice."""

    network: bool = field(
        default=False,
        metadata=grant(
            FieldShape.SWITCH, "whether the guest has the network", type=bool, example="True", flag="--network",
            toml=("net", "allowed"), name="network", family="sock",
        ),
    )  # fmt: skip
    dice: Random = field(
        default_factory=Random.nothing,
        metadata=grant(
            FieldShape.SOURCE, "real, seeded:N or none", type=object, example="Random.seeded(1)", flag="--dice",
            toml=("dice", "kind"), name="dice", family="random", parse=Random.parse,
            kinds=(SourceKind("real"), SourceKind("seeded", "1", "the seed")),
        ),
    )  # fmt: skip
    manners: str = field(
        default="good",
        metadata=grant(
            FieldShape.CHOICE, "how it behaves", type=object, example="'bad'", flag="--manners", toml=("", "manners"),
            choices=("good", "bad"), fixed="a program has its manners from the start",
        ),
    )  # fmt: skip


CHANGED = More(network=True, dice=Random.seeded(7), manners="bad", args=False)


def parse(*words: str) -> More:
    parser = argparse.ArgumentParser()
    add_options(parser, More)
    return from_options(parser.parse_args(words), More())


def test_a_new_field_goes_through_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    flags = to_flags(CHANGED)
    assert flags == ["--no-argv", "--network", "--dice", "seeded:7", "--manners", "bad"]
    assert parse(*flags) == CHANGED
    assert parse("--no-network", "--dice", "none") == More()
    with pytest.raises(SystemExit):
        parse("--help")
    assert "whether the guest has the network" in capsys.readouterr().out
    with pytest.raises(GrantError, match="--dice never: "):
        parse("--dice", "never")


def test_a_new_field_goes_through_a_policy() -> None:
    text = to_toml(CHANGED)
    assert 'manners = "bad"\n' in text.partition("[")[0]
    assert "[net]\nallowed = true\n" in text
    assert merge_text(More(), text) == CHANGED
    with pytest.raises(GrantError, match="did you mean 'allowed'"):
        merge_text(More(), "[net]\nalowed = true")
    with pytest.raises(GrantError, match="must be a bool"):
        merge_text(More(), "[net]\nallowed = 1")


def test_a_new_field_goes_through_python() -> None:
    assert to_python(CHANGED) == "More(args=False, network=True, dice=Random.seeded(7), manners='bad')"
    assert from_python(to_python(CHANGED), More) == CHANGED


def test_a_new_field_has_its_row_in_the_panel() -> None:
    rows = {item.name: item for item in items(CHANGED, None)}
    assert (rows["network"].granted, rows["dice"].granted) == ("given", "seeded:7")
    assert {item.name: item.granted for item in items(More(), None)}["network"] == ""
    page = static_html(None, CHANGED, None)
    assert ">network<" in page
    assert ">seeded:7<" in page


def test_a_new_field_has_its_controls_in_the_panel() -> None:
    pytest.importorskip("ipywidgets")
    from wasilab.panels.model import PanelModel
    from wasilab.panels.panel import Panel

    panel = Panel(PanelModel(None, CHANGED))
    panel.model.set_field("network", False)
    assert panel.grants == CHANGED.with_field("network", False)
    assert "network" in switched_fields(type(panel.grants))
    panel.close()


def test_a_wrong_value_of_a_new_field_is_said() -> None:
    with pytest.raises(GrantError, match="network=1: write for example network=True"):
        More(network=1)  # type: ignore[arg-type]
    with pytest.raises(GrantError, match="manners='fine': the modes are 'good' and 'bad'"):
        More(manners="fine")
    with pytest.raises(TypeError, match="did you mean 'network'"):
        More().with_field("netwerk", True)


def test_equal_grants_have_every_field_equal() -> None:
    assert More() != More(network=True)
    assert More() != Grants()
    assert More.nothing().dice == Random.nothing()


def test_every_field_and_limit_is_described() -> None:
    assert list(grant_fields(Grants)) == [each.name for each in fields(Grants)]
    assert list(BOUNDS) == list(DEFAULTS) == [each.name for each in fields(Limits)]
    flags = [bound.flag for bound in BOUNDS.values()]
    flags += [about.flag for about in grant_fields(Grants).values() if about.flag]
    assert len(set(flags)) == len(flags)
    assert all(about.fixed or name in CHANGES_LIVE for name, about in grant_fields(Grants).items())


CHANGES_LIVE = {
    "withheld", "env", "args", "stdin", "stdout", "stderr", "clocks", "random", "faults", "limits", "writable_code",
}  # fmt: skip
"""What `LiveUpdate` brings to a running guest; every other field says why it cannot."""


@pytest.mark.parametrize("name", BOUNDS)
def test_the_text_of_a_limit_reads_back(name: str) -> None:
    bound = BOUNDS[name]
    for value in (DEFAULTS[name], *([None] if bound.none else []), 0.25 if bound.unit == "seconds" else 12345):
        assert value is None or bound.parse(bound.text(value)) == value
    wrong: Any
    for wrong in ("", "much", "-1", "none" if not bound.none else "nothing", "1e400"):
        with pytest.raises(ValueError, match=r"write|whole"):
            bound.parse(wrong)


def test_a_limit_checks_its_value() -> None:
    seconds, count = Bound("--x", "seconds", "x"), Bound("--y", "count", "y", none=True, least=3)
    count.check("fds", None)
    for bound, value in ((seconds, None), (seconds, 0), (seconds, True), (count, 2), (count, 2.5), (count, 1 << 63)):
        with pytest.raises(ValueError, match="must be"):
            bound.check("fds", value)
