# SPDX-License-Identifier: MIT
"""Samples of stages as aprender dumps them; see make-samples."""
import struct


def stage(layer=0, count=4, data=struct.pack("<4f", 1, 2, 3, 4)):
    return b"APRT" + struct.pack("<II", layer, count) + data


def samples(add):
    add("good-plain.aprt", stage(), '"name":"array","dtype":"F32","shape":[4],"nbytes":16', "a stage of a layer")
    add("good-model.aprt", stage(0xFFFFFFFF), '"elements":4', "a stage of the whole model")
    add("good-empty.aprt", stage(2, 0, b""), '"elements":0', "a stage of nothing")
    add("bad-magic-only.aprt", b"APRT", "too few", "a magic and nothing else")
    add("bad-header.aprt", stage()[:11], "too few", "a header that breaks off")
    add("bad-short.aprt", stage(count=5), "and only 16", "fewer numbers than the header says")
    add("bad-cut.aprt", stage()[:-1], "and only 15", "a number that breaks off")
    add("bad-long.aprt", stage(count=3), "but 16", "more numbers than the header says")
    add("bad-count-wraps.aprt", stage(count=0x40000004), "4294967312 bytes", "a size that is right in 32 bits")
    add("bad-count-max.aprt", stage(count=0xFFFFFFFF), "17179869180 bytes", "2^32 - 1 numbers")
