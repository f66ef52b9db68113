#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-dequant --scales: scales that lie in a tensor of their own.

load ../helpers

# E4M3: 38 is 1, 40 is 2, 48 is 4, b8 is -1.
one='38404838'

@test "one scale for the tensor, one for each row, both spellings" {
    make-model a.safetensors "x.weight F8_E4M3 2x4 : ${one}b8384048" 'x.weight_scale F32 - = 0.5' \
        "y.weight F8_E4M3 2x4 : $one$one" 'y.weight_scale_inv F32 2x1 = 2 3' 'z F32 1 = 7' -- \
        want.safetensors 'x.weight F32 2x4 = 0.5 1 2 0.5 -0.5 0.5 1 2' \
        'y.weight F32 2x4 = 2 4 8 2 3 6 12 3' 'z F32 1 = 7'
    tensor-dequant --scales auto a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
    # shellcheck disable=SC2002
    cat a.safetensors | tensor-dequant --scales auto > piped.tsr
    run -0 pipeline 'tensor-cos piped.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    says " 3 passed"
    tensor-cat a.safetensors | tensor-dequant --scales auto > again.tsr
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
    tensor-dequant --scales auto a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
}

@test "without the option, and for tensors that are not selected, elements are as they are stored" {
    make-model a.safetensors "x F8_E4M3 4 : $one" 'x_scale F32 1 = 0.5' -- want.safetensors 'x F32 4 = 1 2 4 1' \
        'x_scale F32 1 = 0.5'
    tensor-dequant a.safetensors > got.tsr
    run -0 pipeline 'tensor-cos got.tsr want.safetensors | verdict --rule "max_diff <= 0"'
    run -0 pipeline 'tensor-dequant --scales auto --match other a.safetensors | tensor-ls --json | wc -l'
    [ "$output" -eq 2 ]
}

@test "scales that do not fit are refused" {
    make-model a.safetensors "x F8_E4M3 4 : $one" 'x_scale F32 3 = 1 2 3'
    refuses "the 3 scales in 'x_scale' do not fit its shape" tensor-dequant --scales auto a.safetensors
    refuses 'neither auto nor none' tensor-dequant --scales yes a.safetensors
}
