"""Demangling: the names that compilers really make; anything else comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.trace.demangle import demangle


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("main", "main"),
        ("__wasi_fd_write", "__wasi_fd_write"),
        ("_Z3addii", "add"),
        ("_ZN3lab3BoxIiE3getERKNSt3__212basic_stringIcNS2_11char_traitsIcEENS2_9allocatorIcEEEE", "lab::Box<...>::get"),
        ("_ZNSt3__24coutE", "std::__2::cout"),
        ("_ZNKSt3__26vectorIiNS_9allocatorIiEEE4sizeEv", "std::__2::vector<...>::size"),
        ("_ZN3FooC2Ev", "Foo::Foo"),
        ("_ZN3FooD0Ev", "Foo::~Foo"),
        ("_ZN3FooplERKS_", "Foo::operator+"),
        ("_ZN12_GLOBAL__N_14helpEv", "(anonymous namespace)::help"),
        ("_ZTVN3lab3BoxE", "vtable for lab::Box"),
        ("_Znwm", "operator new"),
        ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
        ("_ZN50_$LT$T$u20$as$u20$core..convert..Into$LT$U$GT$$GT$4into17h0123456789abcdefE",
         "<T as core::convert::Into<U>>::into"),
        ("_RNvC6_123foo3bar", "123foo::bar"),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("_RNCNvCsabc_4main4main0", "main::main::{closure}"),
    ],
)  # fmt: skip
def test_names_are_shown_as_people_write_them(mangled: str, name: str) -> None:
    assert demangle(mangled) == name


@pytest.mark.parametrize(
    "name",
    ["_Z", "_ZN", "_ZN3", "_ZNE", "_ZN999999999999a", "_R", "_RB_", "_RNvB_3foo", "_RIIIIC", "_Z" + "N" * 4000],
)
def test_broken_and_hostile_names_come_back_unchanged(name: str) -> None:
    assert demangle(name) == name


def test_a_huge_name_is_not_even_tried() -> None:
    name = "_ZN" + "1a" * 50_000 + "E"
    assert demangle(name) is name


@given(st.text(alphabet="_ZNRIEBCSKv0123456789abhtT$.ustl", max_size=60))
def test_nothing_raises(tail: str) -> None:
    for prefix in ("_Z", "_ZN", "_R", "_RNv"):
        assert isinstance(demangle(prefix + tail), str)
