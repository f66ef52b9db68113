#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every example in a manual page works: what stands between .EX and .EE is run, in a folder with the
# files that the pages speak of.
# shellcheck disable=SC2086

load ../helpers

setup_file() {
    PATH=${srcdir:?}/scripts:$PATH # installed scripts have pages, too
    export PATH
    cd "$BATS_FILE_TMPDIR" || return 1
    tensor-rand --like qwen2 --num-layers 2 --hidden 256 --heads 4 --kv-heads 2 --head-dim 64 --ffn 512 \
        --vocab 1000 --type BF16 > saved.tsr
    tensor-save model.safetensors saved.tsr
    tensor-save other.gguf saved.tsr
    tensor-save model.apr saved.tsr
    tensor-quant --to Q8_0 model.safetensors | tensor-save quantized.gguf
    tensor-map --map qwen --to gguf saved.tsr | tensor-save mapped.gguf
    echo '*.q_proj.weight = *.q_proj.weight : rope(4)' > rope.map
    tensor-map --map ./rope.map --to right saved.tsr | tensor-save wrong.gguf
    tensor-cos model.safetensors quantized.gguf > results.tsr
    sed -n '/^\.\\" contract.yaml$/,/^\.fi/p' "$srcdir/man/tensor-contract.5" | grep -v '^\.' | sed 's/\\-/-/g' > contract.yaml
    tensor-rand --attention heads=28,kv-heads=4,head-dim=128,kv-len=2 --seed 7 > attention.tsr
    tensor-attn --precision f64 attention.tsr > exact.tsr
}

# examples PAGE: its examples, as a shell reads them.
examples() {
    sed -n '/^\.EX/,/^\.EE/p' "$1" | grep -v '^\.E' | sed 's/\\-/-/g; s/\\e/\\/g; s/\\(aq/'\''/g; s/\\(dq/"/g'
}

@test "the examples of all pages" {
    count=0
    for page in "${srcdir:?}"/man/*.[157]; do
        while IFS= read -r line; do
            wanted=0
            [[ $line =~ '# exit '([0-9]+)$ ]] && wanted=${BASH_REMATCH[1]}
            # engines of others, which are not everywhere
            if [[ $line == *tensor-sweep* ]] && ! command -v parallel > /dev/null; then continue; fi
            rm -rf work
            cp -r "$BATS_FILE_TMPDIR" work
            status=0
            (cd work && sh -c "$line") > out 2> err < /dev/null || status=$?
            if [ "$status" -ne "$wanted" ]; then
                echo "${page##*/}: exit status $status, not $wanted: $line"
                cat err
                return 1
            fi
            count=$((count + 1))
        done < <(examples "$page")
    done
    [ "$count" -gt 30 ]
}
