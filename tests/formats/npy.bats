#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# numpy's files: tensor-format-npy(5).

load ../helpers

# npy DESCR ORDER SHAPE HEX: an array, its header padded as numpy does it.
npy() {
    python3 -c 'import struct, sys
descr, order, shape, data = sys.argv[1:]
text = "{\x27descr\x27: \x27%s\x27, \x27fortran_order\x27: %s, \x27shape\x27: %s, }" % (descr, order, shape)
text += " " * (-(11 + len(text)) % 64) + "\n"
sys.stdout.buffer.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes.fromhex(data))' "$@"
}

# zip FILE STORED|DEFLATED NAME...: an archive of files, with python.
zip_of() {
    python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", getattr(zipfile, "ZIP_" + sys.argv[2])) as archive:
    for name in sys.argv[3:]:
        archive.write(name)' "$@"
}

agree() {
    tensor-cos "$@" | verdict --rule 'max_diff <= 0' > /dev/null
}

@test "types and shapes" {
    npy '<f4' False '(2, 3)' 0000803f0000004000004040000080400000a0400000c040 > a.npy
    make-model want.safetensors 'array F32 2x3 = 1 2 3 4 5 6'
    agree a.npy want.safetensors
    npy '<f2' False '(2,)' 003c0040 > a.npy
    npy '|b1' False '()' 01 > b.npy
    npy '<i8' False '(1, 1)' 0100000000000000 > c.npy
    run -0 tensor-ls --tsv a.npy b.npy c.npy
    says $'F16\t[2]\t4' $'BOOL\t[]\t1' $'I64\t[1, 1]\t8'
}

@test "what numpy writes is what we write" {
    npy '<f4' False '(2, 3)' 0000803f0000004000004040000080400000a0400000c040 > a.npy
    tensor-cat a.npy | tensor-save b.npy
    cmp a.npy b.npy
    npy '<u2' False '(3,)' 010002000300 > a.npy
    tensor-save -f b.npy < a.npy
    cmp a.npy b.npy
    make-model m.safetensors 'x F32 1 = 1' 'y BF16 1 = 1'
    make-model n.safetensors 'x F32 1 = 1' 'y F32 1 = 1'
    refuses 'holds one array, not 2' tensor-save c.npy n.safetensors
    refuses 'BF16' tensor-save c.npy --match y m.safetensors
    tensor-save c.npy --match x m.safetensors
}

@test "what cannot be read is refused by name" {
    npy '|O' False '(1,)' 00000000 > a.npy
    refuses 'pickles' tensor-ls a.npy
    npy '|V2' False '(1,)' 803f > a.npy
    refuses "'|V2' is not supported" tensor-ls a.npy
    run -0 tensor-ls --lenient --quiet a.npy
    npy '<f4' False '(2,)' 00000000 > a.npy
    refuses 'need 8' tensor-ls a.npy
    for shape in '(4294967296, 4294967296)' '(-1,)' '(1.0,)' '(1' '[1]' '(1 2)' '(99999999999999999999,)'; do
        npy '<f4' False "$shape" 00000000 > a.npy
        refuses a.npy tensor-ls a.npy
    done
    npy '<f4' False '(1,)' 00000000 > a.npy
    for ((n = 6; n < 132; n += 9)); do
        head -c "$n" a.npy > cut.npy
        refuses cut.npy tensor-ls cut.npy
    done
}

# ordered DESCR FORTRAN SHAPE: an array of the numbers 0, 1, ... in C order, as that descr and order lie in a
# file, on standard output; written element by element, without numpy.
ordered() {
    python3 - "$@" << 'END'
import itertools, struct, sys
descr, fortran, shape = sys.argv[1], sys.argv[2] == "True", eval(sys.argv[3])
code = (descr[0] if descr[0] in "<>" else "<") + {"f4": "f", "f8": "d", "f2": "e", "i4": "i", "i8": "q", "u2": "H", "c8": "ff"}[descr.lstrip("<>=|")]
strides = [1] * len(shape)
for i in range(len(shape) - 1, 0, -1):
    strides[i - 1] = strides[i] * shape[i]
if fortran:
    places = (tuple(reversed(t)) for t in itertools.product(*map(range, reversed(shape))))
else:
    places = itertools.product(*map(range, shape))
data = b""
for place in places:
    n = sum(i * s for i, s in zip(place, strides))
    data += struct.pack(code, *([n, n + 0.5] if code[1:] == "ff" else [n]))
text = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
text += " " * (-(11 + len(text)) % 64) + "\n"
sys.stdout.buffer.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data)
END
}

