#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-stat(1): statistics, held to a second computation in plain Python; series; the health of a file.

load ../helpers

setup_file() {
    make-traceable "$BATS_FILE_TMPDIR/models"
}

setup() {
    models=$BATS_FILE_TMPDIR/models
    ids=3,1,4,1,5
}

# row COUNT: that many numbers, none like another.
row() {
    seq -s ' ' "$1"
}

# layers RMS...: a file s.tsr with a stage "x" of each layer, two numbers of that magnitude.
layers() {
    local i=0 tensors=() rms
    for rms; do
        tensors+=("layers.$i.x F32 1x2 = $rms -$rms")
        i=$((i + 1))
    done
    make-model s.tsr "${tensors[@]}"
}

# healthy TENSOR...: a model of these passes.
healthy() {
    make-model m.safetensors "$@"
    run -0 pipeline 'tensor-stat --health m.safetensors | verdict'
    says 'verdict: pass'
}

# sick FINDING FRAGMENT TENSOR...: a model of these fails, with that finding of the tensor "sick" alone.
sick() {
    local finding=$1 fragment=$2
    shift 2
    make-model m.safetensors 'well F32 2 = 1 2' "$@"
    run -1 pipeline 'tensor-stat --health m.safetensors | verdict --worst 1'
    says 'verdict: fail' "$finding: $fragment"
    run -0 pipeline "tensor-stat --health m.safetensors | verdict --allow '$finding:*sick*'"
}

# ---- Statistics ----

@test "numbers are those of a second computation, on every axis" {
    while read -r model axes; do
        tensor-trace -q "$models/$model" --tokens $ids > a.tsr
        tensor-save --force a.safetensors < a.tsr
        for axis in $axes; do
            tensor-stat --json -q --axis $axis a.tsr > stats
            run -0 reference_stat.py a.safetensors stats
            [[ $output =~ ^[0-9]+\ records ]]
        done
    done << 'END'
llama all token head channel row
qwen2moe token head
gemma2 channel row
END
}

@test "NaN and infinities are counted, placed, and no part of a number" {
    make-model a.safetensors 'w F32 2x4 = 1 nan inf -3 nan -inf 0 2' 'n F32 2 = nan nan' 'e F32 0 = '
    tensor-stat --json a.safetensors > stats
    run -0 reference_stat.py a.safetensors stats
    run -0 cat stats
    says '"status":"nonfinite"' '"first_nan":1' '"argmin":3' '"argmax":7' '"nan":2' '"inf":2'
    run -1 pipeline 'tensor-stat a.safetensors | verdict --rule "absmax < 10"'
    says 'nonfinite'
}

@test "outliers do not spoil the moments" {
    make-model a.safetensors "w F64 1x40 = 1e9 $(printf '%s ' {1..39})" "far F64 1x40 = $(printf '1000000000.%02d ' {1..40})"
    tensor-stat --json a.safetensors > stats
    run -0 reference_stat.py a.safetensors stats
}

@test "what tensor-trace --stat says is what tensor-stat says of the trace" {
    for model in llama qwen2moe; do
        tensor-trace -q "$models/$model" --tokens $ids --stat --json > want
        tensor-trace -q "$models/$model" --tokens $ids | tensor-stat --json > got
        run -0 python3 -c '
import json
want, got = ([json.loads(line) for line in open(f)] for f in ("want", "got"))
assert want == got and len(want) > 38
print(len(want))'
    done
}

@test "a quantized model is measured by its values, in any form and by any number of threads" {
    tensor-quant -q --to Q8_0 --match '*_proj.weight' "$models/llama" > q.tsr
    tensor-dequant q.tsr --to F32 > f.tsr
    tensor-stat --tsv -j 1 q.tsr | cut -f 1-5 > want
    [ "$(wc -l < want)" -eq 22 ]
    tensor-stat --tsv -j 3 f.tsr | cut -f 1-5 | diff want -
    # shellcheck disable=SC2002
    cat f.tsr | tensor-stat --tsv -j 2 - | cut -f 1-5 | diff want -
    for set in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
        TENSORUTILS_CPU=$set tensor-stat --tsv q.tsr | cut -f 1-5 | diff want -
    done
}

# bats test_tags=sweep
@test "a tensor of many tiles has the same bits for any threads" {
    tensor-rand --tensor w=300x1000 --seed 7 > w.tsr
    tensor-stat --json -j 1 w.tsr > want
    tensor-stat --json -j 3 w.tsr | cmp want -
    tensor-save w.safetensors < w.tsr
    reference_stat.py w.safetensors want
}

@test "an axis that is not there is told, and trouble if no tensor has it" {
    tensor-trace -q "$models/llama" --tokens $ids > a.tsr
    run --separate-stderr -0 tensor-stat --axis head --json a.tsr
    [[ $stderr == *"25 tensors are left out by --axis head (embedding: it has no such axis, ...)"* ]]
    make-model m.tsr 'w F32 2x2 = 1 2 3 4'
    refuses "no tensor has an axis 'head' (w: it has no such axis)" tensor-stat --axis head --table m.tsr
    refuses "'heads' is none of" tensor-stat --axis heads m.tsr
}

