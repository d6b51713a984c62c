"""FARM_FINGERPRINT: the 64-bit fingerprint of FarmHash, which never changes between versions.

Source: Fingerprint64 of github.com/google/farmhash (farmhashna::Hash64), in arithmetic modulo 2**64.
"""

import struct

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_MASK = (1 << 64) - 1
_WORD = struct.Struct("<Q")
_HALF = struct.Struct("<I")
_Pair = tuple[int, int]


def fingerprint64(data: bytes) -> int:
    """The fingerprint as the signed INT64 that BigQuery shows."""
    number = _hash(data)
    return number - (1 << 64) if number >> 63 else number


def _hash(s: bytes) -> int:
    size = len(s)
    if size <= 16:
        return _up_to_16(s, size)
    if size <= 32:
        return _up_to_32(s, size)
    return _up_to_64(s, size) if size <= 64 else _longer(s, size)


def _fetch(s: bytes, at: int) -> int:
    return int(_WORD.unpack_from(s, at)[0])


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value >> by) | (value << (64 - by)) & _MASK


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ (value >> 47)


def _pair(u: int, v: int, by: int) -> int:
    a = _mix(((u ^ v) & _MASK) * by)
    return _mix(((v ^ a) & _MASK) * by) * by & _MASK


def _up_to_16(s: bytes, size: int) -> int:
    by = _K2 + size * 2
    if size >= 8:
        a, b = _fetch(s, 0) + _K2, _fetch(s, size - 8)
        return _pair(_rotate(b, 37) * by + a, (_rotate(a, 25) + b) * by, by)
    if size >= 4:
        head, tail = _HALF.unpack_from(s, 0)[0], _HALF.unpack_from(s, size - 4)[0]
        return _pair(size + (head << 3), tail, by)
    if size:
        y, z = s[0] + (s[size >> 1] << 8), size + (s[-1] << 2)
        return _mix(y * _K2 & _MASK ^ z * _K0 & _MASK) * _K2 & _MASK
    return _K2


def _up_to_32(s: bytes, size: int) -> int:
    by = _K2 + size * 2
    a, b = _fetch(s, 0) * _K1, _fetch(s, 8)
    c, d = _fetch(s, size - 8) * by, _fetch(s, size - 16) * _K2
    return _pair(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, by)


def _up_to_64(s: bytes, size: int) -> int:
    by = _K2 + size * 2
    a, b = _fetch(s, 0) * _K2, _fetch(s, 8)
    c, d = _fetch(s, size - 8) * by, _fetch(s, size - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _pair(y, a + _rotate(b + _K2, 18) + c, by)
    e, f = _fetch(s, 16) * by, _fetch(s, 24)
    g, h = (y + _fetch(s, size - 32)) * by, (z + _fetch(s, size - 24)) * by
    return _pair(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, by)


def _weak(s: bytes, at: int, a: int, b: int) -> _Pair:
    w, x, y, z = (_fetch(s, at + shift) for shift in (0, 8, 16, 24))
    a = (a + w) & _MASK
    b = _rotate(b + a + z, 21)
    total = a + x + y
    return (total + z) & _MASK, (b + _rotate(total, 44) + a) & _MASK


def _round(s: bytes, at: int, state: tuple[int, int, int, _Pair, _Pair], by: int, nine: int) -> tuple[
    int, int, int, _Pair, _Pair
]:  # fmt: skip
    """One block of 64 bytes; `nine` is 9 in the last round and 1 before."""
    x, y, z, v, w = state
    x = _rotate(x + y + v[0] + _fetch(s, at + 8), 37) * by & _MASK
    y = _rotate(y + v[1] + _fetch(s, at + 48), 42) * by & _MASK
    x ^= w[1] * nine & _MASK
    y = (y + v[0] * nine + _fetch(s, at + 40)) & _MASK
    z = _rotate(z + w[0], 33) * by & _MASK
    v = _weak(s, at, v[1] * by, x + w[0])
    w = _weak(s, at + 32, z + w[1], y + _fetch(s, at + 16))
    return z, y, x, v, w


def _longer(s: bytes, size: int) -> int:
    y = (81 * _K1 + 113) & _MASK
    z = _mix(y * _K2 + 113) * _K2 & _MASK
    state = ((81 * _K2 + _fetch(s, 0)) & _MASK, y, z, (0, 0), (0, 0))
    end = (size - 1) // 64 * 64
    for at in range(0, end, 64):
        state = _round(s, at, state, _K1, 1)
    x, y, z, v, w = state
    by = _K1 + ((z & 0xFF) << 1)
    first = (w[0] + ((size - 1) & 63)) & _MASK
    v = ((v[0] + first) & _MASK, v[1])
    w = ((first + v[0]) & _MASK, w[1])
    x, y, z, v, w = _round(s, size - 64, (x, y, z, v, w), by, 9)
    return _pair(_pair(v[0], w[0], by) + _mix(y) * _K0 + z, _pair(v[1], w[1], by) + x, by)