@test "Fortran order and big-endian numbers are read" {
    for shape in '(6,)' '(2, 3)' '(4, 1, 3)' '(2, 3, 5, 7)' '(1, 3)' '(0, 2)' '()'; do
        for type in f4 f8 f2 i4 i8 u2 c8; do
            ordered "<$type" False "$shape" > want.npy
            for order in True False; do
                for descr in "<$type" ">$type"; do
                    ordered "$descr" $order "$shape" > a.npy
                    cmp <(tensor-hash --table a.npy | cut -d ' ' -f 1) <(tensor-hash --table want.npy | cut -d ' ' -f 1)
                done
            done
        done
    done
    # more than what is put in order at a time, in all three dimensions
    python3 - << 'END'
import array, struct
def put(name, fortran, shape, data):
    text = "{'descr': '<u2', 'fortran_order': %s, 'shape': %s, }" % (fortran, shape)
    text += " " * (-(11 + len(text)) % 64) + "\n"
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data.tobytes())
for k, (n, m) in enumerate([(3, 4000000), (4000000, 3), (3001, 4003)]):
    c = array.array("H", bytes(2 * n * m))
    for i in range(n):
        c[i * m:(i + 1) * m] = array.array("H", [(i * 7 + j) & 0xffff for j in range(m)]) if n < 4000 else array.array("H", [(i * 7 + j) & 0xffff for j in range(m)])
    f = array.array("H", bytes(2 * n * m))
    for j in range(m):
        f[j * n:(j + 1) * n] = c[j::m]
    put("c%d.npy" % k, False, (n, m), c)
    put("f%d.npy" % k, True, (n, m), f)
END
    for k in 0 1 2; do
        cmp <(tensor-hash --table -a xxh3 c$k.npy) <(tensor-hash --table -a xxh3 f$k.npy | sed "s/f$k.npy/c$k.npy/")
    done
    # what is cut is no array
    ordered '>f4' True '(40, 30)' > a.npy
    for n in 100 128 1000 4927; do
        head -c $n a.npy > cut.npy
        refuses cut.npy tensor-ls cut.npy
    done
}

@test "types as other writers spell them" {
    make-model want.safetensors 'array F32 2 = 1 2'
    for descr in '=f4' f4; do
        npy "$descr" False '(2,)' 0000803f00000040 > a.npy
        agree -q a.npy want.safetensors
        run -0 tensor-ls a.npy
        [[ $output == *"states no byte order: taken for little-endian"* ]]
    done
    npy bfloat16 False '(2,)' 803f0040 > a.npy
    agree a.npy want.safetensors
    npy bfloat16 True '(2, 2)' 803f404000408040 > a.npy
    make-model four.safetensors 'array F32 2x2 = 1 2 3 4'
    agree a.npy four.safetensors
    npy float8_e4m3fn False '(2,)' 3840 > a.npy
    agree a.npy want.safetensors
    npy float8_e5m2 False '(2,)' 3c40 > a.npy
    agree a.npy want.safetensors
    npy float8_e8m0fnu False '(2,)' 7f80 > a.npy
    agree a.npy want.safetensors
    npy '|V1' False '(1,)' 00 > a.npy
    refuses 'numpy does not keep' tensor-ls a.npy
    npy float8_e4m3b11fnuz False '(1,)' 00 > a.npy
    refuses "'float8_e4m3b11fnuz' is not supported" tensor-ls a.npy
}

