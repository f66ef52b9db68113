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

@test "a folder that could be taken for two models is none" {
    mkdir f
    tensor-save f/model.safetensors m.tsr
    tensor-save f/model.gguf m.tsr
    refuses 'f: holds models of two formats, model.safetensors and model.gguf' tensor-ls f
    rm f/model.safetensors
    tensor-save f/model.apr m.tsr
    refuses 'holds models of two formats, model.gguf and model.apr' tensor-ls f
    rm f/model.apr
    tensor-save --max-shard-size 50k f/m.gguf m.tsr
    refuses 'holds 4 files *.gguf' tensor-ls f
    rm f/model.gguf
    same f m.tsr
    tensor-save --max-shard-size 50k f/n.gguf m.tsr
    refuses 'holds 6 files *.gguf' tensor-ls f
}

@test "a model beside an index that does not name it is not passed over" {
    mkdir s
    tensor-save --max-shard-size 90k s/model.safetensors m.tsr
    tensor-rand --seed 5 --tensor a=40x256 | tensor-save s/other.safetensors
    refuses 's: holds other.safetensors, too, which model.safetensors.index.json does not name' tensor-cos s m.tsr
    same s/model.safetensors.index.json m.tsr 2> told
    grep -q 'other.safetensors lies beside it and is not in the index' told
    tensor-cat -q s/model.safetensors.index.json > o.tsr
    show-stream o.tsr | grep -q '"left_out": \["other.safetensors"\]'
    mv s/other.safetensors s/model-00003-of-00003.safetensors
    refuses 'holds model-00003-of-00003.safetensors, too' tensor-cos s m.tsr
    tensor-save s/model.gguf m.tsr
    refuses 'holds models of two formats' tensor-cos s m.tsr
}

@test "a shard without its index, and a part without the others, are no model" {
    mkdir s
    tensor-save --max-shard-size 90k s/model.safetensors m.tsr
    rm s/model.safetensors.index.json s/model-00002-of-00002.safetensors
    refuses 's: holds model-00001-of-00002.safetensors, one of 2 shards, and no index' tensor-ls s
    run -0 tensor-ls --tsv s/model-00001-of-00002.safetensors
    mv s/model-00001-of-00002.safetensors s/model-00001-of-00001.safetensors
    run -0 tensor-ls s

    tensor-save --max-shard-size 50k m.gguf m.tsr
    refuses 'standard input: is one of 3 parts' sh -c 'cat m-00001-of-00003.gguf | tensor-ls -'
    refuses 'is one of 3 parts' sh -c 'tensor-ls - < m-00001-of-00003.gguf'
    run -2 pipeline 'cat m-00002-of-00003.gguf | tensor-cos - m.tsr | verdict'
    run -0 pipeline 'tensor-cat m-00002-of-00003.gguf | tensor-cos - m.tsr | verdict'
}

@test "the index decides which file a tensor is of; what it leaves out is told and counted" {
    mkdir s
    tensor-save s/base.safetensors m.tsr
    tensor-rand --seed 7 --tensor b=40x256 | tensor-save s/overlay.safetensors
    { tensor-cat --exclude b m.tsr; tensor-cat s/overlay.safetensors; } > want.tsr
    index '"a": "base.safetensors", "b": "overlay.safetensors", "c": "base.safetensors", "d": "base.safetensors"'
    same s want.tsr 2> told
    grep -q "tensor 'b' in base.safetensors is left out: the index names another file" told
    tensor-cat -q s > o.tsr
    show-stream o.tsr | grep '"kind": "source"' | head -n 1 | grep -q '"replaced": 1'
    # a tensor that no line names is there all the same, and is compared
    index '"a": "base.safetensors", "b": "overlay.safetensors", "c": "base.safetensors"'
    same s want.tsr 2> told
    grep -q "tensor 'd' in base.safetensors is not in the index" told
    tensor-cat -q s > o.tsr
    show-stream o.tsr | grep '"kind": "source"' | head -n 1 | grep -q '"unlisted": 1'
    run -1 pipeline 'tensor-cat -q --exclude d want.tsr | tensor-cos -q s - | verdict'
    says 'only_a'
    # in two files, and named for neither
    index '"a": "base.safetensors", "e": "overlay.safetensors"'
    tensor-rand --seed 7 --tensor b=40x256 --tensor e=4 | tensor-save --force s/overlay.safetensors
    refuses "tensor 'b' is in s/base.safetensors, too" tensor-ls -q s
}

