#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Models of several files: shards with an index, folders, splits.

load ../helpers

setup() {
    tensor-rand --tensor a=40x256 --tensor b=40x256 --tensor c=40x256 --tensor d=256 > m.tsr
}

same() {
    tensor-cos "$1" "$2" | verdict --rule 'max_diff <= 0' > /dev/null
}

@test "shards: names, an index, and the same tensors again" {
    tensor-save --max-shard-size 90k s/model.safetensors m.tsr 2> /dev/null && false
    mkdir s
    tensor-save --max-shard-size 90k s/model.safetensors m.tsr
    [ "$(cd s && echo *)" = "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json" ]
    same s m.tsr
    same m.tsr s/model.safetensors.index.json
    python3 -c 'import json; i = json.load(open("s/model.safetensors.index.json"))
assert i["metadata"]["total_size"] == 3 * 40 * 256 * 4 + 1024
assert i["weight_map"]["a"] == "model-00001-of-00002.safetensors" and len(i["weight_map"]) == 4'
}

@test "a size that holds everything makes one plain file" {
    tensor-save --max-shard-size 1G model.gguf m.tsr
    [ "$(echo model*)" = model.gguf ]
}

@test "shards do not replace files unasked, and leave nothing when one name is taken" {
    mkdir s
    touch s/model-00002-of-00002.safetensors
    refuses 'exists already' tensor-save --max-shard-size 90k s/model.safetensors m.tsr
    [ "$(cd s && echo *)" = model-00002-of-00002.safetensors ]
    tensor-save --force --max-shard-size 90k s/model.safetensors m.tsr
    same s m.tsr
}

@test "a broken stream leaves no shard" {
    mkdir s
    run -2 pipeline 'head -c 100000 m.tsr | tensor-save --max-shard-size 20k s/model.safetensors'
    [ -z "$(ls s)" ]
}

