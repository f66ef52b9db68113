# SPDX-License-Identifier: MIT
"""What tensor-rand(1) says of its numbers, once more: checks its streams against that.

usage: reference_random.py SEED NAME=COUNT DISTRIBUTION A B < STREAM

Compares every element of an F32 tensor: uniform in [A, B), or normal with mean A and deviation B.
The quantile is that of Python's statistics module, which follows the same algorithm (AS 241).
"""
import statistics
import struct
import sys

MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def bits(seed, name, count):
    """The 64 random bits of each element."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    key = mix(h ^ mix(seed + STEP & MASK))
    for i in range(count):
        yield mix(key + (i + 1) * STEP & MASK)


def to_f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def main(seed, tensor, distribution, a, b):
    name, _, count = tensor.rpartition("=")
    count, a, b = int(count), float(a), float(b)
    data = sys.stdin.buffer.read()
    # The one tensor's bytes stand before the end record, which has 3 keys.
    end = data.rindex(b"\x83\xa4kind\xa3end")
    got = struct.unpack(f"<{count}f", data[end - 4 * count:end])
    quantile = statistics.NormalDist().inv_cdf
    wrong = 0
    for i, (x, r) in enumerate(zip(got, bits(int(seed), name, count))):
        if distribution == "uniform":
            wanted = to_f32(a + (b - a) * ((r >> 11) / 2 ** 53))
            agrees = x == wanted
        else:
            wanted = a + b * quantile(((r >> 12) + 0.5) / 2 ** 52)
            # The logarithms of two libraries may differ in the last place.
            agrees = x == to_f32(wanted) or abs(x - wanted) <= abs(wanted) * 2 ** -24 * (1 + 1e-6)
        if not agrees:
            print(f"element {i}: {x!r}, {wanted!r} expected")
            wrong += 1
    sys.exit(wrong > 0)


main(*sys.argv[1:])
