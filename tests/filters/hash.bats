#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-hash(1): digests of tensors and models, and checks against lists of them.

load ../helpers

setup() {
    make-model a.safetensors 'w F32 2x3 = 1 2 3 4 5 6' 'b F16 2 = 1 -2' -- \
        b.gguf 'b F16 2 = 1 -2' 'w F32 2x3 = 1 2 3 4 5 6' -- \
        c.safetensors 'w BF16 2x3 = 1 2 3 4 5 6' 'b F32 2 = 1 -2'
}

# digest_of HEX PROGRAM...: what another program makes of the same bytes.
digest_of() {
    local hex=$1
    shift
    python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$hex" | "$@" | cut -d' ' -f1
}

@test "sha256 and blake2b are those of sha256sum and b2sum" {
    w=0000803f0000004000004040000080400000a0400000c040
    run -0 tensor-hash --table a.safetensors
    says "$(digest_of $w sha256sum)  w" "$(digest_of 003c00c0 sha256sum)  b"
    run -0 tensor-hash --algorithm blake2b --json a.safetensors
    says "$(digest_of $w b2sum)" "$(digest_of 003c00c0 b2sum)"
}

@test "xxh3 of known bytes" {
    # XXH3-64 of no bytes, with seed 0, is published with the algorithm: 2d06800538d394c2
    make-model e.safetensors 'e U8 0 : '
    run -0 tensor-hash -a xxh3 --table e.safetensors
    says '2d06800538d394c2'
}

@test "the digest of a model is that of its sorted lines, whatever the order in the file" {
    run -0 tensor-hash --table a.safetensors
    want=$(printf '%s\n' "$output" | grep -v '^#' | sort -k2 | sha256sum | cut -d' ' -f1)
    says "# model sha256 stored $want"
    run -0 tensor-hash --table b.gguf
    says "# model sha256 stored $want"
    run -0 tensor-hash --json b.gguf
    says "{\"kind\":\"model_hash\",\"algorithm\":\"sha256\",\"of\":\"stored\",\"digest\":\"$want\"}"
}

@test "--decoded: the same weights in another type have one digest" {
    tensor-hash --decoded --table a.safetensors | grep model > one
    tensor-hash --decoded --table c.safetensors | grep model | cmp - one
    run -1 cmp <(tensor-hash --table c.safetensors) <(tensor-hash --table a.safetensors)
}

@test "--check takes lists of lines and saved streams, from files and pipes" {
    tensor-hash a.safetensors > lines
    tensor-hash --stream a.safetensors > list.tsr
    for list in lines list.tsr; do
        run -0 tensor-hash --check "$list" --table b.gguf
        says 'ok          w' 'ok          b'
        # shellcheck disable=SC2002
        cat "$list" | tensor-hash --check - b.gguf > /dev/null
    done
    tensor-hash --decoded --stream a.safetensors > list.tsr
    run -0 tensor-hash --check list.tsr --table c.safetensors
}

@test "--check tells what differs, is missing and is unlisted, and is trouble then" {
    tensor-hash --table a.safetensors > lines
    make-model d.safetensors 'w F32 2x3 = 1 2 3 4 5 7' 'x F16 1 = 1'
    run --separate-stderr -2 tensor-hash --check lines --table d.safetensors
    says 'differs     w' 'unlisted    x'
    # shellcheck disable=SC2154
    [[ $stderr == *"'b' of lines is missing"* && $stderr == *"2 of 2 tensors do not match, 1 are missing"* ]]
    refuses 'd.safetensors' tensor-hash --check d.safetensors a.safetensors
    echo 'zz  w' > bad
    refuses 'no line DIGEST  NAME' tensor-hash --check bad a.safetensors
    refuses 'No such file' tensor-hash --check none a.safetensors
    refuses 'none of xxh3' tensor-hash --algorithm md5 a.safetensors
}

@test "names with newlines make one line, and match again" {
    make-model n.tsr $'a\nb F32 1 = 1'
    run -0 tensor-hash --table n.tsr
    says 'a\x0ab'
    tensor-hash --table n.tsr > lines
    run -0 tensor-hash --check lines --table n.tsr
}

@test "any number of threads, the same digests in the same order" {
    tensor-rand --like qwen2 --num-layers 3 --hidden 128 --heads 4 --ffn 256 --vocab 999 |
        tensor-quant --to Q8_0 | tensor-save large.gguf
    tensor-cat large.gguf > large.tsr
    for how in '' --decoded '--sort size' '-a xxh3 --limit 9'; do
        tensor-hash $how -j 1 --table a.safetensors large.gguf > want
        for jobs in 2 5; do
            tensor-hash $how -j $jobs --table a.safetensors large.gguf | diff want -
        done
        # a stream is read in its order, whatever the threads
        [ "$how" = '--sort size' ] || tensor-cat a.safetensors large.gguf | tensor-hash $how --table | diff want -
    done
    tensor-hash --table large.gguf > list
    run -0 tensor-hash -j 3 --check list large.tsr
}
