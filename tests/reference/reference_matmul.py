#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The determinism cases that kernels of others are tested with (aprender-serve's 005 to 011), as files, and
what is asked of the answers, in arithmetic that stands here.

usage: reference_matmul.py write     files of all cases, in this folder
       reference_matmul.py bits FILE the bits of each number of F32 tensors, in hexadecimal
       reference_matmul.py row W X   the same of sums from left to right in float32, tensors in F32
       reference_matmul.py chain     009: five products with a norm between, by tensor-matmul
       reference_matmul.py softmax   011: how a change of one logit comes out of a softmax

Numbers are float32, rounded after each operation: float64 holds more than twice the digits, so that rounding
twice gives what rounding once would.
"""
import math
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import formats  # noqa: E402


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def mul(a, b):
    return f32(a * b)


def add(a, b):
    return f32(a + b)


def pack(numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def write(path, *tensors):
    with open(path, "wb") as file:
        file.write(formats.WRITERS[path.rpartition(".")[2]]([formats.Tensor(*t) for t in tensors]))


def wave(i, factor, period, middle, step):
    return mul(f32(i * factor % period - middle), f32(step))


def ramp():
    """x of 008, 009 and 010."""
    return [add(mul(f32(i - 128), f32(0.05)), mul(f32(i % 7), f32(0.01))) for i in range(256)]


def block(d, dmin, scales=0, quants=0, step=0):
    """A block of Q4_K; d and dmin are halves."""
    return struct.pack("<HH", d, dmin) + bytes((7 * i + 3 + scales) % 256 for i in range(12)) + \
        bytes((13 * i + 17 + quants + step) % 256 for i in range(128))


def chain_matrix(t):
    return b"".join(block(0x3C00, 0xB400, sb + 11 * t, 3 * sb, 19 * t) for sb in range(256))


SCALES = {"0.001": 0x1410, "0.01": 0x211F, "0.05": 0x2933, "0.1": 0x2E66, "0.5": 0x3800, "1": 0x3C00, "10": 0x4900}


def write_all():
    write("005.safetensors", ("w", "F32", [512, 128], pack([wave(i, 31, 23, 11, 0.05) for i in range(512 * 128)])))
    write("005.x.safetensors", ("x", "F32", [4, 128], pack([wave(i, 1, 17, 8, 0.1) for i in range(4 * 128)])))
    write("005b.safetensors", ("w", "F32", [64, 128], pack([wave(i, 23, 19, 9, 0.05) for i in range(64 * 128)])))
    write("005b.x.safetensors", ("x", "F32", [1, 128], pack([wave(i, 1, 13, 6, 0.1) for i in range(128)])))
    a = [add(mul(f32(i - 64), f32(0.1)), mul(f32(i % 7), f32(0.013))) for i in range(128)]
    b = [add(mul(f32(mul(f32(i), f32(0.7)) - 50), f32(0.05)), mul(f32(i % 11), f32(0.011))) for i in range(128)]
    write("006.safetensors", ("w", "F32", [1, 128], pack(a)))
    write("006.x.safetensors", ("x", "F32", [128], pack(b)))
    write("008.gguf", ("w", "Q4_K", [1, 256], block(0x3C00, 0xB400)))
    write("010.gguf", *((name, "Q4_K", [1, 256], block(d, 0)) for name, d in SCALES.items()))
    write("ramp.safetensors", ("x", "F32", [256], pack(ramp())))
    logits = [-1.5, 0.5, -0.8, 10.0, 1.2, -0.3, 0.7]
    write("011.safetensors", ("w", "F32", [7, 7], pack([float(i % 8 == 0) for i in range(49)])))
    write("011.x.safetensors", ("x", "F32", [2, 7], pack(logits + logits[:3] + [add(10.0, f32(0.0077))] + logits[4:])))


def tensors(*command):
    """{name: numbers} of the F32 tensors that a command makes."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "show-stream")
    scope = {"__name__": "show_stream"}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), scope)
    found, name = {}, None
    for _, thing in scope["objects"](subprocess.run(command, capture_output=True, check=True).stdout):
        if isinstance(thing, bytes):
            found[name] += thing
        elif thing and thing["kind"] == "tensor":
            name, found[thing["name"]] = thing["name"], b""
    return {n: struct.unpack(f"<{len(d) // 4}f", d) for n, d in found.items()}


def show(numbers):
    print(*(f"{b:08x}" for b in struct.unpack(f"<{len(numbers)}I", pack(numbers))))


def left_to_right(w, x):
    for begin in range(0, len(x), 128):
        for row in range(0, len(w), 128):
            total = 0.0
            for a, b in zip(w[row:row + 128], x[begin:begin + 128]):
                total = add(total, mul(a, b))
            yield total


def normed(y):
    total = 0.0
    for v in y:
        total = add(total, mul(v, v))
    norm = max(f32(math.sqrt(f32(total / len(y)))), f32(1e-9))
    return [f32(v / norm) for v in y]


def chain():
    ends = []
    for path in ("row", "fused"):
        x = ramp()
        for t in range(5):
            write("009.gguf", ("w", "Q4_K", [256, 256], chain_matrix(t)))
            write("009.x.safetensors", ("x", "F32", [256], pack(x)))
            x = normed(tensors("tensor-matmul", "--path", path, "009.gguf", "009.x.safetensors")["w.y"])
        ends.append(x)
    a, b = ends
    print(math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b)) / sum(p * p for p in a)))


def softmax():
    y = tensors("tensor-matmul", "--path", "row", "011.safetensors", "011.x.safetensors")["w.y"]
    rows = (y[:7], y[7:])
    outs = []
    for row in rows:
        exps = [f32(math.exp(f32(v - max(row)))) for v in row]
        outs.append([v / sum(exps) for v in exps])

    def drift(a, b):
        return sum(abs(p - q) for p, q in zip(a, b)) / sum(abs(p) for p in a)
    print(drift(*outs) / drift(*rows))


command, *arguments = sys.argv[1:]
if command == "write":
    write_all()
elif command == "bits":
    for values in tensors("tensor-cat", *arguments).values():
        show(values)
elif command == "row":
    show(list(left_to_right(*(next(iter(tensors("tensor-cat", a).values())) for a in arguments))))
else:
    {"chain": chain, "softmax": softmax}[command]()
