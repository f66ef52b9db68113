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


def agrees(got, want):
    if isinstance(want, list):
        return got == want
    if math.isnan(want):  # which JSON has not
        return got is None
    return isinstance(got, (int, float)) and abs(got - want) <= 1e-9 * max(1e-3, abs(want))


def check(cases, record):
    a, b = cases[record["name"]]
    want = metrics(a, b)
    bad = [f"{record['name']}: {key} is {record.get(key)}, not {value}" for key, value in want.items()
           if not agrees(record.get(key), value)]
    extra = set(record) & {"noise_ratio", "worst_row_noise_ratio", "worst_column", "worst_row", "ulp_histogram"} - set(want)
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