@test "members of an archive that hold no numbers are named, counted and left out" {
    npy '<f4' False '(2,)' 0000803f00000040 > x.npy
    npy '<U3' False '(1,)' 610000006200000063000000 > label.npy
    npy '|O' False '(1,)' 80049504 > thing.npy
    ordered '>f4' True '(2, 3)' > turned.npy
    ordered '<f4' False '(2, 3)' > want.npy
    for method in STORED DEFLATED; do
        zip_of a.npz $method label.npy x.npy turned.npy thing.npy
        run -0 --separate-stderr tensor-ls --tsv a.npz
        [ "${#lines[@]}" -eq 3 ]
        [[ $stderr == *"array 'label': numpy type '<U3' is not supported (it holds text): it is left out"* ]]
        [[ $stderr == *"array 'thing': numpy type '|O' is not supported (it holds pickles): it is left out"* ]]
        [[ $stderr == *"2 of its 4 arrays hold no numbers and are left out"* ]]
        [ "$(grep -c left <<< "$stderr")" -eq 3 ]
        tensor-cat -q --match turned a.npz | tensor-save -qf got.npy
        cmp got.npy want.npy
        zip_of b.npz $method label.npy
        refuses 'none of its 1 arrays holds numbers' tensor-ls -q b.npz
    done
    # numbers that are not known are no text
    npy '|V2' False '(1,)' 803f > raw.npy
    npy '<f16' False '(1,)' 00000000000000000000000000000000 > long.npy
    for name in raw long; do
        zip_of a.npz STORED x.npy $name.npy
        refuses "array '$name'" tensor-ls -q a.npz
    done
}

@test "archives, stored and deflated" {
    npy '<f4' False '(2,)' 0000803f00000040 > x.npy
    npy '<f4' False '(100, 100)' "$(printf '%080000d' 0)" > z.npy
    echo other > readme.txt
    make-model want.safetensors 'x F32 2 = 1 2'
    for method in STORED DEFLATED; do
        zip_of a.npz $method x.npy readme.txt z.npy
        run -0 tensor-ls --json a.npz
        [ "${#lines[@]}" -eq 2 ]
        tensor-cat --match x a.npz > x.tsr
        agree x.tsr want.safetensors
    done
}

# written FILE: what python's zipfile says of an archive that we wrote.
written() {
    python3 - "$1" << 'END'
import sys, zipfile
data = open(sys.argv[1], "rb").read()
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    end = 0
    for m in archive.infolist():
        assert (m.compress_type, m.date_time, m.file_size) == (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), m.compress_size)
        assert m.flag_bits == (0 if m.filename.isascii() else 0x800), m.flag_bits
        assert m.header_offset == end  # no gaps
        extra = int.from_bytes(data[end + 28:end + 30], "little")
        begin = end + 30 + len(m.filename.encode()) + extra
        assert begin % 64 == 0, begin
        assert archive.read(m) == data[begin:begin + m.file_size]
        end = begin + m.file_size
        print(m.filename)
END
}

@test "an archive that we write is one for others, too" {
    make-model m.tsr 'w/x F32 2x3 = 1 2 3 4 5 6' 'größe F16 3 = 1 2 3' 's F64 - = 7' 'e U8 0x3 : ' 'k BOOL 2 : 0100' 'x.npy I16 1 = 5'
    run --separate-stderr -0 tensor-save a.npz m.tsr
    [ -z "$output" ]
    [ -z "$stderr" ]
    run -0 written a.npz
    [ "$output" = $'w/x.npy\ngröße.npy\ns.npy\ne.npy\nk.npy\nx.npy.npy' ]
    tensor-cat m.tsr | tensor-save b.npz
    cmp a.npz b.npz
    # the members are the files that numpy.save makes
    npy '<f4' False '(2, 3)' 0000803f0000004000004040000080400000a0400000c040 > want.npy
    python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile("a.npz").read("w/x.npy"))' > got.npy
    cmp want.npy got.npy
    # names of any length; an archive of nothing
    make-model long.tsr "$(printf 'n%.0s' {1..5000}) F32 1 = 1" 'm F32 1 = 2' -- longest.tsr "$(printf 'n%.0s' {1..65532}) F32 1 = 1"
    tensor-save long.npz long.tsr
    run -0 written long.npz
    cmp <(tensor-hash --table long.npz) <(tensor-hash --table long.tsr)
    refuses 'at most 65531 bytes' tensor-save longest.npz longest.tsr
    make-model none.tsr
    tensor-save none.npz none.tsr
    run -0 written none.npz
    run -0 tensor-ls --table none.npz
    says '0 tensors'
}

@test "names that a reader of archives would take for others" {
    make-model m.tsr 'a F32 1 = 1' 'b F32 1 = 1' 'a.npy F32 1 = 2' -- up.tsr 'a/../b F32 1 = 1'
    refuses "tensor 'a.npy' has the name of the file of tensor 'a'" tensor-save a.npz m.tsr
    refuses 'has no names with a NUL or ..' tensor-save a.npz up.tsr
    refuses 'came twice' tensor-save a.npz m.tsr m.tsr
    [ ! -e a.npz ]
    tensor-save a.npz --exclude a m.tsr
}

