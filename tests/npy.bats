#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# numpy's files: tensor-format-npy(5).

load helpers

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
    tensor-save -f b.npy a.npy
    cmp a.npy b.npy
    make-model m.safetensors 'x F32 1 = 1' 'y BF16 1 = 1'
    make-model n.safetensors 'x F32 1 = 1' 'y F32 1 = 1'
    refuses 'holds one array, not 2' tensor-save c.npy n.safetensors
    refuses 'BF16' tensor-save c.npy --match y m.safetensors
    tensor-save c.npy --match x m.safetensors
}

@test "what cannot be read is refused by name" {
    npy '<f4' True '(2, 3)' 000000000000000000000000000000000000000000000000 > a.npy
    refuses 'Fortran order' tensor-ls a.npy
    npy '<f4' True '(1, 3)' 000000000000000000000000 > a.npy
    run -0 tensor-ls a.npy
    npy '>f4' False '(1,)' 00000000 > a.npy
    refuses 'big-endian' tensor-ls a.npy
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

@test "broken archives" {
    npy '<f4' False '(64,)' "$(printf '0000803f%.0s' {1..64})" > x.npy
    for method in STORED DEFLATED; do
        zip_of a.npz $method x.npy
        size=$(stat -c %s a.npz)
        for ((n = 4; n < size; n += 7)); do
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