@test "complex numbers are no real numbers, and do not pass" {
    make-model c.safetensors 'w C64 1 : 0000803f00000000'
    run -0 tensor-stat --json c.safetensors
    says '"status":"not_real"'
    run -1 pipeline 'tensor-stat --health c.safetensors | verdict'
    says 'not_real'
}

# ---- Series ----

@test "a series finds the layer that jumps, and not the growth of all" {
    layers 1 2 4 8 160 320 640
    tensor-stat --series --json s.tsr > series
    run -0 grep -c '"spike":true' series
    [ "$output" -eq 1 ]
    run -0 grep '"spike":true' series
    says '"name":"layers.4.x"' '"ratio_prev":20' '"role":"layers.*.x"' '"position":4' '"series_length":7'
    run -1 pipeline 'tensor-stat --series s.tsr | verdict --rule "spike == 0"'
    says 'layers.4.x'
    layers 1 2.1 4 8.3 16 31 64
    run -0 pipeline 'tensor-stat --series s.tsr | verdict --rule "spike == false"'
}

@test "layers that are zero or no numbers stand out, few layers are not judged" {
    layers 1 1 1 0 1 1
    run -0 pipeline 'tensor-stat --series --json s.tsr | grep -c "\"spike\":true"'
    [ "$output" -eq 2 ]
    layers 1 1 nan 1 1 1
    run -1 pipeline 'tensor-stat --series s.tsr | verdict --rule "spike == 0" --allow nonfinite'
    says 'layers.2.x'
    layers 1 100 1
    tensor-stat --series --json s.tsr > series
    run -0 grep -c 'fewer than 4 ratios' series
    [ "$output" -eq 2 ]
    run -1 grep '"spike":true' series
}

@test "all tokens against the last one is incomparable" {
    tensor-trace "$models/llama" --tokens 1,2,3 --stages residual --layers 0 > a.tsr
    tensor-trace "$models/llama" --tokens 3 --stages residual --layers 1 > b.tsr
    refuses "'layers.0.residual' and 'layers.1.residual' are incomparable: their shapes differ" tensor-stat --series --table a.tsr b.tsr
    tensor-trace "$models/llama" --tokens 1,2,4 --stages residual --layers 1 > c.tsr
    refuses "incomparable: other token ids at the same places" tensor-stat --series --table a.tsr c.tsr
    refuses "comes twice" tensor-stat --series --table c.tsr c.tsr
    run -2 pipeline 'tensor-stat --series a.tsr b.tsr | verdict --rule "spike == 0"'
}

# ---- Health ----

