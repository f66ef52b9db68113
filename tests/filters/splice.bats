#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-splice(1): some tensors, or a part of one, as another model has them.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    for seed in 1 2; do
        tensor-rand --like qwen2 --num-layers 2 --hidden 64 --heads 2 --kv-heads 1 --head-dim 32 --ffn 64 --vocab 128 \
            --type BF16 --seed $seed | tensor-save $seed.safetensors
    done
    tensor-map --to gguf 2.safetensors | tensor-save 2.gguf
    tensor-quant --to Q8_0 2.gguf | tensor-save 2q.gguf
}

setup() {
    ln -s "$BATS_FILE_TMPDIR"/*.* .
}

# equal FILE GLOB...: tensors of the stream spliced.tsr that equal those of FILE, and no others do.
equal() {
    local file=$1
    shift
    tensor-cos -q --tsv spliced.tsr "$file" | awk -F '\t' '$1 == "ok" && $4 == 0 { print $26 }' | sort > equal
    for glob; do
        tensor-ls --tsv --match "$glob" 1.safetensors | awk -F '\t' 'NR > 1 { print $NF }'
    done | sort > expected
    [ -s expected ]
    diff expected equal
}

@test "what is selected is B's, and all else A's" {
    tensor-splice --layers 1 --exclude '*norm*' 1.safetensors 2.safetensors > spliced.tsr
    equal 2.safetensors '*.1.self_attn*' '*.1.mlp*'
    tensor-splice --match 'model.norm.weight' --match '*.0.*proj.bias' 1.safetensors 2.safetensors > spliced.tsr
    equal 2.safetensors model.norm.weight '*.0.*proj.bias'
    # in A's order
    diff <(tensor-ls --tsv spliced.tsr | awk -F '\t' '{ print $NF }') <(tensor-ls --tsv 1.safetensors | awk -F '\t' '{ print $NF }')
}

@test "all of it, from a file of other names and another layout" {
    tensor-splice 1.safetensors 2.gguf > spliced.tsr
    equal 2.safetensors '*'
    run -0 pipeline 'tensor-cos spliced.tsr 2.safetensors | verdict --profile exact'
    # and the names of GGUF stay those of GGUF
    tensor-splice --layers 1 2.gguf 1.safetensors > back.tsr
    run -0 pipeline "tensor-cos --layers 1 back.tsr 1.safetensors | verdict --profile exact"
    run -0 pipeline "tensor-cos --exclude 'blk.1.*' back.tsr 2.gguf | verdict --profile exact"
}

@test "either side can be a stream, and not both" {
    tensor-splice --layers 1 1.safetensors 2.safetensors | show-stream --digests > expected
    tensor-cat 1.safetensors | tensor-splice --layers 1 - 2.safetensors | show-stream --digests > a
    tensor-cat 2.safetensors | tensor-splice --layers 1 1.safetensors - | show-stream --digests > b
    diff expected a
    diff expected b
    refuses "only one of A and B" tensor-splice - -
}

@test "a list of names, letter by letter" {
    printf 'model.norm.weight\n\nmodel.layers.0.mlp.up_proj.weight\n' > names
    tensor-splice --names names 1.safetensors 2.safetensors > spliced.tsr
    equal 2.safetensors model.norm.weight model.layers.0.mlp.up_proj.weight
    echo 'model.*' > names
    refuses "has no tensor 'model.*'" tensor-splice --names names 1.safetensors 2.safetensors
    echo 'model.norm.weight' > names
    refuses "has no tensor 'model.norm.weight'" tensor-splice --names names --layers 1 1.safetensors 2.safetensors
    : > names
    refuses "it has no names" tensor-splice --names names 1.safetensors 2.safetensors
    printf 'a\0b\n' > names
    refuses "zero byte" tensor-splice --names names 1.safetensors 2.safetensors
    refuses "No such file" tensor-splice --names nowhere 1.safetensors 2.safetensors
}

@test "whole tensors keep B's type" {
    tensor-splice --match '*.1.mlp.up_proj.weight' 1.safetensors 2q.gguf > spliced.tsr
    run -0 tensor-ls --tsv --dtype Q8_0 spliced.tsr
    [ "${#lines[@]}" -eq 2 ]
    says "model.layers.1.mlp.up_proj.weight"
}

@test "rows, and elements, of one tensor" {
    make-model a.tsr 'w F32 3x2 = 1 2 3 4 5 6' 'v F32 1 = 0'
    make-model b.tsr 'w F32 3x2 = 10 20 30 40 50 60' 'v F32 1 = 0'
    make-model rows.tsr 'w F32 3x2 = 1 2 30 40 5 6' 'v F32 1 = 0'
    make-model elements.tsr 'w F32 3x2 = 1 2 3 40 50 6' 'v F32 1 = 0'
    make-model first.tsr 'w F32 3x2 = 10 2 3 4 5 6' 'v F32 1 = 0'
    make-model last.tsr 'w F32 3x2 = 1 2 3 4 50 60' 'v F32 1 = 0'
    diff <(tensor-splice --match w --rows 1:2 a.tsr b.tsr | show-stream --digests) <(show-stream --digests < rows.tsr)
    diff <(tensor-splice --match w --elements 3:5 a.tsr b.tsr | show-stream --digests) <(show-stream --digests < elements.tsr)
    diff <(tensor-splice --match w --elements 0:1 a.tsr b.tsr | show-stream --digests) <(show-stream --digests < first.tsr)
    diff <(tensor-splice --match w --rows 2:3 a.tsr b.tsr | show-stream --digests) <(show-stream --digests < last.tsr)
    diff <(tensor-splice --match w --rows 0:3 a.tsr b.tsr | show-stream --digests) <(show-stream --digests < b.tsr)
    for range in 1:4 3:4; do
        refuses "it has no rows $range" tensor-splice --match w --rows $range a.tsr b.tsr
    done
    refuses "it has 6 elements" tensor-splice --match w --elements 5:7 a.tsr b.tsr
    for range in 2:2 2:1 x 1 1: :1 -1:2 1:2x 1:99999999999999999999; do
        refuses "is no FIRST:END" tensor-splice --match w --rows $range a.tsr b.tsr
    done
    refuses "exclude each other" tensor-splice --match w --rows 0:1 --elements 0:1 a.tsr b.tsr
    refuses "more are selected" tensor-splice --rows 0:1 a.tsr b.tsr
}

@test "a part of two types is F32, and so is one that cuts blocks" {
    local up=model.layers.1.mlp.up_proj.weight
    # whole rows of one type stay as they are
    tensor-quant --to Q8_0 1.safetensors > 1q.tsr
    tensor-splice --match $up --rows 5:9 1q.tsr 2q.gguf > spliced.tsr
    run -0 tensor-ls --tsv --match $up spliced.tsr
    says Q8_0
    run -0 tensor-cos --json --match $up spliced.tsr 2q.gguf
    [[ $output != *'"identical_count":4096'* ]]
    run -0 tensor-cos --json --match $up spliced.tsr 1q.tsr
    [[ $output != *'"identical_count":4096'* ]]
    for how in '--rows 5:9 1.safetensors' '--elements 3:70 1q.tsr'; do
        # shellcheck disable=SC2086
        tensor-splice --match $up $how 2q.gguf > spliced.tsr
        run -0 tensor-ls --tsv --match $up spliced.tsr
        says F32
    done
    # the values are those that both decode to
    tensor-dequant --match $up --to F32 1.safetensors > a.tsr
    tensor-dequant --to F32 2q.gguf | tensor-map --to hf | tensor-cat --match $up > b.tsr
    tensor-splice --match $up --rows 5:9 a.tsr b.tsr | tensor-cat --match $up | show-stream --digests > expected
    tensor-splice --match $up --rows 5:9 1.safetensors 2q.gguf | tensor-cat --match $up | show-stream --digests > got
    diff expected got
}

@test "what B does not have is trouble, and so is a selection of nothing" {
    make-model a.tsr 'w F32 2 = 1 2' 'only F32 1 = 0'
    make-model b.tsr 'w F32 2 = 1 2' 'other F32 1 = 0'
    refuses "tensor 'only': it has none that belongs to it" tensor-splice a.tsr b.tsr
    refuses "nothing is selected" tensor-splice --match nothing a.tsr b.tsr
    make-model c.tsr 'w F32 3 = 1 2 3'
    refuses "different shapes" tensor-splice --match w --elements 0:1 a.tsr c.tsr
    tensor-cat b.tsr | head -c 100 > cut.tsr
    refuses "cut.tsr" tensor-splice --match w a.tsr cut.tsr
}

@test "the stream says which file each tensor is from" {
    tensor-splice --match model.norm.weight 1.safetensors 2.safetensors > spliced.tsr
    run -0 show-stream spliced.tsr
    says 1.safetensors 2.safetensors
    run -0 tensor-ls --tsv --match model.norm.weight spliced.tsr
    awk -F '\t' 'NR == 2 { exit $5 != 1 }' <<< "$output"
}