@test "split GGUF: any part stands for the whole, the keys are those of a split" {
    mkdir s
    tensor-save --max-shard-size 50k s/m.gguf m.tsr
    [ "$(cd s && echo *)" = "m-00001-of-00003.gguf m-00002-of-00003.gguf m-00003-of-00003.gguf" ]
    for part in s/*; do
        same "$part" m.tsr
    done
    same s m.tsr
    run -0 tensor-ls --meta --tsv s/m-00002-of-00003.gguf
    says $'u16\tsplit.no\t1' $'u16\tsplit.count\t3' $'i32\tsplit.tensors.count\t4'
    rm s/m-00002-of-00003.gguf
    refuses 'm-00002-of-00003.gguf' tensor-ls s/m-00001-of-00003.gguf
    mv s/m-00001-of-00003.gguf s/first.gguf
    refuses 'its name does not say which' tensor-ls s/first.gguf
}

@test "a folder: its index, or its only model; config.json becomes metadata" {
    mkdir f
    tensor-save f/model.safetensors m.tsr
    echo '{"model_type": "toy", "num_hidden_layers": 3}' > f/config.json
    same f m.tsr
    run -0 tensor-ls --meta --tsv f
    says $'str\tmodel_type\ttoy' $'i64\tnum_hidden_layers\t3'
    tensor-save f/other.safetensors m.tsr
    refuses 'holds 2 files *.safetensors' tensor-ls f
    mkdir empty
    refuses 'a directory without a model' tensor-ls empty
}

index() {
    printf '{"metadata": {}, "weight_map": {%s}}' "$1" > s/model.safetensors.index.json
}

@test "an index that lies" {
    mkdir s t
    tensor-save s/1.safetensors --match a m.tsr
    tensor-save s/2.safetensors --match b m.tsr
    cp s/1.safetensors t
    index '"a": "1.safetensors", "b": "2.safetensors"'
    run -0 tensor-ls s
    for name in ../t/1.safetensors /etc/passwd .. '' sub/1.safetensors; do
        index "\"a\": \"$name\""
        refuses "'a' is said to lie in no file of this folder" tensor-ls s
    done
    index '"a": 1'
    refuses 'no file of this folder' tensor-ls s
    index '"a": "3.safetensors"'
    refuses 's/3.safetensors: No such file' tensor-ls s
    index '"a": "1.safetensors", "b": "1.safetensors"'
    refuses "'b' is not in 1.safetensors" tensor-ls s
    index '"a": "1.safetensors"'
    tensor-save s/1.safetensors --force --match '[ab]' m.tsr
    refuses 'names 1 tensors, its files hold 2' tensor-ls s
    run -0 tensor-ls --lenient s
    index '"a": "1.safetensors", "b": "2.safetensors"'
    refuses "'b' is in" tensor-ls s
    index ''
    refuses 'no weight_map' tensor-ls s
    echo '{"weight_map": [' > s/model.safetensors.index.json
    refuses 'bad JSON' tensor-ls s
    mkfifo s/pipe
    index '"a": "pipe"'
    (sleep 1 > s/pipe) &
    refuses 'not a regular file' tensor-ls s
}

# ---- What may go wrong with names ----

@test "a name that comes twice, in two shards, is written to none" {
    make-model a.tsr 'a F32 4 = 1 2 3 4' 'b F32 4 = 1 2 3 4' -- b.tsr 'a F32 4 = 5 6 7 8'
    for format in safetensors gguf apr; do
        refuses "tensor 'a' comes twice" sh -c "cat a.tsr b.tsr | tensor-save --max-shard-size 16 o.$format"
        [ -z "$(find . -name 'o*')" ]
    done
}

@test "what is no regular file is not replaced, even by a shard or an index" {
    tensor-rand --tensor a=4 --tensor b=4 --tensor c=4 > a.tsr
    mkfifo o-00002-of-00003.gguf s.safetensors.index.json
    mkdir d-00003-of-00003.gguf
    ln -s o-00002-of-00003.gguf link.gguf
    refuses "o-00002-of-00003.gguf: is no regular file" tensor-save -f --max-shard-size 16 o.gguf a.tsr
    refuses "s.safetensors.index.json: is no regular file" tensor-save -f --max-shard-size 16 s.safetensors a.tsr
    refuses "d-00003-of-00003.gguf: is no regular file" tensor-save -f --max-shard-size 16 d.gguf a.tsr
    refuses "link.gguf: is no regular file" tensor-save -f link.gguf a.tsr
    [ -p o-00002-of-00003.gguf ]
    [ -L link.gguf ]
    [ "$(find . -name '*-0000*' -type f | wc -l)" -eq 0 ]
}

@test "a link to a file is replaced, and so is one that leads nowhere" {
    tensor-rand --tensor a=4 > a.tsr
    echo old > old
    ln -s old link.gguf
    ln -s nowhere dangling.gguf
    run -0 tensor-save -f link.gguf a.tsr
    run -0 tensor-save -f dangling.gguf a.tsr
    [ -f link.gguf ]
    [ "$(cat old)" = old ]
}

@test "more shards than a process may usually have open" {
    [ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt 500 ] && skip "the limit of open files cannot be raised"
    # shellcheck disable=SC2046
    tensor-rand $(printf -- '--tensor t%d=4 ' {1..300}) > many.tsr
    run -0 sh -c 'ulimit -Sn 64; tensor-save --max-shard-size 16 many.gguf many.tsr'
    [ "$(find . -name 'many-*' | wc -l)" -eq 300 ]
}

@test "names of files as long as they may be" {
    tensor-rand --tensor a=4 > a.tsr
    name=$(printf 'x%.0s' {1..250}).gguf
    run -0 tensor-save "$name" a.tsr
    run -0 tensor-save -f "$name" a.tsr
    run -0 tensor-ls "$name"
}

@test "a folder that may be written and not read" {
    tensor-rand --tensor a=4 > a.tsr
    mkdir -m 0333 wx
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --bounding-set=-dac_override,-dac_read_search)
        "${as[@]}" true 2> /dev/null || skip "root may read every folder, and cannot be kept from it here"
    fi
    run ! "${as[@]}" ls wx
    run -0 "${as[@]}" tensor-save wx/o.gguf a.tsr
    chmod 0700 wx
    [ -s wx/o.gguf ]
}
