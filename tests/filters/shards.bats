#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# --shard I/N of tensor-cat(1) and tensor-cos(1): many jobs come to what one comes to, and a job that is missing
# is no pass.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --like qwen2 --num-layers 4 --hidden 64 --heads 2 --kv-heads 1 --head-dim 32 --ffn 96 --vocab 200 \
        --type BF16 --seed 1 | tensor-save a.safetensors
    tensor-map --to gguf a.safetensors | tensor-quant -q --to Q8_0 - | tensor-save b.gguf
    # a side with more, and one with less
    tensor-cat --exclude '*.3.mlp.up_proj.weight' a.safetensors | tensor-save less.safetensors
}

setup() {
    ln -s "$BATS_FILE_TMPDIR"/*.* .
}

# shards N A B: their results.
shards() {
    for ((i = 1; i <= $1; i++)); do
        tensor-cos -q --shard "$i/$1" "$2" "$3" > "s$i.tsr"
    done
}

# results FILE...: the records of results, in order.
results() {
    cat "$@" | tensor-cat --json - | sort
    cat "$@" | verdict --json --worst 0 --min 0 | grep -v '"kind":"verdict"' | sort
}

@test "shares are of about equal bytes, and together all" {
    for n in 1 2 3 8 100; do
        for ((i = 1; i <= n; i++)); do
            tensor-cat --shard $i/$n a.safetensors > part.tsr
            tensor-ls --tsv part.tsr | awk -F '\t' 'NR > 1 { print $3, $NF }' > part
            [ "$n" -ne 3 ] || awk '{ n += $1 } END { exit n > 140000 || n < 60000 }' part
            cat part
        done > all
        diff <(cut -d ' ' -f 2 all) <(tensor-ls --tsv a.safetensors | awk -F '\t' 'NR > 1 { print $NF }')
    done
}

@test "any number of shards has the results of one process, in any order" {
    tensor-cos -q --json a.safetensors b.gguf | grep -v '"kind":"source"' | sort > whole
    [ "$(grep -c '"kind":"compare"' whole)" -eq 51 ]
    for n in 1 2 8; do
        for ((i = 1; i <= n; i++)); do
            tensor-cos -q --json --shard $i/$n a.safetensors b.gguf
        done | grep -v -e '"kind":"source"' -e '"kind":"shard"' | sort -u > shards
        diff whole shards
    done
    shards 8 a.safetensors b.gguf
    tensor-cos -q a.safetensors b.gguf | verdict --report json=whole.json > whole.text
    run -0 verdict --report json=shards.json s3.tsr s1.tsr s2.tsr s8.tsr s7.tsr s6.tsr s4.tsr s5.tsr
    diff whole.text <(cat <<< "$output")
    diff <(sed 's/"streams":1/"streams":8/' whole.json) shards.json
    # merged first, by twos
    cat s1.tsr s2.tsr s3.tsr s4.tsr > first.tsr
    cat s5.tsr s6.tsr s7.tsr s8.tsr > second.tsr
    diff whole.text <(verdict first.tsr second.tsr)
    diff whole.text <(verdict second.tsr first.tsr)
}

@test "what one side alone has is told once" {
    for pair in 'a.safetensors less.safetensors' 'less.safetensors a.safetensors'; do
        # shellcheck disable=SC2086
        shards 4 $pair
        run -1 verdict s1.tsr s2.tsr s3.tsr s4.tsr
        says "1 missing"
    done
}

@test "a shard that is missing, twice there, or of another comparison is trouble" {
    shards 3 a.safetensors b.gguf
    run -0 verdict s1.tsr s2.tsr s3.tsr
    refuses "of 3 shards, 1 did not come, the first is 2" verdict --worst 0 -q s1.tsr s3.tsr
    refuses "of 3 shards, 2 did not come, the first is 2" verdict --worst 0 -q s1.tsr
    refuses "shard 2 of 3 comes twice" verdict s1.tsr s2.tsr s2.tsr s3.tsr
    tensor-cos -q --shard 2/3 a.safetensors less.safetensors > other.tsr
    tensor-cos -q --shard 2/4 a.safetensors b.gguf > fourth.tsr
    tensor-cos -q --shard 2/3 less.safetensors a.safetensors > less.tsr
    refuses "shards of two wholes" verdict s1.tsr less.tsr s3.tsr
    refuses "shards of two wholes" verdict s1.tsr fourth.tsr s3.tsr
    head -c 500 s2.tsr > cut.tsr
    refuses "cut.tsr" verdict s1.tsr cut.tsr s3.tsr
    # a failure is one, whatever is missing
    tensor-fault -q --fault nan --match model.norm.weight a.safetensors | tensor-save bad.safetensors
    tensor-cos -q --shard 3/3 a.safetensors bad.safetensors > s3.tsr
    run -1 verdict s3.tsr
    # a part of a model is no model
    run -2 pipeline 'tensor-cat --shard 1/2 a.safetensors | tensor-cos -q - a.safetensors | verdict --allow only_b'
    says "of 2 shards, 1 did not come"
}

@test "what cannot be" {
    for share in 0/2 3/2 1/0 x 1 1/ /2 1/2x -1/2 ' 1/2' 1/99999999; do
        refuses "is no I/N" tensor-cos --shard "$share" a.safetensors b.gguf
    done
    refuses "an operand is a stream" pipeline 'tensor-cat a.safetensors | tensor-cos -q --shard 1/2 - b.gguf'
    refuses "this is a stream" pipeline 'tensor-cat a.safetensors | tensor-cat --shard 1/2'
    refuses "--limit" tensor-cos --shard 1/2 --limit 1 a.safetensors b.gguf
    refuses "--limit" tensor-cat --shard 1/2 --limit 1 a.safetensors
    refuses "--shard" tensor-cos --shard 1/2 --repeat 2 a.safetensors b.gguf
    refuses "--shard" tensor-cos --shard 1/2 --compat apr --json a.safetensors b.gguf
    # records that no filter makes
    for numbers in '1, "of": 0' '0, "of": 2' '3, "of": 2' '1, "of": 99999999' '"1", "of": 2'; do
        PYTHONPATH="${srcdir:?}/tests/tools" PYTHONDONTWRITEBYTECODE=1 python3 - "$numbers" > strange.tsr << 'END'
import json
import sys
import formats
record = json.loads('{"kind": "shard", "shard": %s, "bytes": 1, "tensors": 1}' % sys.argv[1])
sys.stdout.buffer.write(formats.stream([], [formats.pack(record)]))
END
        refuses "shard" verdict strange.tsr
    done
}
