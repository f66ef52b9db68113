#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Decodes the blocks of make-blocks straight from the formulas of tensor-types(7), slowly.

usage: reference_decode.py IQ-GRIDS.INC > decode.sha256

Prints, for each type, the SHA-256 of its values as float32, as show-stream --digests does.  It shares
nothing with the decoders under test but the code books of the IQ types, which the digests pin.
"""
import hashlib
import math
import os
import re
import struct
import sys
from fractions import Fraction

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import blocks  # noqa: E402

# ---- float32 ----


def f32(x):
    """A double rounded to float32, to nearest, ties to even."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def mul(*factors):
    """Factors whose product is exact in float32, but for a last rounding."""
    product = 1.0
    for x in factors:
        product *= x
    return f32(product)


def add(x, y):
    """x + y rounded once, though the sum of two float32 may have more bits than a double."""
    total = x + y
    rest = Fraction(x) + Fraction(y) - Fraction(total) if math.isfinite(total) else 0
    if rest:  # to odd: rounding again to float32 then gives what a single rounding would
        if struct.unpack("<Q", struct.pack("<d", total))[0] & 1 == 0:
            total = math.nextafter(total, math.inf if rest > 0 else -math.inf)
    return f32(total)


def half(data, at):
    bits = data[at] | data[at + 1] << 8
    exponent, mantissa = bits >> 10 & 31, bits & 1023
    if exponent == 31:  # infinity, or a NaN whose payload moves and gets quiet
        word = (bits & 0x8000) << 16 | 0x7F800000 | (mantissa << 13 | 0x400000 if mantissa else 0)
        return struct.unpack("<f", struct.pack("<I", word))[0] if not mantissa else Nan(word)
    value = math.ldexp(1024 + mantissa, exponent - 25) if exponent else math.ldexp(mantissa, -24)
    return -value if bits & 0x8000 else value


class Nan(int):
    """The bits of a NaN, which Python's floats would not keep."""


def lo(byte):
    return byte & 15


def hi(byte):
    return byte >> 4


def signed(byte):
    return byte - 256 if byte > 127 else byte


def words(data, at, count, size=2):
    return [int.from_bytes(data[at + size * i:at + size * (i + 1)], "little") for i in range(count)]


# ---- One scale a block ----


def q4_0(b):
    d = half(b, 0)
    return [mul(lo(q) - 8, d) for q in b[2:]] + [mul(hi(q) - 8, d) for q in b[2:]]


def q4_1(b):
    d, m = half(b, 0), half(b, 2)
    return [add(mul(lo(q), d), m) for q in b[4:]] + [add(mul(hi(q), d), m) for q in b[4:]]


def fifth_bits(b, at, codes):
    h = words(b, at, 1, 4)[0]
    return [c + 16 * (h >> i & 1) for i, c in enumerate(codes)]


def q5_0(b):
    d = half(b, 0)
    return [mul(q - 16, d) for q in fifth_bits(b, 2, [lo(q) for q in b[6:]] + [hi(q) for q in b[6:]])]


def q5_1(b):
    d, m = half(b, 0), half(b, 2)
    return [add(mul(q, d), m) for q in fifth_bits(b, 4, [lo(q) for q in b[8:]] + [hi(q) for q in b[8:]])]


def q8_0(b):
    d = half(b, 0)
    return [mul(signed(q), d) for q in b[2:]]


def q8_1(b):
    d = half(b, 0)
    return [mul(signed(q), d) for q in b[4:]]


def q8_k(b):
    d = struct.unpack("<f", b[:4])[0]
    return [mul(signed(q), d) for q in b[4:260]]


