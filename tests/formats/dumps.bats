#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Folders of dumped tensors: numpy's files, and stages of aprender (tensor-format-aprt(5)).

load ../helpers

# npy FILE VALUE...: an array of F32.
npy() {
    mkdir -p "$(dirname "$1")"
    python3 -c 'import struct, sys
values = list(map(float, sys.argv[2:]))
text = "{\x27descr\x27: \x27<f4\x27, \x27fortran_order\x27: False, \x27shape\x27: (%d,), }" % len(values)
text += " " * (-(11 + len(text)) % 64) + "\n"
open(sys.argv[1], "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack("<%df" % len(values), *values))' "$@"
}

# stage FILE LAYER VALUE...: a stage; layer 4294967295 is none.
stage() {
    mkdir -p "$(dirname "$1")"
    python3 -c 'import struct, sys
values = list(map(float, sys.argv[3:]))
open(sys.argv[1], "wb").write(b"APRT" + struct.pack("<II%df" % len(values), int(sys.argv[2]), len(values), *values))' "$@"
}

names() {
    tensor-ls --tsv "$@" | tail -n +2 | sed 's|.*\t||'
}

agree() {
    tensor-cos "$@" | verdict --rule 'max_diff <= 0' > /dev/null
}

@test "a folder of .npy is a model, its tensors are called after the files" {
    npy d/b.weight.npy 1 2 3
    npy d/a.npy 4 5
    npy d/layer-10/q.npy 7
    npy d/layer-2/q.npy 6
    echo text > d/readme.txt
    echo '{"model_type": "toy"}' > d/config.json
    [ "$(names d)" = $'a\nb.weight\nlayer-2/q\nlayer-10/q' ]
    make-model want.safetensors 'b.weight F32 3 = 1 2 3' 'a F32 2 = 4 5' 'layer-2/q F32 1 = 6' 'layer-10/q F32 1 = 7'
    agree d want.safetensors
    agree want.safetensors d
    tensor-cat d | tensor-cos - want.safetensors | verdict --rule 'max_diff <= 0'
    run -0 tensor-ls --meta --tsv d
    says $'str\tmodel_type\ttoy'
    # a file that is missing is a tensor that is missing
    rm d/layer-2/q.npy
    run -1 verdict < <(tensor-cos d want.safetensors)
}

@test "several .npy are called after their files, one is not" {
    npy a.npy 1
    npy sub/b.npy 2
    [ "$(names a.npy sub/b.npy)" = $'a\nb' ]
    [ "$(names a.npy)" = array ]
    make-model want.safetensors 'a F32 1 = 1' 'b F32 1 = 2'
    tensor-cat a.npy sub/b.npy | tensor-cos - want.safetensors | verdict --rule 'max_diff <= 0'
    tensor-save both.npz a.npy sub/b.npy
    agree both.npz want.safetensors
    cp a.npy sub/a.npy
    refuses "'a' came twice" tensor-save twice.npz a.npy sub/a.npy
    # what is no file has no name
    [ "$(names - a.npy < sub/b.npy)" = $'array\na' ]
}

@test "a folder with one archive of arrays is a model" {
    npy a.npy 1
    npy b.npy 2
    mkdir f
    tensor-save f/m.npz a.npy b.npy
    [ "$(names f)" = $'a\nb' ]
    cp f/m.npz f/n.npz
    refuses 'holds 2 files *.npz' tensor-ls f
}

@test "a folder that could be taken for two things is none" {
    make-model m.safetensors 'a F32 1 = 1'
    for suffix in safetensors gguf apr npz; do
        npy $suffix/a.npy 1
        tensor-save $suffix/m.$suffix m.safetensors
        refuses "$suffix: holds models of two formats, m.$suffix and a.npy" tensor-ls $suffix
        rm $suffix/a.npy
        stage $suffix/layer-3/q.bin 3 1
        refuses "$suffix: holds models of two formats, m.$suffix and layer-3/q.bin" tensor-ls $suffix
    done
    npy d/a.npy 1
    stage d/b.bin 4294967295 1
    refuses 'd: holds models of two formats, a.npy and b.bin' tensor-ls d
    mkdir empty
    refuses 'empty: is a directory without a model' tensor-ls empty
}

@test "other files *.bin beside a model are nobody's business" {
    mkdir f
    make-model m.safetensors 'a F32 1 = 1'
    tensor-save f/model.safetensors m.safetensors
    echo weights > f/pytorch_model.bin
    mkfifo f/pipe.bin
    ln -s nowhere f/link.bin
    [ "$(timeout 20 tensor-ls --tsv f | tail -n +2 | sed 's|.*\t||')" = a ]
}

@test "stages of aprender: names, layers, values" {
    stage d/layer-0/attn_norm.bin 0 1 2 3
    stage d/layer-1/attn_norm.bin 1 4 5 6
    stage d/lm_head.bin 4294967295 7 8
    [ "$(names d)" = $'lm_head\nlayer-0/attn_norm\nlayer-1/attn_norm' ]
    make-model want.safetensors 'layer-0/attn_norm F32 3 = 1 2 3' 'layer-1/attn_norm F32 3 = 4 5 6' 'lm_head F32 2 = 7 8'
    agree d want.safetensors
    run -0 tensor-ls --meta --tsv d/layer-1/attn_norm.bin
    says $'u32\tlayer\t1'
    run -0 tensor-ls --meta --tsv d/lm_head.bin
    says $'str\tlayer\tnone'
    # a NaN keeps its bits
    printf 'APRT\xff\xff\xff\xff\x01\0\0\0\x01\0\xa0\x7f' > nan.bin
    tensor-cat nan.bin > nan.tsr
    tensor-save nan.npy nan.tsr
    [ "$(tail -c 4 nan.npy | xxd -p 2> /dev/null || tail -c 4 nan.npy | od -An -tx1 | tr -d ' \n')" = 0100a07f ]
}

@test "stages that lie in the wrong place, or are none, are refused" {
    stage d/layer-0/q.bin 1 1
    refuses 'd/layer-0/q.bin: says that it is of layer 1' tensor-ls d
    stage d/layer-0/q.bin 4294967295 1
    refuses 'd/layer-0/q.bin: says that it is of no layer' tensor-ls d
    stage d/layer-0/q.bin 0 1
    stage d/x.bin 0 1
    refuses 'd/x.bin: says that it is of layer 0' tensor-ls d
    echo other > d/x.bin
    refuses 'd/x.bin: is of no known format' tensor-ls d
    : > d/x.bin
    refuses 'd/x.bin: is empty' tensor-ls d
    npy y.npy 1
    mv y.npy d/x.bin
    run -0 names d
    rm d/x.bin
    mkfifo d/layer-0/p.bin
    refuses 'd/layer-0/p.bin: is not a regular file' timeout 20 tensor-ls d
    rm d/layer-0/p.bin
    ln -s nowhere d/layer-0/p.bin
    refuses 'd/layer-0/p.bin: No such file' tensor-ls d
    printf 'APRT\0\0\0\0\x02\0\0\0\0\0\0\0' > d/layer-0/q.bin
    rm d/layer-0/p.bin
    refuses 'says 2 numbers, 8 bytes, and only 4 are there' tensor-ls d
    # names of folders that are no layer
    for name in layer-01 layer-x layer- layer--1 layer-99999999999999999999; do
        stage "e/$name/q.bin" 1 1
    done
    refuses 'a directory without a model' tensor-ls e
}

@test "names and files that mean harm" {
    npy "d/$(printf 'a\033[2J').npy" 1
    run -0 tensor-ls --table d
    run -1 grep -q $'[\001-\010\013-\037\177]' <<< "$output"
    npy "u/$(printf '\377').npy" 1
    refuses 'UTF-8' tensor-ls u
    make-model m.safetensors 'a F32 1 = 1'
    mkdir s
    cp m.safetensors s/a.npy
    refuses 's/a.npy: is safetensors, and no dump of one tensor' tensor-ls s
    # a loop of folders is not followed
    npy l/layer-0/a.npy 1
    ln -s .. l/layer-0/layer-0
    ln -s . l/layer-1
    [ "$(names l)" = layer-0/a ]
}

@test "more files than a process may usually have open" {
    [ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt 500 ] && skip "the limit of open files cannot be raised"
    npy d/t0.npy 1
    for i in {1..200}; do cp d/t0.npy "d/t$i.npy"; done
    run -0 sh -c 'ulimit -Sn 64; tensor-ls --tsv d'
    [ "${#lines[@]}" -eq 202 ]
}
