#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reference_stat.py TENSORS.safetensors STATS.json: whether the `stat` records that tensor-stat --json
wrote say what a second computation, from the values at once, says of F64, F32 and I32 tensors."""

import itertools
import json
import math
import struct
import sys
from fractions import Fraction

TYPES = {"F64": ("d", 8), "F32": ("f", 4), "I32": ("i", 4)}


def tensors(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            letter, size = TYPES[entry["dtype"]]
            start, end = (8 + length + x for x in entry["data_offsets"])
            yield name, entry["shape"], struct.unpack(f"<{(end - start) // size}{letter}", data[start:end])


def group(record, place):
    """The index on the record's axis of a place in the tensor; None: the mask leaves it out."""
    axes, shape, axis = record.get("axes", []), record["shape"], record["axis"]
    if record.get("mask") == "causal" and place[-1] > place[-2]:
        return None
    if axis == "all":
        return 0
    if axis == "row":
        dimensions = range(len(shape) - 1)
    elif axis == "channel":
        dimensions = range(len(shape) - (2 if axes and axes[-1] == "dim" else 1), len(shape))
    else:
        dimensions = [i for i, a in enumerate(axes) if a == axis or (axis, a) == ("token", "query")][:1]
    index = 0
    for i in dimensions:
        index = index * shape[i] + place[i]
    return index


def statistics(values):
    n, finite = len(values), [(i, float(x)) for i, x in values if math.isfinite(x)]
    x = [v for _, v in finite]
    out = {"count": n, "finite": len(x), "zeros": x.count(0.0), "nan": sum(v != v for _, v in values),
           "inf": sum(math.isinf(v) for _, v in values)}
    if out["nan"]:
        out["first_nan"] = next(i for i, v in values if v != v)
    if not x:
        return out
    mean = math.fsum(x) / len(x)
    exact = sum(map(Fraction, x)) / len(x) if len(x) < 100 else Fraction(mean)
    apart = [float(Fraction(v) - exact) for v in x] if len(x) < 100 else [v - mean for v in x]
    moments = [math.fsum(d ** p for d in apart) / len(x) for p in (2, 3, 4)]
    squares = math.fsum(v * v for v in x)
    out |= {"mean": mean, "std": math.sqrt(moments[0]), "min": min(x), "max": max(x),
            "argmin": finite[x.index(min(x))][0], "argmax": finite[x.index(max(x))][0],
            "absmax": max(map(abs, x)), "l1": math.fsum(map(abs, x)), "l2": math.sqrt(squares),
            "rms": math.sqrt(squares / len(x))}
    if min(x) != max(x):
        out |= {"skewness": moments[1] / moments[0] ** 1.5, "kurtosis": moments[2] / moments[0] ** 2}
    return out


def check(record, values):
    where = record["name"], record["axis"], record.get("index")
    for key, want in statistics(values).items():
        close = math.isclose(record[key], want, rel_tol=1e-9, abs_tol=1e-12)
        assert close if isinstance(want, float) else record[key] == want, (where, key, record[key], want)
    finite = [(i, float(x)) for i, x in values if math.isfinite(x)]
    assert record["status"] == ("ok" if len(finite) == len(values) else "nonfinite"), where
    if not finite:
        assert "mean" not in record and "quantiles" not in record, where
        return
    ranked = sorted(v for _, v in finite)
    for p, about in record["quantiles"].items():
        exact = ranked[max(math.ceil(float(p) * len(ranked)), 1) - 1]
        assert abs(about - exact) <= record["quantile_error"] * abs(exact), (where, p, about, exact)
    top = sorted(finite, key=lambda f: (-abs(f[1]), f[0]))[:8]
    assert [(t["index"], t["value"]) for t in record["top"]] == top, where


def main():
    groups = {}
    records = [json.loads(line) for line in open(sys.argv[2])]
    by_name = {}
    for r in records:
        by_name.setdefault(r["name"], r)
    for name, shape, values in tensors(sys.argv[1]):
        if name not in by_name:
            continue
        if by_name[name]["axis"] == "all":
            groups[name, 0] = []
        for i, place in enumerate(itertools.product(*map(range, shape))):
            index = group(by_name[name], place)
            if index is not None:
                groups.setdefault((name, index), []).append((i, values[i]))
    assert len(records) == len(groups), (len(records), len(groups))
    for r in records:
        check(r, groups.pop((r["name"], r.get("index", 0))))
    print(f"{len(records)} records")


main()
