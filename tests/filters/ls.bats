#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-ls(1): what is in files and streams.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3' 's F64 - = 1' 'e F32 0x7 = ' -- \
        b.gguf 'g F32 2x3 = 1 2 3 4 5 6' -- c.apr 'p F32 1 = 7' -- d.tsr 's I8 2 = 1 2'
    make-samples samples
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

@test "--tsv: type, shape, bytes, elements, source, how it is packed, name" {
    run -0 tensor-ls --tsv a.safetensors b.gguf
    [ "${lines[0]}" = $'dtype\tshape\tnbytes\telements\tsource\tpacked\tparts\tname' ]
    [ "${lines[1]}" = $'F32\t[2, 2]\t16\t4\t0\t-\t-\tw' ]
    [ "${lines[2]}" = $'F16\t[3]\t6\t3\t0\t-\t-\tb' ]
    [[ $output == *$'\nF64\t[]\t8\t1\t0\t-\t-\ts\n'* ]]
    [[ $output == *$'\nF32\t[0, 7]\t0\t0\t0\t-\t-\te\n'* ]]
    [ "${lines[-1]}" = $'F32\t[2, 3]\t24\t6\t1\t-\t-\tg' ]
    [ "${#lines[@]}" -eq 6 ]
}

@test "--json: one object a tensor" {
    run -0 tensor-ls --json c.apr d.tsr
    [ "${lines[0]}" = '{"kind":"entry","name":"p","dtype":"F32","shape":[1],"nbytes":4,"elements":1,"source":0}' ]
    [ "${lines[1]}" = '{"kind":"entry","name":"s","dtype":"I8","shape":[2],"nbytes":2,"elements":2}' ]
}

@test "--table: columns for people, and a summary" {
    run -0 tensor-ls --table a.safetensors
    [[ ${lines[0]} == dtype*shape*bytes*name ]]
    [[ ${lines[1]} == F32*"[2, 2]"*"16 B"*w ]]
    [[ ${lines[-1]} == "4 tensors, 8 elements, 30 B: "*"2 F32 (16 B)"* ]]
}

@test "into a pipe: one line a tensor, for grep and wc" {
    run -0 pipeline 'tensor-ls a.safetensors | wc -l'
    [ "$output" -eq 4 ]
    run -0 pipeline 'tensor-ls a.safetensors b.gguf | grep "2, "'
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[0]} == F32*"[2, 2]"*"16 B"*w ]]
    # into a file, too, and of totals and metadata
    tensor-ls a.safetensors > "$BATS_TEST_TMPDIR/list"
    [ "$(tensor-ls --table a.safetensors | sed '1d;$d')" = "$(< "$BATS_TEST_TMPDIR/list")" ]
    [ "$(tensor-ls --totals --table a.safetensors | sed 1d)" = "$(tensor-ls --totals a.safetensors)" ]
}

@test "--stream: records that verdict can judge" {
    run -0 pipeline 'tensor-ls --stream a.safetensors | show-stream'
    says '{"kind": "entry", "name": "w", "dtype": "F32", "shape": [2, 2], "nbytes": 16, "elements": 4, "source": 0}' \
        '{"kind": "end", "tensors": 0, "records": 4}'
    run -0 pipeline 'tensor-ls --stream a.safetensors | verdict --rule "nbytes <= 16"'
    says "4 passed"
    run -1 pipeline 'tensor-ls --stream a.safetensors | verdict --rule "nbytes < 16"'
    run -1 pipeline 'tensor-ls --stream a.safetensors | verdict --rule "dtype == F32"'
    says "2 failed"
}

@test "shapes have the outermost dimension first in every format" {
    for suffix in safetensors gguf apr tsr; do
        make-model "$BATS_TEST_TMPDIR/m.$suffix" 'w F32 2x3x4 = 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0'
        run -0 tensor-ls --json "$BATS_TEST_TMPDIR/m.$suffix"
        says '"shape":[2,3,4]'
    done
}

@test "files without tensors list nothing, and that is no error" {
    for file in samples/good-no-tensors.*; do
        run --separate-stderr -0 tensor-ls --table "$file"
        [ "$output" = "0 tensors, 0 elements, 0 B" ]
        [ -z "$stderr" ]
        run -0 tensor-ls --json "$file"
        [ -z "$output" ]
    done
}