@test "the models of the tests are healthy, in every form" {
    for file in "$models"/*.gguf "$models"/llama "$models"/phi3; do
        run -0 pipeline "tensor-stat --health '$file' | verdict"
    done
    tensor-quant -q --to Q4_K "$models/llama" > q.tsr
    run -0 pipeline 'tensor-stat --health q.tsr | verdict'
}

@test "what is sick is named" {
    wide=$(row 64)
    sick nan '1 of 4 values are NaN, the first not finite is 2' 'sick F32 4 = 1 2 nan 4'
    sick inf '2 of 4 values are infinite, the first not finite is 0' 'sick F32 4 = inf 2 3 -inf'
    sick zero 'all values are 0' 'sick F32 2x2 = 0 0 0 0'
    sick constant 'all values are 1.5' 'sick F32 2x2 = 1.5 1.5 1.5 1.5'
    sick dead_rows '1 rows of zeros, the first of them 1' "sick F32 3x8 = $(row 8) 0 0 0 0 0 0 0 0 $(row 8)"
    sick constant_rows '1 rows of one number, the first of them 0' "sick F32 2x8 = 7 7 7 7 7 7 7 7 $(row 8)"
    sick dead_columns '1 columns of zeros, the first of them 1' "sick F32 8x2 = 1 0 2 0 3 0 4 0 5 0 6 0 7 0 8 0"
    sick constant_columns '1 columns of one number, the first of them 0' "sick F32 8x2 = 1 0 1 3 1 4 1 5 1 6 1 7 1 8 1 9"
    sick duplicate "the same bytes as 'a.weight'" "a.weight F32 8x8 = $wide" "sick F32 8x8 = $wide"
    sick denormal '75% of the values that are not 0 are denormals of F16' 'sick F16 4 = 0x1p-20 0x1p-21 0x1p-22 1'
    sick saturated '1 of 4 values are the largest that F16 has' 'sick F16 4 = 1 2 65504 4'
    sick saturated '6 of 8 values are the largest that F8_E4M3 has' 'sick F8_E4M3 8 : 7e7e7e7e7efe3031'
    sick nan_scale '2 of 3 values are scales that are NaN' 'sick_scale F32 3 = 1 nan nan'
    sick nan_scale '1 of 3 values are scales that are NaN' 'sick_scales U8 3 = 1 255 3'
    sick zero 'all values are 0, those of other layers are not' 'layers.0.norm F32 2 = 1 2' 'layers.1.norm F32 2 = 3 4' 'layers.2.norm F32 2 = 1 2' \
        'layers.0.sick F32 2 = 1 2' 'layers.1.sick F32 2 = 0 0'
}

@test "a column of one expert is dead, though those of the others live" {
    sick dead_columns '1 columns of zeros' "sick F32 2x8x2 = $(row 16) 1 0 2 0 3 0 4 0 5 0 6 0 7 0 8 0"
}

@test "the scale of a block that is NaN" {
    make-model m.gguf "w Q8_0 1x32 : 007e$(printf '01%.0s' {1..32})" 'v F32 2 = 1 2'
    run -1 pipeline 'tensor-stat --health m.gguf | verdict --worst 1'
    says 'nan_scale: 32 of 32 values are NaN by the scale of their block'
}

# bats test_tags=sweep
@test "what healthy models have is no finding" {
    wide=$(row 64)
    healthy 'bias F32 4 = 0 0 0 0' 'norm.weight F32 4 = 1 1 1 1'
    healthy 'layers.0.bias F32 2 = 0 0' 'layers.1.bias F32 2 = 0 0'
    healthy "model.embed_tokens.weight F32 8x8 = $wide" "lm_head.weight F32 8x8 = $wide"
    healthy 'h.0.attn.bias F32 1x1x8x8 = '"$(python3 -c 'print(*[int(c <= r) for r in range(8) for c in range(8)])')" \
        'h.1.attn.bias F32 1x1x8x8 = '"$(python3 -c 'print(*[int(c <= r) for r in range(8) for c in range(8)])')"
    healthy 'mask F32 1x1x8x8 = '"$(python3 -c 'print(*["0" if c <= r else "-inf" for r in range(8) for c in range(8)])')"
    healthy "rotary_emb.cos_cached F32 8x8 = $wide" "layers.1.rotary_emb.cos_cached F32 8x8 = $wide"
    healthy "model.embed_tokens.weight F32 40x8 = $(row 312) 0 0 0 0 0 0 0 0"
    healthy 'conv.weight F32 2x1x4 = 0 0 0 0 1 2 3 4'
    healthy "w F16 1x64 = 0x1p-20 $(row 63)"
    healthy "position_ids I64 8x8 = $wide" "b.position_ids I64 8x8 = $wide"
}

@test "an embedding that is dead by a tenth is sick" {
    make-model m.safetensors "model.embed_tokens.weight F32 10x8 = $(row 72) 0 0 0 0 0 0 0 0"
    run -1 pipeline 'tensor-stat --health m.safetensors | verdict --worst 1'
    says 'dead_rows: 1 rows of zeros'
}

@test "a gate of one file cannot pass on trouble" {
    run -2 pipeline 'tensor-stat --health absent | verdict'
    printf '' > empty.tsr
    run -2 pipeline 'tensor-stat --health empty.tsr | verdict'
    make-model m.tsr 'w F32 2x2 = 1 2 3 4'
    head -c -9 m.tsr > cut.tsr
    run -2 pipeline 'tensor-stat --health cut.tsr | verdict'
    make-model e.tsr 'w F32 0 = '
    run -2 pipeline 'tensor-stat --health e.tsr | verdict'
    run -2 pipeline 'tensor-stat --health --match nothing m.tsr | verdict'
    make-model none.tsr
    run -2 pipeline 'tensor-stat --health none.tsr | verdict'
    run -2 pipeline 'tensor-stat m.tsr | verdict'
    refuses 'goes with neither' tensor-stat --health --series m.tsr
}

@test "a health record that says nothing known is trouble" {
    make-model m.tsr 'w F32 2x2 = 1 2 3 4'
    tensor-stat --health m.tsr > h.tsr
    run -0 pipeline 'verdict < h.tsr'
    for change in 's/\xa2ok/\xa2xx/' 's/\xa6status/\xa6stotus/'; do
        LC_ALL=C sed "$change" h.tsr > bad.tsr
        run -2 cmp -s h.tsr bad.tsr || [ "$status" -eq 1 ]
        run -2 pipeline 'verdict < bad.tsr'
    done
}

@test "faults of tensor-fault that a single file shows" {
    tensor-fault -q --fault nan --match '*0.mlp.up_proj*' "$models/llama" > f.tsr
    run -1 pipeline 'tensor-stat --health f.tsr | verdict'
    says 'layers.0.mlp.up_proj.weight  (nan: '
    tensor-fault -q --fault zero-column --match '*0.mlp.up_proj*' "$models/llama" > f.tsr
    run -1 pipeline 'tensor-stat --health f.tsr | verdict'
    says 'layers.0.mlp.up_proj.weight  (dead_columns: '
}