def q1_0(b):
    d = half(b, 0)
    return [d if b[2 + j // 8] >> j % 8 & 1 else -d for j in range(128)]


def q2_0(b):
    d = half(b, 0)
    return [mul((b[2 + j // 4] >> 2 * (j % 4) & 3) - 1, d) for j in range(64)]


def apr_q4(b):
    d = half(b, 0)
    return [mul((lo, hi)[j % 2](b[2 + j // 2]) - 8, d) for j in range(32)]


# ---- K types ----


def halves_and_shifts():
    """(half, shift, element in the run) of each element of the types with two-bit codes."""
    return [(n, j, l) for n in range(2) for j in range(4) for l in range(32)]


def q2_k(b):
    d, m = half(b, 80), half(b, 82)
    out = []
    for n, j, l in halves_and_shifts():
        q, s = b[16 + 32 * n + l] >> 2 * j & 3, b[8 * n + 2 * j + l // 16]
        out.append(add(mul(d, lo(s), q), -mul(m, hi(s))))
    return out


def q3_k(b):
    d, s = half(b, 108), b[96:108]
    scales = [(lo(s[k]) if k < 8 else hi(s[k - 8])) | (s[8 + k % 4] >> 2 * (k // 4) & 3) << 4 for k in range(16)]
    return [mul(d, scales[8 * n + 2 * j + l // 16] - 32,
                (b[32 + 32 * n + l] >> 2 * j & 3) - (0 if b[l] >> 4 * n + j & 1 else 4))
            for n, j, l in halves_and_shifts()]


def scale_and_minimum(s, k):
    if k < 4:
        return s[k] & 63, s[k + 4] & 63
    return lo(s[k + 4]) | s[k - 4] >> 6 << 4, hi(s[k + 4]) | s[k] >> 6 << 4


def q45_k(b, codes):
    d, m = half(b, 0), half(b, 2)
    out = []
    for i, q in enumerate(codes):
        scale, minimum = scale_and_minimum(b[4:16], i // 32)
        out.append(add(mul(d, scale, q), -mul(m, minimum)))
    return out


def q4_k(b):
    return q45_k(b, [(lo, hi)[k % 2](b[16 + 32 * (k // 2) + l]) for k in range(8) for l in range(32)])


def q5_k(b):
    return q45_k(b, [(lo, hi)[k % 2](b[48 + 32 * (k // 2) + l]) + 16 * (b[16 + l] >> k & 1)
                     for k in range(8) for l in range(32)])


def q6_k(b):
    d, out = half(b, 208), []
    for n, j, l in halves_and_shifts():
        low = (lo, hi)[j // 2](b[64 * n + 32 * (j % 2) + l])
        q = low | (b[128 + 32 * n + l] >> 2 * j & 3) << 4
        out.append(mul(d, signed(b[192 + 8 * n + 2 * j + l // 16]), q - 32))
    return out


# ---- IQ types ----

KVALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
GRIDS = {}


def read_grids(path):
    """The code books as the source has them: ranks of a few values, packed."""
    ranks = {"iq2xxs_grid": [8, 25, 43], "iq2xs_grid": [8, 25, 43], "iq2s_grid": [8, 25, 43],
             "iq3xxs_grid": [4, 12, 20, 28, 36, 44, 52, 62], "iq3s_grid": [1, 3, 5, 7, 9, 11, 13, 15],
             "iq1s_grid": [-1, 0, 1]}
    with open(path, encoding="ascii") as file:
        text = file.read()
    for name, values in ranks.items():
        body = re.search(name + r"\[\d+\] = \{([^}]*)\}", text)[1]
        bits, count = (2, 8) if len(values) == 3 else (3, 4)
        GRIDS[name] = [[values[int(w, 16) >> bits * i & (1 << bits) - 1] for i in range(count)]
                       for w in re.findall(r"0x[0-9a-f]+", body)]


def even_signs(x):
    return x | (bin(x).count("1") & 1) << 7


def with_signs(factors, values, signs):
    return [mul(*factors, v, -1 if signs >> j & 1 else 1) for j, v in enumerate(values)]


def iq2_xxs(b):
    d, out = half(b, 0), []
    for g in range(8):
        a = words(b, 2 + 8 * g + 4, 1, 4)[0]
        for r in range(4):
            out += with_signs((d, 0.5 + (a >> 28), 0.25), GRIDS["iq2xxs_grid"][b[2 + 8 * g + r]],
                              even_signs(a >> 7 * r & 127))
    return out


def iq2_xs(b):
    d, out = half(b, 0), []
    for i, w in enumerate(words(b, 2, 32)):
        s = (lo, hi)[i % 4 // 2](b[66 + i // 4])
        out += with_signs((d, 0.5 + s, 0.25), GRIDS["iq2xs_grid"][w & 511], even_signs(w >> 9))
    return out


def iq2_s(b):
    d, out = half(b, 0), []
    for i in range(32):
        index = b[2 + i] | (b[66 + i // 4] >> 2 * (i % 4) & 3) << 8
        s = (lo, hi)[i % 4 // 2](b[74 + i // 4])
        out += with_signs((d, 0.5 + s, 0.25), GRIDS["iq2s_grid"][index], b[34 + i])
    return out


def iq3_xxs(b):
    d, out, grid = half(b, 0), [], GRIDS["iq3xxs_grid"]
    for i in range(32):
        a = words(b, 66 + 4 * (i // 4), 1, 4)[0]
        out += with_signs((d, 0.5 + (a >> 28), 0.5), grid[b[2 + 2 * i]] + grid[b[3 + 2 * i]],
                          even_signs(a >> 7 * (i % 4) & 127))
    return out


def iq3_s(b):
    d, out, grid = half(b, 0), [], GRIDS["iq3s_grid"]
    for i in range(32):
        g, r = divmod(i, 4)
        entries = [b[2 + 2 * i + k] | (b[66 + g] >> 2 * r + k & 1) << 8 for k in range(2)]
        s = (lo, hi)[g % 2](b[106 + g // 2])
        out += with_signs((d, 1 + 2 * s), grid[entries[0]] + grid[entries[1]], b[74 + i])
    return out


def iq1_s(b):
    d, out = half(b, 0), []
    for g, h in enumerate(words(b, 34, 8)):
        delta = -0.125 if h >> 15 else 0.125
        for r in range(4):
            index = b[2 + 4 * g + r] | (h >> 3 * r & 7) << 8
            out += [mul(d, 2 * (h >> 12 & 7) + 1, v + delta) for v in GRIDS["iq1s_grid"][index]]
    return out


def iq1_m(b):
    s = words(b, 48, 4)
    bits = sum((w >> 12) << 4 * i for i, w in enumerate(s))
    d, out = half(struct.pack("<H", bits), 0), []
    for i in range(32):
        g, r = divmod(i, 4)
        n = (lo, hi)[r % 2](b[32 + 2 * g + r // 2])
        scale = s[g // 2] >> 6 * (g % 2) + 3 * (r // 2) & 7
        delta = -0.125 if n & 8 else 0.125
        out += [mul(d, 2 * scale + 1, v + delta) for v in GRIDS["iq1s_grid"][b[i] | (n & 7) << 8]]
    return out


def iq4_nl(b):
    d = half(b, 0)
    return [mul(d, KVALUES[lo(q)]) for q in b[2:]] + [mul(d, KVALUES[hi(q)]) for q in b[2:]]


def iq4_xs(b):
    d, h, out = half(b, 0), words(b, 2, 1)[0], []
    for g in range(8):
        s = ((lo, hi)[g % 2](b[4 + g // 2]) | (h >> 2 * g & 3) << 4) - 32
        for nibble in (lo, hi):
            out += [mul(d, s, KVALUES[nibble(q)]) for q in b[8 + 16 * g:24 + 16 * g]]
    return out


# ---- Ternary and four-bit floats ----


def tq1_0(b):
    d, out = half(b, 52), []
    for begin, length, digits in ((0, 32, 5), (32, 16, 5), (48, 4, 4)):
        for n in range(digits):
            out += [mul(((q * 3 ** n & 255) * 3 >> 8) - 1, d) for q in b[begin:begin + length]]
    return out


def tq2_0(b):
    d = half(b, 64)
    return [mul((b[32 * n + l] >> 2 * j & 3) - 1, d) for n, j, l in halves_and_shifts()]


FOURS = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]


def mxfp4(b):
    d = math.ldexp(1, b[0] - 128)
    return [mul(FOURS[lo(q)], d) for q in b[1:]] + [mul(FOURS[hi(q)], d) for q in b[1:]]


def nvfp4(b):
    out = []
    for s in range(4):
        exponent, mantissa = b[s] >> 3 & 15, b[s] & 7
        scale = math.ldexp(8 + mantissa, exponent - 10) if exponent else math.ldexp(mantissa, -9)
        scale = 0.0 if b[s] == 0x7F else scale / 2  # (ff is no 7f)
        for nibble in (lo, hi):
            out += [mul(FOURS[nibble(q)], scale) for q in b[4 + 8 * s:12 + 8 * s]]
    return out


def small_float(bits, exponents, mantissas, bias, infinities, nan):
    """A float of a few bits; nan says which magnitudes are NaN."""
    sign, magnitude = bits >> exponents + mantissas & 1, bits & (1 << exponents + mantissas) - 1
    exponent, mantissa = magnitude >> mantissas, magnitude & (1 << mantissas) - 1
    if nan(magnitude):
        return math.nan
    if infinities and exponent == (1 << exponents) - 1:
        value = math.inf
    elif exponent:
        value = math.ldexp((1 << mantissas) + mantissa, exponent - bias - mantissas)
    else:
        value = math.ldexp(mantissa, 1 - bias - mantissas)
    return -value if sign else value


def never(_):
    return False


def packed(b, bits):
    number = int.from_bytes(b, "little")
    return [number >> bits * k & (1 << bits) - 1 for k in range(8 * len(b) // bits)]


# ---- Plain types ----


def integer(is_signed):
    def decode(b):
        value = int.from_bytes(b, "little", signed=is_signed)
        high = float(value)  # rounded beyond 2^53; add puts the rest back
        return [add(high, float(value - int(high)))]
    return decode


DECODERS = {
    "Q4_0": q4_0, "Q4_1": q4_1, "Q5_0": q5_0, "Q5_1": q5_1, "Q8_0": q8_0, "Q8_1": q8_1, "Q8_K": q8_k, "Q1_0": q1_0,
    "Q2_0": q2_0, "APR_Q4": apr_q4, "Q2_K": q2_k, "Q3_K": q3_k, "Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k,
    "IQ2_XXS": iq2_xxs, "IQ2_XS": iq2_xs, "IQ2_S": iq2_s, "IQ3_XXS": iq3_xxs, "IQ3_S": iq3_s, "IQ1_S": iq1_s,
    "IQ1_M": iq1_m, "IQ4_NL": iq4_nl, "IQ4_XS": iq4_xs, "TQ1_0": tq1_0, "TQ2_0": tq2_0, "MXFP4": mxfp4,
    "NVFP4": nvfp4,
    "F16": lambda b: [half(b, 0)],
    "BF16": lambda b: [Nan(b[0] << 16 | b[1] << 24)],  # bits are all it is
    "F64": lambda b: [f32(struct.unpack("<d", b)[0])],
    "I8": integer(True), "I16": integer(True), "I32": integer(True), "I64": integer(True),
    "U8": integer(False), "U16": integer(False), "U32": integer(False), "U64": integer(False),
    "BOOL": lambda b: [1.0 if b[0] else 0.0],
    "F8_E4M3": lambda b: [small_float(b[0], 4, 3, 7, False, lambda m: m == 127)],
    "F8_E5M2": lambda b: [small_float(b[0], 5, 2, 15, True, lambda m: m > 0x7C)],
    "F8_E4M3FNUZ": lambda b: [math.nan if b[0] == 128 else small_float(b[0], 4, 3, 8, False, never)],
    "F8_E5M2FNUZ": lambda b: [math.nan if b[0] == 128 else small_float(b[0], 5, 2, 16, False, never)],
    "F8_E8M0": lambda b: [math.nan if b[0] == 255 else math.ldexp(1, b[0] - 127)],
    "F4": lambda b: [small_float(x, 2, 1, 1, False, never) for x in packed(b, 4)],
    "F6_E2M3": lambda b: [small_float(x, 2, 3, 1, False, never) for x in packed(b, 6)],
    "F6_E3M2": lambda b: [small_float(x, 3, 2, 3, False, never) for x in packed(b, 6)],
}


def pack(x):
    if isinstance(x, Nan):
        return struct.pack("<I", x)
    return b"\x00\x00\xc0\x7f" if x != x else struct.pack("<f", x)


def digest(name, data, size, count, shape):
    numbers = [x for i in range(0, len(data), size) for x in DECODERS[name](data[i:i + size])][:count]
    assert len(numbers) == count
    print(hashlib.sha256(b"".join(map(pack, numbers))).hexdigest(), "F32", "x".join(map(str, shape)), name)


def main(path):
    read_grids(path)
    shape = (blocks.ROWS, blocks.COLUMNS)
    for name, (_, size, _) in blocks.GGUF_TYPES.items():
        digest(name, blocks.gguf_data(name), size, shape[0] * shape[1], shape)
    for name, (_, size) in blocks.SAFETENSORS_TYPES.items():
        digest(name, blocks.safetensors_data(name), size, shape[0] * shape[1], shape)
    count = blocks.FLAT_SHAPE[0] * blocks.FLAT_SHAPE[1]
    digest("APR_Q4", blocks.apr_data("APR_Q4"), 18, count, blocks.FLAT_SHAPE)
    data = blocks.apr_data("APR_Q8")
    d = struct.unpack("<f", data[:4])[0]
    DECODERS["APR_Q8"] = lambda b: [mul(signed(b[0]), d)]
    digest("APR_Q8", data[4:], 1, count, blocks.FLAT_SHAPE)


if __name__ == "__main__":
    main(sys.argv[1])
