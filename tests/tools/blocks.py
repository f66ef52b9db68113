# SPDX-License-Identifier: MIT
"""The same random blocks of every element type, in every run and on every machine."""
import hashlib

ROWS, COLUMNS = 2, 1024
FLAT_SHAPE = (3, 341)  # for types whose blocks run over the rows: 1023 elements

# name: (elements of a block, its bytes, where its halves are)
GGUF_TYPES = {
    "Q4_0": (32, 18, [0]), "Q4_1": (32, 20, [0, 2]), "Q5_0": (32, 22, [0]), "Q5_1": (32, 24, [0, 2]),
    "Q8_0": (32, 34, [0]), "Q8_1": (32, 36, [0, 2]), "Q2_K": (256, 84, [80, 82]), "Q3_K": (256, 110, [108]),
    "Q4_K": (256, 144, [0, 2]), "Q5_K": (256, 176, [0, 2]), "Q6_K": (256, 210, [208]), "Q8_K": (256, 292, []),
    "IQ2_XXS": (256, 66, [0]), "IQ2_XS": (256, 74, [0]), "IQ3_XXS": (256, 98, [0]), "IQ1_S": (256, 50, [0]),
    "IQ4_NL": (32, 18, [0]), "IQ3_S": (256, 110, [0]), "IQ2_S": (256, 82, [0]), "IQ4_XS": (256, 136, [0]),
    "IQ1_M": (256, 56, []), "TQ1_0": (256, 54, [52]), "TQ2_0": (256, 66, [64]), "MXFP4": (32, 17, []),
    "NVFP4": (64, 36, []), "Q1_0": (128, 18, [0]), "Q2_0": (64, 18, [0]), "F16": (1, 2, []), "BF16": (1, 2, []),
    "F64": (1, 8, []), "I8": (1, 1, []), "I16": (1, 2, []), "I32": (1, 4, []), "I64": (1, 8, []),
}
SAFETENSORS_TYPES = {
    "F8_E4M3": (1, 1), "F8_E5M2": (1, 1), "F8_E4M3FNUZ": (1, 1), "F8_E5M2FNUZ": (1, 1), "F8_E8M0": (1, 1), "F4": (2, 1), "F6_E2M3": (4, 3), "F6_E3M2": (4, 3),
    "U8": (1, 1), "U16": (1, 2), "U32": (1, 4), "U64": (1, 8), "BOOL": (1, 1),
}


def stream(name, length):
    """Random bytes: SHA-256 of name and a counter."""
    data = b"".join(hashlib.sha256(f"{name}:{i}".encode()).digest() for i in range(length // 32 + 1))
    return bytearray(data[:length])


def make_finite(data, at):
    """A half at a place becomes finite: its exponent loses a bit where all are set."""
    if data[at + 1] & 0x7C == 0x7C:
        data[at + 1] &= 0xBF


def blocks(name, count):
    """That many blocks of a type of GGUF files, with finite scales."""
    _, size, halves = GGUF_TYPES[name]
    data = stream(name, count * size)
    for begin in range(0, count * size, size):
        for place in halves:
            make_finite(data, begin + place)
        if name == "Q8_K":  # its scale is a float32: between 2^-31 and 2^32, of either sign
            data[begin + 3] = data[begin + 3] & 0x80 | 0x30 + data[begin + 3] % 32
        if name == "IQ1_M":  # the upper bits of its half are those of the last word
            data[begin + 55] &= 0xBF
        if name == "F64" and data[begin + 7] & 0x7F == 0x7F:
            data[begin + 7] &= 0xBF
        if name == "F64" and begin % 32:  # most within the range of float32
            data[begin + 7] = data[begin + 7] & 0x80 | 0x3C + data[begin + 7] % 8
    return bytes(data)


def gguf_data(name):
    return blocks(name, ROWS * COLUMNS // GGUF_TYPES[name][0])


def safetensors_data(name):
    """Elements that are no NaN, of which the description of a type leaves the bits open."""
    elements, size = SAFETENSORS_TYPES[name]
    largest = {"F8_E4M3": 0x7E, "F8_E5M2": 0x7C, "F8_E8M0": 0xFE}.get(name)
    data = stream(name, ROWS * COLUMNS // elements * size)
    if name.endswith("FNUZ"):
        return bytes(b if b != 0x80 else 0 for b in data)
    if name == "F8_E8M0":
        return bytes(min(b, largest) for b in data)
    return bytes(b & 0x80 | min(b & 0x7F, largest) for b in data) if largest else bytes(data)


def apr_data(name):
    elements = FLAT_SHAPE[0] * FLAT_SHAPE[1]
    if name == "APR_Q8":
        return b"\x00\x00\x40\xbd" + bytes(stream(name, elements))  # the scale is -0.046875
    data = stream(name, (elements + 31) // 32 * 18)
    for begin in range(0, len(data), 18):
        make_finite(data, begin)
    return bytes(data)


def activations():
    """One row of numbers for products: around 0, some larger, a block of zeros, ties of the roundings to 8 bits."""
    data = stream("x", 4 * COLUMNS)
    row = [(int.from_bytes(data[4 * i:4 * i + 4], "little") - 2**31) * 2.0 ** -31 for i in range(COLUMNS)]
    row[100] = -17.5
    row[512:544] = [0.0] * 32
    row[768:1024] = [127.0] + [i % 251 - 125.5 for i in range(255)]
    return row
