#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# GGUF files of big-endian machines hold the same numbers.

load ../helpers

# Writes little.gguf and big.gguf with the same tensors; FIELDS are the places and widths of the
# numbers in a block that are turned.
pair() {
    python3 - <<'EOF'
import struct
types = {  # number, block elements, block bytes, fields (place, width) that have more than a byte
    "f32": (0, 1, 4, [(0, 4)]), "f16": (1, 1, 2, [(0, 2)]), "bf16": (30, 1, 2, [(0, 2)]),
    "f64": (28, 1, 8, [(0, 8)]), "i64": (27, 1, 8, [(0, 8)]), "i8": (24, 1, 1, []),
    "q4_0": (2, 32, 18, [(0, 2)]), "q8_0": (8, 32, 34, [(0, 2)]), "q4_k": (12, 256, 144, [(0, 2), (2, 2)]),
    "q6_k": (14, 256, 210, [(208, 2)]), "q2_k": (10, 256, 84, [(80, 2), (82, 2)]),
    "q8_k": (15, 256, 292, [(0, 4)] + [(260 + 2 * i, 2) for i in range(16)]),
    "iq2_xs": (17, 256, 74, [(2 * i, 2) for i in range(33)]),
    "iq4_xs": (23, 256, 136, [(0, 2), (2, 2)]), "mxfp4": (39, 32, 17, []),
}
state = 1
def byte():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return state >> 56 & 0x3f  # small enough that no half is NaN
def build(order):
    infos, data = b"", b""
    for name, (number, elements, size, fields) in types.items():
        blocks = [bytearray(raw) for raw in raws[name]]
        for block in blocks:
            for place, width in fields if order == ">" else []:
                block[place:place + width] = block[place:place + width][::-1]
        infos += struct.pack(order + "Q", len(name)) + name.encode()
        infos += struct.pack(order + "IQQIQ", 2, elements * 2, 2, number, len(data))
        data += b"".join(blocks)
        data += bytes(-len(data) % 32)
    key = b"general.name"
    meta = struct.pack(order + "Q", len(key)) + key + struct.pack(order + "IQ", 8, 3) + b"abc"
    head = b"GGUF" + struct.pack(order + "IQQ", 3, len(types), 1) + meta + infos
    return head + bytes(-len(head) % 32) + data
raws = {name: [bytes(byte() for _ in range(t[2])) for _ in range(4)] for name, t in types.items()}
open("little.gguf", "wb").write(build("<"))
open("big.gguf", "wb").write(build(">"))
EOF
}

@test "the same tensors and metadata in either byte order" {
    pair
    run -1 cmp -s little.gguf big.gguf
    tensor-hash --table little.gguf > list
    run -0 tensor-hash --check list big.gguf --table
    tensor-cat big.gguf | tensor-hash --check list - > /dev/null
    diff <(tensor-ls --meta --tsv little.gguf) <(tensor-ls --meta --tsv big.gguf)
}

@test "a big-endian file that is cut is refused at any byte" {
    pair
    size=$(stat -c %s big.gguf)
    for ((n = 4; n < size - 32; n += 97)); do
        head -c "$n" big.gguf > cut.gguf
        refuses cut.gguf tensor-ls cut.gguf
    done
}
