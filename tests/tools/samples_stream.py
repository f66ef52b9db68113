# SPDX-License-Identifier: MIT
"""Tensor-stream samples; see make-samples."""
from formats import (Raw, Tensor, ending, ones, opening, pack, source, stream, tensor_objects,
                     tensor_record)

MAX64 = (1 << 64) - 1
ESCAPES = "\x1b]52;c;ZXZpbA==\x07"  # writes to the clipboard of a terminal that obeys it


def nest(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


class Samples:
    def __init__(self, add):
        self.add = add
        self.w = ones()
        self.whole = tensor_objects(self.w)

    def objects(self, sample, says, proves, *objects):
        """A stream of these objects: packed bytes, or what is to be packed."""
        data = b"".join(o if isinstance(o, bytes) else pack(o) for o in objects)
        self.add(f"{sample}.tsr", data, says, proves)

    def segment(self, sample, says, proves, *objects, tensors=1, records=0):
        """A stream of one segment: its opening, these objects, an end with these counts."""
        self.objects(sample, says, proves, opening(), *objects, ending(tensors, records))


def good(s):
    w, whole = s.w, s.whole
    s.segment("good-plain", '"name":"w","dtype":"F32","shape":[4],"nbytes":16', "a plain stream", whole)
    s.segment("good-no-tensors", "", "a stream of no tensors", tensors=0)
    s.segment("good-chunks", '"name":"w"', "chunks cut anywhere", tensor_objects(w, cuts=(1, 2, 3, 7)))
    s.segment("good-empty-chunks", '"name":"w"', "empty chunks before, between and behind the others",
              tensor_record(w), *[pack(bytes(n)) for n in (0, 7, 0, 9, 0, 0)])
    s.segment("good-chunk-16", '"name":"w"', "a chunk with a length of 16 bits", tensor_record(w),
              b"\xc5\0\x10" + bytes(16))
    s.segment("good-chunk-32", '"name":"w"', "a chunk with a length of 32 bits", tensor_record(w),
              b"\xc6\0\0\0\x10" + bytes(16))
    s.segment("good-empty-tensor", '"elements":0', "a tensor of no bytes has no chunk",
              tensor_record(ones(shape=(0,))))
    s.segment("good-scalar", '"shape":[]', "a shape of no dimensions", tensor_objects(ones(shape=())))
    s.objects("good-two-segments", '"name":"v"', "segments follow one another", stream([w]),
              stream([ones("v")]))
    s.objects("good-no-tool", '"name":"w"', "an opening that names no tool",
              {"kind": "stream", "version": 1}, whole, ending(1))
    s.segment("good-unknown-kind", '"name":"w"', "a record of a kind that nobody knows",
              {"kind": "weather", "rain": True, "deep": {"a": [1, 2.5, None, "x", b"y"]}}, whole,
              records=1)
    s.segment("good-unknown-keys", '"name":"w"', "keys that nobody knows",
              tensor_objects(w, stage="ffn_out", layer=3, orig_shape=[2, 2]))
    s.segment("good-source", '"source":0', "a source and its metadata",
              source({"a": {"b": [1, "c"]}}), tensor_objects(w, source=0), records=1)
    s.segment("good-rows", '"nbytes":432', "rows that are padded to whole blocks",
              tensor_objects(Tensor("w", "Q4_K", [3, 100], bytes(432))))
    s.segment("good-flat", '"packing":"flat"', "blocks that run over the rows",
              tensor_objects(Tensor("w", "Q4_K", [3, 100], bytes(288), packing="flat")))
    s.segment("good-nan", "", "numbers that are none",
              {"kind": "stat", "x": float("nan"), "y": float("-inf")}, tensors=0, records=1)
    s.segment("good-escapes", "\\u001B]52;c;ZXZpbA==", "a name that would command a terminal is escaped",
              tensor_objects(ones(ESCAPES)))
    s.segment("good-deep-32", '"name":"w"', "a record nested as deep as is taken",
              {"kind": "x", "y": nest(31)}, whole, records=1)
    s.segment("good-map-32", '"name":"w"', "a map with a length of 32 bits",
              b"\xdf\0\0\0\5" + tensor_record(w)[1:], pack(w.data))


def bad_segments(s):
    w, whole = s.w, s.whole
    s.add("bad-empty.tsr", b"", "empty", "a stream of no bytes")
    s.objects("bad-no-end", "truncated", "no end record", opening(), whole)
    s.objects("bad-no-end-second", "truncated: late broke off", "no end record in the second segment",
              stream([w]), opening(tool="late"), tensor_objects(ones("v")))
    s.objects("bad-opening-only", "truncated", "an opening and nothing else", opening())
    for name, tensors, records in (("tensors", 2, 0), ("tensors-0", 0, 0), ("records", 1, 1),
                                   ("max", MAX64, MAX64), ("negative", -1, 0), ("float", 1.0, 0),
                                   ("text", "1", 0), ("null", None, None)):
        s.segment(f"bad-end-{name}", "counts", "an end that counts what did not come", whole,
                  tensors=tensors, records=records)
    s.objects("bad-end-missing", "counts", "an end that counts nothing", opening(), whole, {"kind": "end"})
    s.objects("bad-end-twice", "outside of a segment", "two ends", opening(), whole, ending(1), ending(1))
    s.objects("bad-behind-garbage", "bad MessagePack", "garbage behind the end", stream([w]), b"\xc1garbage")
    s.objects("bad-behind-number", "no map", "a number behind the end", stream([w]), 7)
    s.objects("bad-behind-zeros", "no map", "zeros behind the end", stream([w]), bytes(64))
    s.objects("bad-behind-record", "outside of a segment", "a record behind the end", stream([w]),
              {"kind": "stat"})
    s.objects("bad-behind-chunk", "more bytes", "bytes behind the end", stream([w]), b"\xc4\1x")
    s.objects("bad-opening-twice", "inside another", "a segment in a segment", opening(), opening(), whole,
              ending(1))
    s.objects("bad-interleaved", "inside another", "two streams object by object", opening(), opening(),
              whole, tensor_objects(ones("v")), ending(1), ending(1))
    s.objects("bad-interleaved-in-tensor", "inside another", "two streams within a tensor", opening(),
              tensor_record(w), pack(bytes(8)), opening(), tensor_record(ones("v")), pack(bytes(8)),
              pack(bytes(16)), pack(bytes(8)), ending(1), ending(1))
    s.objects("bad-opening-missing", "known format", "a record before the stream opens", whole, ending(1))
    for name, version in (("0", 0), ("2", 2), ("float", 1.0), ("text", "1"), ("null", None)):
        s.objects(f"bad-version-{name}", "version", f"a version of {version!r}", opening(version), whole,
                  ending(1))
    s.objects("bad-version-missing", "version", "no version", {"kind": "stream", "tool": "x"}, whole,
              ending(1))


def bad_chunks(s):
    w, whole = s.w, s.whole
    begin = tensor_record(w)
    s.objects("bad-few-bytes", "bytes short", "fewer bytes than nbytes, and then nothing", opening(), begin,
              pack(bytes(15)))
    s.segment("bad-few-bytes-end", "should go on", "an end where bytes are due", begin, pack(bytes(15)))
    s.segment("bad-few-bytes-next", "should go on", "another tensor where bytes are due", begin,
              pack(bytes(12)), tensor_objects(ones("v")), tensors=2)
    s.segment("bad-few-bytes-number", "should go on", "a number where bytes are due", begin, 7)
    s.segment("bad-many-bytes", "more bytes", "a chunk longer than nbytes", begin, pack(bytes(17)))
    s.segment("bad-many-bytes-next", "more bytes", "a chunk too many", whole, pack(bytes(1)))
    s.segment("bad-many-bytes-4g", "more bytes", "a chunk of 4 GiB in a small stream", begin,
              b"\xc6\xff\xff\xff\xff" + bytes(16))
    s.segment("bad-chunk-alone", "more bytes", "bytes that belong to no tensor", pack(bytes(16)), tensors=0)
    s.segment("bad-chunk-text", "should go on", "a text where bytes are due", begin, "x" * 16)


def bad_errors(s):
    def error(name, says, proves, *objects):
        s.objects(f"bad-error-{name}", says, proves, opening(), *objects)

    fire = {"kind": "error", "tool": "tensor-x", "message": "on fire"}
    error("plain", "tensor-x failed: on fire", "the producer's own word for its failure", fire)
    error("ended", "tensor-x failed: on fire", "an end does not undo an error", fire, ending(0))
    error("in-tensor", "on fire", "a producer's last word where bytes are due", tensor_record(s.w),
          pack(bytes(4)), fire)
    error("empty", "failed", "a producer that fails without a word", {"kind": "error"})
    error("escape", "\\x1b[2J", "a producer's message is escaped",
          {"kind": "error", "tool": "\x1b[2J", "message": "\x1b[2J\n"})
    error("long", "xxxx", "a message of a megabyte",
          {"kind": "error", "tool": "x" * 1000000, "message": "\n" * 1000000})


def bad_objects(s):
    for name, says, proves, thing in (
            ("kind-second", "first key", "a record whose first key is not kind", {"name": "w", "kind": "tensor"}),
            ("kind-missing", "first key", "a record of no kind", {"a": 1}),
            ("kind-nothing", "first key", "a record of nothing", {}),
            ("object-array", "no map", "an array where a record should be", [1, 2]),
            ("object-text", "no map", "a text where a record should be", "tensor"),
            ("object-number", "no map", "a number where a record should be", 42),
            ("object-null", "no map", "nothing where a record should be", None),
            ("object-never", "MessagePack", "the byte that MessagePack never uses", Raw(b"\xc1")),
            ("key-number", "key", "a key that is a number", {"kind": "x", 1: 2}),
            ("key-map", "key", "a key that is a map", Raw(b"\x82" + pack("kind") + pack("x") + b"\x80\1")),
            ("key-twice", "twice", "one key for two values",
             Raw(b"\x83" + pack("kind") + pack("x") + (pack("a") + b"\1") * 2)),
            ("deep-33", "deep", "a record nested deeper than is taken", {"kind": "x", "y": nest(32)}),
            ("deep-arrays", "deep", "arrays nested a million deep", Raw(b"\x91" * 1000000)),
            ("deep-maps", "deep", "maps nested a million deep", Raw(b"\x81\xa1k" * 1000000)),
            ("map32-object", "truncated", "a record that claims 4 G members",
             Raw(b"\xdf\xff\xff\xff\xff" + pack("kind") + pack("x")))):
        s.segment(f"bad-{name}", says, proves, thing, records=1, tensors=0)
    for name, code in (("fixext", b"\xd4\1\0"), ("ext8", b"\xc7\1\1\0"),
                       ("ext32", b"\xc9\xff\xff\xff\xff\1"), ("time", b"\xd6\xff\0\0\0\0")):
        s.segment(f"bad-{name}", "extension type", "an extension type", {"kind": "x", "y": Raw(code)},
                  records=1, tensors=0)
        s.segment(f"bad-{name}-object", "extension type", "an extension type as an object", Raw(code),
                  tensors=0)
    for name, code in (("map32", b"\xdf"), ("array32", b"\xdd"), ("str32", b"\xdb"), ("bin32", b"\xc6")):
        s.segment(f"bad-{name}-4g", "truncated", "a claim of 4 G things takes no memory",
                  {"kind": "x", "y": Raw(code + b"\xff" * 4)})


def bad_tensors(s):
    fields = {"kind": "tensor", "name": "w", "dtype": "F32", "shape": [4], "nbytes": 16}

    def tensor(name, says, proves, record):
        s.segment(f"bad-tensor-{name}", says, proves, record, pack(bytes(16)))

    for field, name, value, says in (
            ("nbytes", "more", 17, "17 bytes, its type F32 and shape need 16"),
            ("nbytes", "less", 15, "15 bytes"), ("nbytes", "max", MAX64, f"{MAX64} bytes"),
            ("nbytes", "negative", -16, "nbytes"), ("nbytes", "float", 16.0, "nbytes"),
            ("nbytes", "text", "16", "nbytes"), ("dtype", "unknown", "F33", "unknown dtype 'F33'"),
            ("dtype", "number", 2, "dtype"), ("dtype", "escape", "\x1b[2J", "\\x1b[2J"),
            ("name", "number", 7, "name"), ("name", "empty", "", "empty"), ("name", "nul", "a\0b", "NUL"),
            ("name", "utf8", "\udcff", "UTF-8"), ("name", "64k", "n" * 65537, "65536"),
            ("shape", "number", 4, "shape"), ("shape", "float", [4.0], "natural number"),
            ("shape", "nan", [float("nan")], "natural number"), ("shape", "negative", [-4], "natural number"),
            ("shape", "text", ["4"], "natural number"), ("shape", "map", {"0": 4}, "shape"),
            ("shape", "rank-17", [1] * 16 + [4], "dimensions"), ("shape", "rank-1000", [1] * 1000, "dimensions"),
            ("shape", "wraps", [1 << 32, 1 << 32], "overflow"), ("shape", "less", [3], "need 12"),
            ("packing", "unknown", "diagonal", "packing"), ("packing", "number", 1, "packing")):
        tensor(f"{field}-{name}", says, f"a tensor with a {field} that is none", {**fields, field: value})
    for field in ("name", "dtype", "shape", "nbytes"):
        tensor(f"no-{field}", f"no {field}", f"a tensor without {field}",
               {k: v for k, v in fields.items() if k != field})
    tensor("name-4g", "truncated", "a name that claims 4 GiB",
           Raw(b"\x83\xa4kind\xa6tensor\xa4name\xdb\xff\xff\xff\xff"))
    tensor("shape-4g", "truncated", "a shape that claims 4 G dimensions",
           Raw(b"\x83\xa4kind\xa6tensor\xa5shape\xdd\xff\xff\xff\xff"))
    tensor("escape", "\\x1b]52", "a complaint about a hostile name shows it escaped",
           {**fields, "name": ESCAPES, "nbytes": 17})


def samples(add):
    s = Samples(add)
    for part in (good, bad_segments, bad_chunks, bad_errors, bad_objects, bad_tensors):
        part(s)