@test "--totals: by type, and of all" {
    run -0 tensor-ls --totals --tsv a.safetensors b.gguf
    [ "$output" = $'dtype\ttensors\telements\tnbytes\nF64\t1\t1\t8\nF32\t3\t10\t40\nF16\t1\t3\t6\nall\t5\t14\t54' ]
    run -0 tensor-ls --totals --json samples/good-no-tensors.gguf
    [ "$output" = '{"kind":"total","dtype":"all","tensors":0,"elements":0,"nbytes":0}' ]
    run -0 tensor-ls --totals --table --match 'w' a.safetensors
    [[ ${lines[-1]} == all*1*4*16 ]]
}

@test "--meta: the metadata of each source" {
    run -0 tensor-ls --meta --tsv samples/good-metadata.gguf
    [ "${lines[0]}" = $'type\tkey\tvalue' ]
    says $'u8\ta\t255' $'i32\tf\t-2147483648' $'f64\tl\t0.1' $'str\ti\ttext' $'bool\th\ttrue' $'u64\tj\t18446744073709551615'
    run -0 tensor-ls --meta --json samples/good-metadata.safetensors
    says '"kind":"source","id":0,"path":"samples/good-metadata.safetensors","format":"safetensors"' \
        '"meta":{"format":"pt","a":""}'
    run -0 tensor-ls --meta --table samples/good-metadata-twice.apr
    says "rms_norm_eps" "1e-05"
    run -0 pipeline 'tensor-cat samples/good-source.tsr | tensor-ls --meta --json'
    says '"meta":{"a":{"b":[1,"c"]}}'
    run -0 tensor-ls --meta --table samples/good-plain.gguf
    [[ $output != *w* ]]
}

@test "--meta of hostile text is escaped" {
    for mode in --table --tsv --json; do
        run -0 tensor-ls --meta $mode samples/good-metadata-bytes.gguf
        [[ $output != *$'\e'* && $output != *$'\xff'* ]]
    done
}

@test "--formats: what was found, and where" {
    run -0 tensor-ls --formats
    for format in safetensors gguf apr; do
        [[ $output =~ $format\ +read,write\  ]]
    done
    [[ $output =~ tsr\ +read\  ]]
    [[ $output == *"searched  "* && $output != *"refused"* ]]
    run -0 tensor-ls --formats --tsv b.gguf
    says "searched" $'\tg'
}

@test "--cpu: what was built, what runs here, what was chosen" {
    run -0 tensor-ls --cpu
    says "baseline"
    [ "$(grep -c chosen <<< "$output")" -eq 1 ]
    run -0 env TENSORUTILS_CPU=baseline tensor-ls --cpu
    [[ $output =~ baseline\ +built,\ supported,\ chosen ]]
    [ "$(grep -c chosen <<< "$output")" -eq 1 ]
}

@test "only the description is read" {
    # Data that is not there (a hole of 8 GB) is not read: this takes no time.
    python3 - << 'END'
import struct
n = 1 << 33
head = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (n, n)
with open("large.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(head)) + head)
    f.truncate(8 + len(head) + n)
END
    run -0 timeout 2 tensor-ls --json large.safetensors
    says '"nbytes":8589934592'
    rm large.safetensors
}

@test "numbers of sources follow the operands" {
    run -0 tensor-ls --tsv b.gguf a.safetensors b.gguf
    [[ ${lines[1]} == *$'\t0\t-\t-\tg' && ${lines[2]} == *$'\t1\t-\t-\tw' && ${lines[-1]} == *$'\t2\t-\t-\tg' ]]
}

@test "names that are long or wide keep their row in --json" {
    make-model "$BATS_TEST_TMPDIR/m.tsr" "$(printf 'n%.0s' {1..5000}) F32 - = 1" 'größe F32 - = 1'
    run -0 tensor-ls --json "$BATS_TEST_TMPDIR/m.tsr"
    says "$(printf 'n%.0s' {1..5000})\"" '"größe"'
}