@test "a save neither hides an older one nor is hidden by it" {
    tensor-rand --seed 5 --tensor a=40x256 --tensor b=40x256 --tensor c=40x256 --tensor d=256 > n.tsr
    for suffix in safetensors gguf; do
        mkdir $suffix
        tensor-save --max-shard-size 50k $suffix/model.$suffix m.tsr
        before=$(ls $suffix)
        refuses 'is of an earlier save' tensor-save $suffix/model.$suffix n.tsr
        [ "$(ls $suffix)" = "$before" ]
        same $suffix m.tsr
        tensor-save --force $suffix/model.$suffix n.tsr 2> told
        grep -q 'of an earlier save are removed' told
        [ "$(ls $suffix)" = model.$suffix ]
        same $suffix n.tsr
        refuses 'exists already' tensor-save --max-shard-size 90k $suffix/model.$suffix m.tsr
        [ "$(ls $suffix)" = model.$suffix ]
        tensor-save -q --force --max-shard-size 90k $suffix/model.$suffix m.tsr
        same $suffix m.tsr
        tensor-save -q --force --max-shard-size 50k $suffix/model.$suffix n.tsr
        same $suffix n.tsr
    done
    tensor-save gguf/model-2.gguf m.tsr
    tensor-save gguf/model-00001-of-two.gguf m.tsr
    tensor-save gguf/models-00001-of-00009.gguf m.tsr
    tensor-save -q --force gguf/model.gguf m.tsr
    [ "$(cd gguf && echo *)" = "model-00001-of-two.gguf model-2.gguf model.gguf models-00001-of-00009.gguf" ]
}

@test "the source record tells what the files were when they were read" {
    mkdir f
    tensor-save --max-shard-size 90k f/model.safetensors m.tsr
    echo '{"model_type": "toy"}' > f/config.json
    tensor-cat f > o.tsr
    show-stream o.tsr | grep '"kind": "source"' > sources
    python3 - f/model-0000?-of-00002.safetensors <<'P'
import json, os, sys
records = [json.loads(line.split(" ", 1)[1] if line[0] != "{" else line) for line in open("sources")]
def same(record, path):
    st = os.stat(path)
    assert record["path"] == path and record["bytes"] == st.st_size, record
    assert (record["modified"], record["device"], record["inode"]) == (st.st_mtime_ns, st.st_dev, st.st_ino), record
for record, path in zip(records, sys.argv[1:], strict=True):
    same(record, path)
files = records[0]["files"]
assert [f["role"] for f in files] == ["index", "config"] and "files" not in records[1]
same(files[0], "f/model.safetensors.index.json")
same(files[1], "f/config.json")
P
    # tensor-cos says it of what it compared, also of what came through a pipe
    tensor-cos f f > files.tsr
    tensor-cat f | tensor-cos - f > piped.tsr
    for compared in files.tsr piped.tsr; do
        show-stream $compared | grep '"operand": "a"' | head -n 1 | grep -q '"inode": .*"role": "config", "path": "f/config.json"'
    done
}

@test "standard input has no path, whatever is called so" {
    tensor-save f.safetensors m.tsr
    cp f.safetensors 'standard input'
    tensor-cat - < f.safetensors > o.tsr
    show-stream o.tsr > shown
    grep '"kind": "source"' shown | grep -q '"path": "-"'
    run -1 grep -e '"inode"' -e 'standard input' shown
}

@test "a config.json that changes while the model is read is noticed" {
    mkdir f
    tensor-rand --tensor w=4000x1000 | tensor-save f/model.safetensors
    echo '{"model_type": "toy"}' > f/config.json
    mkfifo out
    tensor-cat f > out 2> told &
    job=$!
    exec 4< out
    head -c 1000 <&4 > /dev/null
    echo '{"model_type": "joy"}' > f/config.json
    cat <&4 > rest.tsr
    ends $job 2
    grep -q 'f/config.json: changed while it was read' told
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
    index '"a": "1.safetensors", "b": "2.safetensors", "c": "3.safetensors"'
    refuses 's/3.safetensors: No such file' tensor-ls s
    index '"a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"'
    refuses "'b' is not in 1.safetensors" tensor-ls s
    index ''
    refuses 'no weight_map' tensor-ls s
    echo '{"weight_map": [' > s/model.safetensors.index.json
    refuses 'bad JSON' tensor-ls s
    rm s/*.safetensors
    mkfifo s/pipe
    index '"a": "pipe"'
    refuses 'not a regular file' timeout 10 tensor-ls s
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
