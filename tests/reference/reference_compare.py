#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares pairs of tensors straight from what tensor-cos(1) and tensor-types(7) say, and says where
tensor-cos does not agree.

usage: reference_compare.py IQ-GRIDS.INC FOLDER

Writes a.safetensors or a.gguf and their partners into the folder, one tensor for each case.  It shares
nothing with what it judges but the code books of the IQ types.
"""
import json
import math
import os
import random
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import blocks  # noqa: E402
import formats  # noqa: E402
import reference_decode as decode  # noqa: E402

f32 = decode.f32

# ---- Steps: the square of the step of each element of a block ----

BOOKS = {  # the distance of the grid's points and how many there are in a dimension, bits of an index
    "IQ2_XXS": (17, 6, 15), "IQ2_XS": (17, 6, 16), "IQ2_S": (17, 6, 18), "IQ3_XXS": (8, 16, 23), "IQ3_S": (2, 16, 26),
    "IQ1_S": (1, 3, 11), "IQ1_M": (1, 3, 11),
}
MOST = {  # what a scale that is a half is multiplied with at most
    "Q4_0": 8, "Q4_1": 15, "Q5_0": 16, "Q5_1": 31, "Q8_0": 127, "Q8_1": 127, "Q2_K": 45, "Q3_K": 128, "Q4_K": 945,
    "Q5_K": 1953, "Q6_K": 4096, "IQ2_XXS": 167, "IQ2_XS": 167, "IQ2_S": 167, "IQ3_XXS": 481, "IQ3_S": 465, "IQ1_S": 17,
    "IQ1_M": 17, "IQ4_NL": 127, "IQ4_XS": 4064, "APR_Q4": 8,
}


def scales(name, b):
    """The scales of the sub-blocks."""
    lo, hi, half = decode.lo, decode.hi, decode.half
    if name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "IQ4_NL", "APR_Q4"):
        return [half(b, 0)]
    if name == "Q8_K":
        return list(struct.unpack("<f", b[:4]))
    if name == "Q2_K":
        return [half(b, 80) * lo(s) for s in b[:16]]
    if name == "Q3_K":
        s = b[96:108]
        return [half(b, 108) * (((lo(s[k]) if k < 8 else hi(s[k - 8])) | (s[8 + k % 4] >> 2 * (k // 4) & 3) << 4) - 32)
                for k in range(16)]
    if name in ("Q4_K", "Q5_K"):
        return [half(b, 0) * decode.scale_and_minimum(b[4:16], k)[0] for k in range(8)]
    if name == "Q6_K":
        return [half(b, 208) * decode.signed(s) for s in b[192:208]]
    if name == "IQ2_XXS":
        return [half(b, 0) * (0.5 + hi(b[9 + 8 * g])) / 4 for g in range(8)]
    if name in ("IQ2_XS", "IQ2_S"):
        at = 66 if name == "IQ2_XS" else 74
        return [half(b, 0) * (0.5 + f(b[at + k])) / 4 for k in range(8) for f in (lo, hi)]
    if name == "IQ3_XXS":
        return [half(b, 0) * (0.5 + hi(b[69 + 4 * g])) / 2 for g in range(8)]
    if name == "IQ3_S":
        return [half(b, 0) * (1 + 2 * f(b[106 + k])) for k in range(4) for f in (lo, hi)]
    if name == "IQ1_S":
        return [half(b, 0) * (2 * (h >> 12 & 7) + 1) for h in decode.words(b, 34, 8)]
    if name == "IQ1_M":
        s = decode.words(b, 48, 4)
        d = half(struct.pack("<H", sum((w >> 12) << 4 * i for i, w in enumerate(s))), 0)
        return [d * (2 * (s[k // 4] >> 3 * (k % 4) & 7) + 1) for k in range(16)]
    if name == "IQ4_XS":
        h = decode.words(b, 2, 1)[0]
        return [half(b, 0) * (((lo, hi)[g % 2](b[4 + g // 2]) | (h >> 2 * g & 3) << 4) - 32) for g in range(8)]
    if name == "MXFP4":
        return [math.ldexp(1, b[0] - 128)]
    if name == "NVFP4":
        return [abs(decode.nvfp4(b[:4] + b"\x77" * 32)[16 * k]) / 12 for k in range(4)]
    return None


def level_squares(levels):
    """Of each level g^2 - g h + h^2, with the distances of its neighbours; at the ends both are equal."""
    order = sorted(set(levels))
    gaps = [y - x for x, y in zip(order, order[1:])]
    squares = {v: (g * g - g * h + h * h) for v, g, h in zip(order, gaps[:1] + gaps, gaps + gaps[-1:])}
    return {v: squares[v] for v in levels}


IQ4_SQUARES = {v: 5 * round(s / 5) for v, s in level_squares(decode.KVALUES).items()}
# Those of minus 0 and 0 are one.
FP4_SQUARES = level_squares(decode.FOURS)


def steps(name, b, values):
    """The sum of the squares of all steps, or None."""
    found = scales(name, b)
    if found is None:
        return None
    n = len(values) // len(found)
    tables = {"IQ4_NL": IQ4_SQUARES, "IQ4_XS": IQ4_SQUARES, "MXFP4": FP4_SQUARES, "NVFP4": FP4_SQUARES}
    total = len(values) * (MOST.get(name, 0) / 2 * 2.0 ** -24) ** 2
    for k, s in enumerate(found):
        part = values[n * k:n * (k + 1)]
        if name in BOOKS:
            distance, points, bits = BOOKS[name]
            total += n * (s * distance) ** 2 * (points ** 8 / 2 ** bits) ** 0.25
        elif name in tables:
            total += sum((s * s * tables[name][round(v / s)]) if s else 0 for v in part)
        else:
            total += n * s * s
    return total


# ---- The step of each element ----

# The largest code where scales of sub-blocks are codes themselves.
LARGEST = {"Q2_K": 3, "Q3_K": 4, "Q4_K": 15, "Q5_K": 31, "Q6_K": 32, "IQ4_XS": 127}
SCALE_AT = {"Q2_K": 80, "Q3_K": 108, "Q4_K": 0, "Q5_K": 0, "Q6_K": 208, "IQ4_XS": 0}
LEVELS_AT = {"TQ1_0": 52, "TQ2_0": 64, "Q1_0": 0, "Q2_0": 0}  # where the scale of types of few levels is
# F16 and BF16 are exact beside blocks; a coarser float has its spacing.
GRIDS = {"F32": (23, -126), "F16": (10, -14), "BF16": (7, -126)}


def minima(name, b):
    """Of the sub-blocks, and what they are multiples of; nothing where there are none."""
    if name in ("Q4_1", "Q5_1"):
        return [abs(decode.half(b, 2))], 0
    if name == "Q2_K":
        return [decode.half(b, 82) * decode.hi(s) for s in b[:16]], decode.half(b, 82)
    if name in ("Q4_K", "Q5_K"):
        return [decode.half(b, 2) * decode.scale_and_minimum(b[4:16], k)[1] for k in range(8)], decode.half(b, 2)
    return None, 0


def element_steps(name, b, values):
    """As tensor-types(7) has them, or None."""
    if name in LEVELS_AT:
        most = 2 if name == "Q2_0" else 1
        return [max(abs(decode.half(b, LEVELS_AT[name])), most * 2.0 ** -24)] * len(values)
    found = scales(name, b)
    if found is None:
        return None
    mins, unit = minima(name, b)
    least = {"NVFP4": 12 * 2.0 ** -10, "MXFP4": 0, "Q8_K": 0}.get(name, MOST.get(name, 0) * 2.0 ** -24)
    if name in LARGEST:
        least = max(least, (LARGEST[name] * abs(decode.half(b, SCALE_AT[name])) + abs(unit)) / 2)
    tables = {"IQ4_NL": IQ4_SQUARES, "IQ4_XS": IQ4_SQUARES, "MXFP4": FP4_SQUARES, "NVFP4": FP4_SQUARES}
    n, out = len(values) // len(found), []
    for k, v in enumerate(values):
        s = found[k // n]
        if name in BOOKS:
            distance, points, bits = BOOKS[name]
            step = abs(s) * distance * (points ** 8 / 2 ** bits) ** 0.125
        elif name in tables:
            step = abs(s) * math.sqrt(tables[name][round(v / s)]) if s else 0
        else:
            step = abs(s)
        out.append(max(step, least, abs(mins[k // n]) / 1024 if mins else 0, 2.0 ** -120))
    return out


def spacing(x, name):
    mantissa, least = GRIDS[name]
    exponent = max(math.frexp(x)[1] - 1 if x else least, least)
    return math.ldexp(1, exponent - mantissa)


def pair_steps(a, b):
    """Of each pair, or None."""
    blocks_of = [s.element_steps() for s in (a, b)]
    if any(s is not None for s in blocks_of):
        sides = [s for s in blocks_of if s is not None]
        return [math.hypot(*(s[i] for s in sides)) for i in range(len(a.values))]
    order = ("F64", "F32", "F16", "BF16")
    if a.dtype == b.dtype or a.dtype not in order or b.dtype not in order or {a.dtype, b.dtype} == {"F16", "BF16"}:
        return None
    coarser = max((a, b), key=lambda s: order.index(s.dtype))
    return [spacing(x, coarser.dtype) for x in coarser.values]


def columns_of(clean, steps_of, row):
    """The largest mean square, 12 times, and the smallest cosine, in the rows that are looked at."""
    rows = len(clean) // row
    if rows < 32:
        return {}
    every = rows // 64 if rows > 64 else 1
    taken = [r for r in range(rows) if r // 4 % every == 0]
    noise, cosines, gains = [], [], []
    for c in range(row):
        at = [(clean[r * row + c], steps_of[r * row + c]) for r in taken]
        noise.append(12 * math.fsum(min(((x - y) / s) ** 2, 4) for (x, y), s in at) / len(taken))
        aa, bb, ab = (math.fsum(f((x / s, y / s)) for (x, y), s in at)
                      for f in (lambda p: p[0] ** 2, lambda p: p[1] ** 2, lambda p: p[0] * p[1]))
        if max(aa, bb) >= len(taken) / 4 and noise[-1]:
            cosines.append((ab / math.sqrt(aa * bb) if aa * bb else 0, c))
            gains.append(math.sqrt(bb / aa) if aa else 2.0 ** 63)
    want = {"column_rows": len(taken), "worst_column_step_noise": max(noise), "worst_step_column": noise.index(max(noise))}
    if cosines:
        want |= {"worst_column_step_cosine": min(cosines)[0], "worst_angle_column": min(cosines)[1]}
        want["worst_column_step_gain"] = max(gains, key=lambda g: abs(math.log(g)) if g else math.inf)
    return want


def step_metrics(a, b, clean, count, row):
    found = pair_steps(a, b)
    if found is None or not count:
        return {}
    e = [abs(x - y) / s for (x, y), s in zip(clean, found)]
    cut = [min(x, 2) ** 2 for x in e]
    want = {"most_steps": min(max(e), 2.0 ** 63)} | ({"step_noise": 12 * math.fsum(cut) / count} if count >= 1024 else {})
    table = {a.dtype, b.dtype} & {"IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4"}
    if not table:  # whose steps are rounded: what is near a step may be counted or not
        want["beyond_step"] = sum(x > 1 for x in e) / count
    if row < len(clean):
        rows = [12 * math.fsum(cut[i:i + row]) / row for i in range(0, len(cut), row)]
        want |= {"worst_row_step_noise": max(rows)}
        want |= {} if table else {
            "worst_row_beyond_step": max(sum(x > 1 for x in e[i:i + row]) for i in range(0, len(e), row)),
            "worst_row_far": max(sum(x >= 16 for x in e[i:i + row]) for i in range(0, len(e), row))}
        if has_blocks(a) or has_blocks(b):
            want |= columns_of(clean, found, row)
    if has_blocks(a) and a.dtype == b.dtype:
        groups = [clean[i:min(i + 16, j + row)] for j in range(0, len(clean), row) for i in range(j, min(j + row, len(clean)), 16)]
        groups = [g for g in groups if any(x or y for x, y in g)]
        want |= {"group_count": len(groups), "identical_groups": sum(all(x == y for x, y in g) for g in groups)}
    return want


def has_blocks(side):
    return side.element_steps() is not None


# ---- Metrics ----

FLOATS = {"F64": (11, 52), "F32": (8, 23), "F16": (5, 10), "BF16": (8, 7), "F8_E4M3": (4, 3), "F8_E5M2": (5, 2)}


def rank(x, name):
    """How many numbers of a type are between 0 and x."""
    exponents, mantissas = FLOATS[name]
    x, least = abs(x), 2 - (1 << exponents - 1)
    if x == 0:
        return 0
    exponent = max(math.frexp(x)[1] - 1, least)
    return ((exponent - least) << mantissas) + int(math.ldexp(x, mantissas - exponent))


def bucket(distance):
    return distance if distance < 2 else (distance - 1).bit_length() + 1


def cosine(pairs):
    aa, bb = math.fsum(a * a for a, _ in pairs), math.fsum(b * b for _, b in pairs)
    return math.fsum(a * b for a, b in pairs) / math.sqrt(aa * bb) if aa * bb > 0 else math.nan


def worst(groups, names):
    """The worst of rows or columns: [(pairs)]."""
    found = []
    for i, pairs in enumerate(groups):
        aa, bb = math.fsum(a * a for a, _ in pairs), math.fsum(b * b for _, b in pairs)
        dd = math.fsum((a - b) ** 2 for a, b in pairs)
        if aa > 0 or bb > 0:
            c = 1 if dd == 0 else cosine(pairs) if aa > 0 and bb > 0 else 0
            found.append((math.sqrt(dd / max(aa, bb)), c, i))
    if not found:
        return {}
    by_error, by_cosine = max(found, key=lambda f: (f[0], -f[2])), min(found, key=lambda f: (f[1], f[2]))
    return dict(zip(names, (by_error[2], by_error[0], by_cosine[2], by_cosine[1])))


def trimmed(pairs, row):
    """The pairs without the largest of each run of at most 2048, which is a piece of a row or whole rows."""
    left, at = [], 0
    while at < len(pairs):
        n = min(row - at % row, 2048) if row > 2048 else 2048 // row * row
        run = pairs[at:at + n]
        left += sorted(run, key=lambda p: -max(abs(p[0]), abs(p[1])))[(len(run) + 500) // 1000:]
        at += n
    return left


def beyond(pairs, share, wide):
    if wide:
        return sum(abs(a - b) > share * max(abs(a), abs(b)) for a, b in pairs)
    return sum(abs(f32(a - b)) > f32(f32(share) * max(abs(a), abs(b))) for a, b in pairs)


def row_length(shape):
    """The last dimension, with those before it where it is short."""
    left = list(shape)
    row = left.pop() if left else 1
    while left and row < 32:
        row *= left.pop()
    return max(row, 1)


class Side:
    """A tensor as it is stored."""

    def __init__(self, dtype, shape, data, values=None):
        self.dtype, self.shape, self.data = dtype, shape, data
        self.elements, self.bytes = (32, 18) if dtype == "APR_Q4" else formats.GGML.get(dtype, (0, 1, 8))[1:]
        self.values = values if values is not None else self.decoded()

    def blocks(self):
        return [self.data[i:i + self.bytes] for i in range(0, len(self.data), self.bytes)]

    def decoded(self):
        if self.dtype == "APR_Q8":
            return [f32(decode.signed(q) * self.scale()) for q in self.data[4:]]
        return [v for b in self.blocks() for v in decode.DECODERS[self.dtype](b)][:math.prod(self.shape)]

    def scale(self):
        return struct.unpack("<f", self.data[:4])[0]

    def element_steps(self):
        if self.dtype == "APR_Q8":
            return [abs(self.scale())] * len(self.values)
        found = []
        for b in self.blocks() if self.dtype in decode.DECODERS else []:
            some = element_steps(self.dtype, b, decode.DECODERS[self.dtype](b))
            if some is None:
                return None
            found += some
        return found[:len(self.values)] or None

    def squares(self):
        """Of each element the mean of the squared steps in its block; None where nothing is predicted."""
        if self.dtype == "APR_Q8":
            return [self.scale() ** 2] * len(self.values)
        found = []
        for b in self.blocks():
            square = steps(self.dtype, b, decode.DECODERS[self.dtype](b)) if self.dtype in decode.DECODERS else None
            if square is None:
                return None
            found += [square / self.elements] * self.elements
        return found[:len(self.values)]


def metrics(a, b):
    """What tensor-cos is to say, without what depends on the order of sums."""
    every = list(zip(a.values, b.values))
    clean = [(x, y) if math.isfinite(x) and math.isfinite(y) else (0, 0) for x, y in every]
    pairs = [p for p, q in zip(every, clean) if p == q]
    row, wide = row_length(a.shape), a.dtype == "F64" or b.dtype == "F64"
    rows = [clean[i:i + row] for i in range(0, len(clean), row)]
    want = {"element_count": len(every), "cosine_similarity": cosine(pairs)}
    norms = [math.sqrt(math.fsum(p[i] ** 2 for p in pairs)) for i in range(2)]
    want["norm_ratio"] = norms[1] / norms[0] if norms[0] else math.nan
    for key, share in (("beyond_tenth_percent", 0.001), ("beyond_one_percent", 0.01), ("beyond_ten_percent", 0.1)):
        want[key] = beyond(pairs, share, wide) / len(pairs) if pairs else math.nan
    if len(rows) > 1:
        want |= worst(rows, ("worst_row", "worst_row_error", "worst_cosine_row", "worst_row_cosine"))
        want |= worst(list(zip(*rows)), ("worst_column", "worst_column_error", "worst_cosine_column", "worst_column_cosine"))
    squares = [s for s in (a.squares(), b.squares()) if s is not None]
    if squares and len(pairs):
        predicted = [math.fsum(x for s in squares for x in s[i:i + row]) / 12 for i in range(0, len(every), row)]
        error = [math.fsum((x - y) ** 2 for x, y in r) for r in rows]
        if sum(predicted) > 0:
            want["noise_ratio"] = math.fsum(error) / math.fsum(predicted)
        ratios = [(e / p, -i) for i, (e, p) in enumerate(zip(error, predicted)) if p > 0]
        if ratios and len(rows) > 1:
            want["worst_row_noise_ratio"], want["worst_noise_row"] = max(ratios)[0], -max(ratios)[1]
    want |= step_metrics(a, b, clean, len(pairs), row)
    if not every:
        return want
    if a.dtype == b.dtype and a.dtype in FLOATS:
        found = [0] * 66
        for x, y in pairs:
            p, q = rank(x, a.dtype), rank(y, a.dtype)
            found[bucket(abs(p - q) if math.copysign(1, x) == math.copysign(1, y) else p + q)] += 1
        while found and not found[-1]:
            found.pop()
        want["ulp_histogram"] = found
    want["trimmed_cosine"] = cosine(trimmed(clean, row))
    return want


# ---- Cases ----

def plain(dtype, shape, numbers):
    data = formats.values(dtype, numbers)
    wide = {"F64": "<d", "F32": "<f", "F16": "<e"}.get(dtype)
    if wide:
        values = [v[0] for v in struct.iter_unpack(wide, data)]
    else:
        values = [struct.unpack("<f", b"\0\0" + data[i:i + 2])[0] for i in range(0, len(data), 2)]
    return Side(dtype, shape, data, values)


def near(values, rng, amount):
    return [v * (1 + amount * rng.gauss(0, 1)) + amount * 0.01 * rng.gauss(0, 1) for v in values]


def float_cases(rng):
    for dtype in ("F32", "F64", "F16", "BF16"):
        a = [rng.gauss(0, 1) * 2.0 ** rng.randrange(-6, 6) for _ in range(7 * 37)]
        yield f"{dtype} odd", plain(dtype, [7, 37], a), plain(dtype, [7, 37], near(a, rng, 0.02))
        small = [rng.gauss(0, 1) * 2.0 ** -20 for _ in range(99)]
        yield f"{dtype} small", plain(dtype, [3, 33], small), plain(dtype, [3, 33], near(small, rng, 0.5))
    a = [rng.gauss(0, 1) ** 3 for _ in range(3 * 4111)]
    yield "F32 long rows", plain("F32", [3, 4111], a), plain("F32", [3, 4111], near(a, rng, 0.1))
    yield "F32 F16", plain("F32", [33, 373], a[:12309]), plain("F16", [33, 373], a[:12309])
    yield "F32 short rows", plain("F32", [4, 3, 3, 7], a[:252]), plain("F32", [4, 3, 3, 7], near(a[:252], rng, 0.1))
    yield "F32 F64", plain("F32", [100, 60], a[:6000]), plain("F64", [100, 60], near(a[:6000], rng, 1e-4))
    special = a[:6000]
    for i in range(0, 6000, 97):
        special[i] = rng.choice([math.nan, math.inf, -math.inf, 0.0, -0.0])
    other = near(a[:6000], rng, 0.01)
    for i in range(50, 6000, 101):
        other[i] = rng.choice([math.nan, math.inf, -math.inf, special[i]])
    yield "F32 special", plain("F32", [20, 300], special), plain("F32", [20, 300], other)
    yield "F64 special", plain("F64", [150, 40], special), plain("F64", [150, 40], other)
    yield "BF16 one dimension", plain("BF16", [6000], a[:6000]), plain("BF16", [6000], near(a[:6000], rng, 0.01))
    zeros = [0.0] * 40 + a[:40] + [0.0] * 40
    yield "F32 zero rows", plain("F32", [3, 40], zeros), plain("F32", [3, 40], near(zeros, rng, 0.1))
    yield "F32 zero", plain("F32", [3, 40], [0.0] * 120), plain("F32", [3, 40], [0.0] * 120)
    yield "F32 constant", plain("F32", [100, 100], [0.5] * 10000), plain("F32", [100, 100], [0.5] * 9999 + [1.0])
    yield "F32 scalar", plain("F32", [], [3.0]), plain("F32", [], [3.5])
    yield "F16 scalar", plain("F16", [], [0.0]), plain("F16", [], [-0.0])
    yield "F32 empty", plain("F32", [0, 5], []), plain("F32", [0, 5], [])


def block_cases(rng):
    for name, (elements, size, _) in blocks.GGUF_TYPES.items():
        if elements == 1 and name not in ("F16", "BF16"):
            continue
        shape = [8, 1024]
        b = Side(name, shape, b"".join(blocks.blocks(name, 1024 // elements) for _ in range(8)))
        if any(isinstance(v, decode.Nan) or not math.isfinite(v) for v in b.values):
            continue
        typical = math.sqrt(math.fsum(v * v for v in b.values) / len(b.values))
        a = [v + typical * 0.05 * rng.gauss(0, 1) for v in b.values]
        yield f"{name} F32", plain("F32", shape, a), b
        yield f"{name} BF16 first", b, plain("BF16", shape, a)
    b = Side("Q8_0", [5, 96], blocks.blocks("Q8_0", 15))
    c = Side("Q4_0", [5, 96], blocks.blocks("Q4_0", 15))
    yield "both sides quantized", b, c
    for name, rows in (("Q4_1", 200), ("Q6_K", 33)):
        elements = blocks.GGUF_TYPES[name][0]
        many = Side(name, [rows, 2 * elements], blocks.blocks(name, 2 * rows))
        a = [v * (1 + 0.02 * rng.gauss(0, 1)) for v in many.values]
        yield f"{name} columns", plain("F32", many.shape, a), many
    a = near(b.values, rng, 0.5)
    a[100] = math.nan
    yield "Q8_0 NaN", plain("F32", [5, 96], a), b


def flat_cases(rng):
    """Types whose blocks run over the rows."""
    for name in ("APR_Q4", "APR_Q8"):
        b = Side(name, list(blocks.FLAT_SHAPE), blocks.apr_data(name))
        typical = math.sqrt(math.fsum(v * v for v in b.values) / len(b.values))
        a = [v + typical * 0.05 * rng.gauss(0, 1) for v in b.values]
        yield f"{name} F32", plain("F32", b.shape, a), b


def write(path, sides):
    """GGUF has no tensor of no dimensions and none without elements."""
    tensors = [formats.Tensor(name, s.dtype, s.shape, s.data) for name, s in sides]
    writer = {"safetensors": formats.safetensors, "gguf": formats.gguf, "apr": formats.apr}[path.rpartition(".")[2]]
    with open(path, "wb") as file:
        file.write(writer(tensors))


def agrees(got, want, slack=1e-9):
    if isinstance(want, list):
        return got == want
    if math.isnan(want):  # which JSON has not
        return got is None
    return isinstance(got, (int, float)) and abs(got - want) <= slack * max(1e-3, abs(want))


def slack_of(key, a, b):
    """Distances in steps are float32; the inverses of steps of tables are rounded to 1 in 57 at most."""
    if key == "worst_row_far":  # one that is just as far may be counted or not
        return 0.01
    if "step" not in key:
        return 1e-9
    return 0.04 if {a.dtype, b.dtype} & {"IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4"} else 1e-4


def check(cases, record):
    a, b = cases[record["name"]]
    want = metrics(a, b)
    bad = [f"{record['name']}: {key} is {record.get(key)}, not {value}" for key, value in want.items()
           if not agrees(record.get(key), value, slack_of(key, a, b))]
    extra = set(record) & {"noise_ratio", "worst_row_noise_ratio", "worst_column", "worst_row", "ulp_histogram", "step_noise", "column_rows"} - set(want)
    return bad + [f"{record['name']}: there should be no {key}" for key in sorted(extra)]


def main(grids, folder):
    decode.read_grids(grids)
    bad, count = [], 0
    for suffix, made in (("safetensors", float_cases), ("gguf", block_cases), ("apr", flat_cases)):
        cases = {name.replace(" ", "."): (a, b) for name, a, b in made(random.Random(6))}
        paths = [os.path.join(folder, f"{side}.{suffix}") for side in "ab"]
        for i, path in enumerate(paths):
            write(path, [(name, sides[i]) for name, sides in cases.items()])
        lines = subprocess.run(["tensor-cos", "--metrics", "full", "--json", *paths], check=True, stdout=subprocess.PIPE,
                               text=True).stdout.splitlines()
        records = [json.loads(line) for line in lines]
        if len(records) != len(cases):
            bad.append(f"{len(records)} records of {len(cases)} pairs")
        count += len(records)
        for record in records:
            bad += check(cases, record)
    print("\n".join(bad))
    print(f"{count} pairs, {len(bad)} fields differ")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
