#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Scales that lie in a tensor of their own.

load ../helpers

# E4M3: 38 is 1, 40 is 2, 48 is 4, b8 is -1.
one='38404838'

@test "one scale for the tensor, one for each row, both spellings" {
    make-model a.safetensors "x.weight F8_E4M3 2x4 : ${one}b8384048" 'x.weight_scale F32 - = 0.5' \
        "y.weight F8_E4M3 2x4 : $one$one" 'y.weight_scale_inv F32 2x1 = 2 3' 'z F32 1 = 7' -- \
        want.safetensors 'x.weight F32 2x4 = 0.5 1 2 0.5 -0.5 0.5 1 2' \
        'y.weight F32 2x4 = 2 4 8 2 3 6 12 3' 'z F32 1 = 7'
    tensor-dequant a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
    # shellcheck disable=SC2002
    cat a.safetensors | tensor-dequant > piped.tsr
    run -0 pipeline 'tensor-cos piped.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
    tensor-cat a.safetensors | tensor-dequant > again.tsr
    run -0 pipeline 'tensor-cos again.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
}

@test "blocks of 128 by 128, the last ones smaller" {
    python3 - <<'EOF'
import struct, sys
sys.dont_write_bytecode = True
import os
sys.path.insert(0, os.environ["srcdir"] + "/tests/tools")
import formats
rows, columns = 130, 260
weights = formats.Tensor("w", "F8_E4M3", [rows, columns], b"\x38" * (rows * columns))
scales = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
beside = formats.Tensor("w_scale_inv", "F32", [2, 3], struct.pack("<6f", *scales))
open("a.safetensors", "wb").write(formats.safetensors([weights, beside]))
values = [scales[r // 128 * 3 + c // 128] for r in range(rows) for c in range(columns)]
want = formats.Tensor("w", "F32", [rows, columns], struct.pack(f"<{len(values)}f", *values))
open("want.safetensors", "wb").write(formats.safetensors([want]))
EOF
    tensor-dequant a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
}

@test "blocks of a stack of matrices end with each matrix" {
    python3 - <<'EOF'
import os, struct, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["srcdir"] + "/tests/tools")
import formats
for name, rows, columns, down in (("a", 192, 3, 2), ("b", 576, 192, 5), ("c", 4, 3, 1)):
    across = -(-columns // 128)
    scales = [1.5 + i for i in range(2 * down * across)]
    weights = formats.Tensor("w", "F8_E4M3", [2, rows, columns], b"\x38" * (2 * rows * columns))
    beside = formats.Tensor("w_scale_inv", "F32", [2, down, across], struct.pack(f"<{len(scales)}f", *scales))
    open(name + ".safetensors", "wb").write(formats.safetensors([weights, beside]))
    values = [scales[(m * down + r // 128) * across + c // 128]
              for m in range(2) for r in range(rows) for c in range(columns)]
    want = formats.Tensor("w", "F32", [2, rows, columns], struct.pack(f"<{len(values)}f", *values))
    open(name + "-want.safetensors", "wb").write(formats.safetensors([want]))
EOF
    for name in a b c; do
        tensor-dequant $name.safetensors > got.tsr
        run -0 pipeline "tensor-cos got.tsr $name-want.safetensors | verdict --rule 'max_diff <= 0'"
    done
}

@test "scales that are bytes are powers of two; FP4 has scales; other spellings" {
    make-model a.safetensors "x F8_E4M3 2x4 : $one$one" 'x_scale_inv U8 2x1 : 7f81' \
        "k.weight F8_E4M3 4 : $one" 'k.scale_weight F32 1 = 0.5' 'f F4 1x4 : 2254' 'f_scale U8 1x1 : 80' -- \
        want.safetensors 'x F32 2x4 = 1 2 4 1 4 8 16 4' 'k.weight F32 4 = 0.5 1 2 0.5' 'f F32 1x4 = 2 2 4 6'
    tensor-dequant a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
}

@test "with --packs never, and for tensors that are not selected, elements are as they are stored" {
    make-model a.safetensors "x F8_E4M3 4 : $one" 'x_scale F32 1 = 0.5' 'other F32 1 = 3' -- want.safetensors 'x F32 4 = 1 2 4 1' \
        'x_scale F32 1 = 0.5' 'other F32 1 = 3'
    tensor-dequant --packs never a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    run -0 pipeline 'tensor-dequant --match other a.safetensors | tensor-ls --raw --json | wc -l'
    [ "$output" -eq 3 ]
}

@test "scales that do not fit are refused" {
    make-model a.safetensors "x F8_E4M3 4 : $one" 'x_scale F32 3 = 1 2 3'
    refuses "the scales in 'x_scale' (3) do not cover its 1 x 4 elements" tensor-dequant a.safetensors
    refuses 'neither auto nor never' tensor-dequant --packs yes a.safetensors
}
