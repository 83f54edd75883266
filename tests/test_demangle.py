"""Demangling: the names that compilers really make; anything else comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.module.symbols import demangle


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
        ("_ZNSt3__18functionIFvvEEC2ERKS2_", "std::__1::function<...>::function"),
        ("_ZNSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE5__repC2ENS5_7__shortE",
         "std::__1::basic_string<...>::__rep::__rep"),
        ("_ZNKSt3__18functionIFiiEEcvbEv", "std::__1::function<...>::operator bool"),
        ("_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "std::operator<<<...>"),
        ("_ZNSs6appendEPKc", "std::string::append"),
        ("_ZNSaIcEC1Ev", "std::allocator<...>::allocator"),
        ("_ZTINSt3__115basic_streambufIcNS_11char_traitsIcEEEE", "typeinfo for std::__1::basic_streambuf<...>"),
        ("_ZThn8_N3lab1D1gEv", "thunk to lab::D::g"),
        ("_ZGVZ4mainE5value", "guard variable for main::value"),
        ("_ZZN3lab3BoxIiLi3EEplERKS1_ENKUliE_clEi", "lab::Box<...>::operator+::{lambda}::operator()"),
        ("_ZZN1A1fERKS_E1x_0", "A::f::x"),
        ("_ZNSt3__114__split_bufferIPiRNS_9allocatorIS1_EEED2B9nin220108Ev",
         "std::__1::__split_buffer<...>::~__split_buffer"),
        ("_ZN3lab4pickINS_3BoxIiLi3EEEEEDTcldtfp_3getLi0EEET_", "lab::pick<...>"),
        ("_ZNSt3__110__distanceIPcTnNS_9enable_ifIXsr37__has_random_access_iterator_categoryIT_EE5valueEiE4typeELi0EEElS3_",
         "std::__1::__distance<...>"),
        ("_Zli3_kme", 'operator""_km'),
        ("_RNvC6_123foo3bar", "123foo::bar"),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("_RNCNvCsabc_4main4main0", "main::main::{closure}"),
    ],
)  # fmt: skip
def test_names_are_shown_as_people_write_them(mangled: str, name: str) -> None:
    assert demangle(mangled) == name


@pytest.mark.parametrize(
    "name",
    ["_ZNS_1aE", "_ZS_", "_ZNSZ_1aE", "_ZN1aS5_1bE", "_Z1fIXcvEE", "_ZZ1aE", "_ZN1aIL", "_ZNSt", "_ZTV", "_ZN1aDtE",
     "_Z", "_ZN", "_ZN3", "_ZNE", "_ZN999999999999a", "_R", "_RB_", "_RNvB_3foo", "_RIIIIC", "_Z" + "N" * 4000],
)
def test_broken_and_hostile_names_come_back_unchanged(name: str) -> None:
    assert demangle(name) == name


def test_a_huge_name_is_not_even_tried() -> None:
    name = "_ZN" + "1a" * 50_000 + "E"
    assert demangle(name) is name


@given(st.text(alphabet="_ZNRIEBCSKv0123456789abhtT$.ustlXLJDQAFMcdfprnoP", max_size=80))
def test_nothing_raises(tail: str) -> None:
    for prefix in ("_Z", "_ZN", "_R", "_RNv"):
        assert isinstance(demangle(prefix + tail), str)


@pytest.mark.parametrize(
    "name",
    [
        "_Z1f" + "P" * 4000 + "i",
        "_ZN1a" + "I" * 2000 + "E" * 2000,
        "_Z" + "Z1fE" * 1000,
        "_Z1fI" + "N1aE" * 900 + "E",
        "_ZN1aI" + "S_" * 1900 + "EE",
        "_ZN" + "".join(f"1aIS{n:X}_E" for n in range(300)) + "E",
        "_ZN1a" + "S_" * 2000 + "E",
        "_ZN" + "99a" * 1300 + "E",
        "_ZL" + "L" * 4000,
        "_ZN1aC" + "I" * 4000 + "E",
        "_ZTC" + "1aTC" * 900,
        "_Z1fIX" + "ntaa" * 1000 + "E",
    ],
    ids=range(12),
)
def test_a_hostile_name_costs_its_length(name: str) -> None:
    """Towers, and substitutions of substitutions: an answer of bounded size, by a bounded number of steps."""
    import sys

    steps = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = demangle.__wrapped__(name)
    finally:
        sys.setprofile(before)
    assert len(found) <= max(len(name), 1100)
    assert steps < 40 * len(name)
