#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every element type decodes to the bits that its description asks for.  decode.sha256 was made by
# reference_decode.py, which knows nothing of the decoders under test.

load ../helpers

setup_file() {
    make-blocks "$BATS_FILE_TMPDIR"
}

setup() {
    cp "$BATS_FILE_TMPDIR"/blocks.* .
    sort -k 4 "$srcdir/tests/reference/decode.sha256" > want
}

# The digests of the floats that a command makes.
digests() {
    "$@" | show-stream --digests | sort -k 4
}

@test "every type, bit for bit" {
    digests tensor-dequant --all blocks.gguf blocks.safetensors blocks.apr | diff want -
}

@test "every type, on every processor" {
    for cpu in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
        TENSORUTILS_CPU=$cpu digests tensor-dequant --all blocks.gguf blocks.safetensors blocks.apr | diff want -
    done
}

@test "every type, from a stream and for any number of threads" {
    tensor-cat blocks.gguf blocks.safetensors blocks.apr > blocks.tsr
    for jobs in 1 2 5; do
        digests tensor-dequant --all -j $jobs blocks.tsr | diff want -
        digests sh -c "cat blocks.tsr | tensor-dequant --all -j $jobs" | diff want -
    done
}

@test "every type of the table is covered" {
    # F32 is what the others become, C64 has no real values.
    diff <(cut -d ' ' -f 4 want | sort) <(sed -n 's/^ *X(\([A-Z0-9_]*\), [a-z].*/\1/p' "$srcdir/lib/tensorutils/dtype.h" |
        grep -vx -e F32 -e C64 | sort)
}

@test "each tensor is equal to its floats" {
    tensor-dequant --all blocks.gguf blocks.safetensors blocks.apr > floats.tsr
    # wide types were rounded; the others are the same numbers
    run -0 pipeline "tensor-cat blocks.gguf blocks.safetensors blocks.apr |
        tensor-cos --exclude '[FIU]64' --exclude '[IU]32' - floats.tsr |
        verdict --rule 'max_diff <= 0' --allow nonfinite --allow undefined"
    says " 44 passed" "0 failed"
}

@test "the digests are those of the reference decoder" {
    python3 "$srcdir/tests/reference/reference_decode.py" "$srcdir/lib/kernels/iq-grids.inc" | diff "$srcdir/tests/reference/decode.sha256" -
}
