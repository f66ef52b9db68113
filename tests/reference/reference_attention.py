# SPDX-License-Identifier: MIT
"""Attention once more, in plain Python: what tensor-attn(1) is held to.

usage: reference_attention.py IN.safetensors OUT.safetensors [KEY=VALUE]...

Reads P.q, P.k, P.v (F32) and, where there are any, P.mask and P.sinks; writes P.attn_out, P.scores
and P.weights as F64.  Keys: causal=1, window=N, cap=X, scale=X, alibi=1.
"""
import json
import math
import struct
import sys

INF = math.inf


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            raw = data[8 + length + begin:8 + length + end]
            tensors[name] = entry["shape"], struct.unpack(f"<{len(raw) // 4}f", raw)
    return tensors


def write(path, tensors):
    header, data = {}, b""
    for name, (shape, numbers) in tensors.items():
        raw = struct.pack(f"<{len(numbers)}d", *numbers)
        header[name] = {"dtype": "F64", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def slope(head, heads):
    n = 2 ** int(math.log2(heads))
    return 2 ** (-8 * (head + 1) / n) if head < n else 2 ** (-4 * (2 * (head - n) + 1) / n)


def softmax(scores, sink):
    top = max(scores + [sink])
    if top == -INF:
        return [0.0] * len(scores)
    powers = [math.exp(s - top) for s in scores]
    total = sum(powers) + (math.exp(sink - top) if sink > -INF else 0)
    return [p / total for p in powers]


def attention(tensors, prefix, options):
    (n_q, heads, dim), q = tensors[prefix + "q"]
    (n_kv, kv_heads, _), k = tensors[prefix + "k"]
    (_, _, value_dim), v = tensors[prefix + "v"]
    mask = tensors.get(prefix + "mask")
    sinks = tensors.get(prefix + "sinks")
    scale = float(options.get("scale", 1 / math.sqrt(dim)))
    cap, window = float(options.get("cap", 0)), int(options.get("window", 0))
    out, all_scores, all_weights = [0.0] * (n_q * heads * value_dim), [], []
    for h in range(heads):
        g = h * kv_heads // heads
        for i in range(n_q):
            p = i + n_kv - n_q
            scores = []
            for j in range(n_kv):
                a, b = (i * heads + h) * dim, (j * kv_heads + g) * dim
                s = math.fsum(q[a + c] * k[b + c] for c in range(dim)) * scale
                s = cap * math.tanh(s / cap) if cap else s
                if "alibi" in options:
                    s += struct.unpack("<f", struct.pack("<f", slope(h, heads)))[0] * (j - p)
                if mask:
                    m = 0 if len(mask[0]) == 2 else h
                    s += mask[1][(m * n_q + i) * n_kv + j]
                if ("causal" in options and j > p) or (window and j <= p - window):
                    s = -INF
                scores.append(s)
            weights = softmax(scores, sinks[1][h] if sinks else -INF)
            for c in range(value_dim):
                out[(i * heads + h) * value_dim + c] = math.fsum(
                    w * v[(j * kv_heads + g) * value_dim + c] for j, w in enumerate(weights) if w)
            all_scores += scores
            all_weights += weights
    return {prefix + "attn_out": ([n_q, heads, value_dim], out),
            prefix + "scores": ([heads, n_q, n_kv], all_scores),
            prefix + "weights": ([heads, n_q, n_kv], all_weights)}


def main(source, target, *texts):
    options = dict(text.split("=") for text in texts)
    tensors, results = read(source), {}
    for name in tensors:
        if name.endswith(".q"):
            results |= attention(tensors, name[:-1], options)
    write(target, results)


main(*sys.argv[1:])