@test "more members than 16 bits count" {
    python3 - << 'END'
import json, struct
count = 65536
header = json.dumps({"t%d" % i: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(count)}).encode()
open("many.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + bytes(i % 251 for i in range(count)))
END
    tensor-save many.npz many.safetensors
    [ "$(python3 -c 'import zipfile; print(len(zipfile.ZipFile("many.npz").infolist()))')" -eq 65536 ]
    cmp <(tensor-hash --table --algorithm xxh3 many.npz) <(tensor-hash --table --algorithm xxh3 many.safetensors)
    tensor-save edge.npz --limit 65535 many.safetensors
    run -0 pipeline 'tensor-ls --table edge.npz | tail -n 1'
    says '65535 tensors'
}

@test "a member and a place beyond 32 bits" {
    [ -n "${TU_TEST_LARGE:-}" ] || skip "it writes 4.4 GB: set TU_TEST_LARGE"
    npy '|u1' False '(4400000000,)' '' > big.npy
    truncate -s $((128 + 4400000000)) big.npy
    make-model z.tsr 'z F32 2 = 1 2'
    tensor-save big.npz big.npy z.tsr
    python3 -c 'import zipfile
members = zipfile.ZipFile("big.npz").infolist()
assert [m.file_size for m in members] == [4400000128, 136] and members[1].header_offset > 1 << 32'
    cmp <(tensor-hash --table -a xxh3 big.npz) <(tensor-hash --table -a xxh3 <(tensor-cat big.npy z.tsr))
}

@test "numpy reads what we write, and writes what we read" {
    python3 -c 'import numpy' 2> /dev/null || skip "python3-numpy is not installed"
    make-model m.tsr 'w/x F32 2x3 = 1 2 3 4 5 6' 'größe F16 3 = 1 2 3' 's F64 - = 7' 'e U8 0x3 : ' 'k BOOL 2 : 0100' 'c C64 1 : 0000803f00000040'
    tensor-save a.npz m.tsr
    python3 - << 'END'
import io, numpy, zipfile
arrays = numpy.load("a.npz", allow_pickle=False)
assert sorted(arrays.files) == sorted(["w/x", "größe", "s", "e", "k", "c"])
assert (arrays["w/x"] == [[1, 2, 3], [4, 5, 6]]).all() and arrays["c"][0] == 1 + 2j
for name in arrays.files:
    file = io.BytesIO()
    numpy.save(file, arrays[name])
    assert file.getvalue() == zipfile.ZipFile("a.npz").read(name + ".npy"), name
numpy.savez("b.npz", **arrays)
numpy.savez_compressed("c.npz", **arrays)
END
    for file in b.npz c.npz; do
        cmp <(tensor-hash --table $file | sort) <(tensor-hash --table m.tsr | sort)
    done
}

@test "broken archives" {
    npy '<f4' False '(64,)' "$(printf '0000803f%.0s' {1..64})" > x.npy
    for method in STORED DEFLATED; do
        zip_of a.npz $method x.npy
        size=$(stat -c %s a.npz)
        for ((n = 4; n < size; n += 11)); do
            head -c "$n" a.npz > cut.npz
            refuses cut.npz tensor-cat --quiet cut.npz
        done
    done
    python3 - <<'EOF'
data = bytearray(open("a.npz", "rb").read())
entry = data.index(b"PK\x01\x02")
for name, at, what in (("crc", 16, b"\0\0\0\0"), ("method", 10, b"\x63\0"), ("size", 24, b"\xf0\xff\xff\xff"),
                       ("locked", 8, b"\1\0"), ("place", 42, b"\xf0\xff\xff\xff"), ("far", 20, b"\xf0\xff\xff\x0f")):
    broken = bytearray(data)
    broken[entry + at:entry + at + len(what)] = what
    open(name + ".npz", "wb").write(broken)
EOF
    refuses 'checksum' tensor-cat crc.npz
    refuses 'method 99' tensor-cat method.npz
    refuses 'cannot be' tensor-cat size.npz
    refuses 'encrypted' tensor-cat locked.npz
    refuses 'beyond' tensor-cat place.npz
    refuses 'beyond' tensor-cat far.npz
}
