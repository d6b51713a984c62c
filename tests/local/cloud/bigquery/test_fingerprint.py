"""FARM_FINGERPRINT against values of others."""

import pytest

from local.cloud.bigquery.fingerprint import fingerprint64

# The examples of the GoogleSQL reference, "Hash functions", and the values that github.com/google/zetasql tests.
DOCUMENTED = [
    (b"", -7286425919675154353),
    (b"\0", -4728684028706075820),
    (b"a b c d", -3676552216144541872),
    (b"1footrue", -1541654101129638711),
    (b"2applefalse", 2794438866806483259),
    (b"3true", -4880158226897771312),
    ("abcABCжщфЖЩФ".encode(), 3736580821998982030),
    ("Моша_öá5ホバークラフト鰻鰻".encode(), 4918483674106117036),
]
# Of the reference implementation (github.com/google/farmhash, util::Fingerprint64) for the bytes below.
LONGER = {
    64: 3991238241418750768,
    65: -1466257285027024699,
    128: 9099310179741087633,
    200: 346163066637170679,
    599: 4741629748328319309,
}


@pytest.mark.parametrize(("data", "wanted"), DOCUMENTED)
def test_a_fingerprint_is_the_documented_one(data: bytes, wanted: int) -> None:
    """Texts of each length class below 64 bytes have the values that the service shows."""
    assert fingerprint64(data) == wanted


@pytest.mark.parametrize("size", LONGER)
def test_a_long_fingerprint_is_that_of_the_reference_implementation(size: int) -> None:
    """Blocks of 64 bytes are mixed as Google's code mixes them, also when the last one is not full."""
    assert fingerprint64(bytes((i * 7919 + i * i * 31 + 13) & 0xFF for i in range(size))) == LONGER[size]
