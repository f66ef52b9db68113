#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Input that means harm, or was harmed: one clear line, exit 2, and nothing else happens.

load helpers

setup_file() {
    make-samples "$BATS_FILE_TMPDIR/samples"
}

walk() {
    run -0 walk-samples "$BATS_FILE_TMPDIR/samples" "$1"
    echo "$output"
}

@test "good SafeTensors files are read" { walk 'good-*.safetensors'; }
@test "good GGUF files are read" { walk 'good-*.gguf'; }
@test "good APR files are read" { walk 'good-*.apr'; }
@test "good streams are read" { walk 'good-*.tsr'; }
@test "bad SafeTensors files are refused" { walk 'bad-*.safetensors'; }
@test "bad GGUF files are refused" { walk 'bad-*.gguf'; }
@test "bad APR files are refused" { walk 'bad-*.apr'; }
@test "bad streams are refused" { walk 'bad-*.tsr'; }
@test "what is not supported is told by name" { walk 'unsupported-*'; }

@test "every sample is of one of these kinds" {
    run -0 awk -F'\t' 'NF != 3 || $1 !~ /^(good|bad|unsupported)-.*\.(safetensors|gguf|apr|tsr)$/' \
        "$BATS_FILE_TMPDIR/samples/index.tsv"
    [ -z "$output" ]
}

@test "a SafeTensors file is refused when cut at any byte" {
    make-model m.safetensors 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.safetensors 0
}

@test "a GGUF file is refused when cut at any byte before its last padding" {
    make-model m.gguf 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.gguf 26
}

@test "an APR file is refused when cut at any byte before its last padding and checksum" {
    make-model m.apr 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.apr 62
}

@test "a saved stream is refused when cut at any byte" {
    make-model m.tsr 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.tsr 0
}

@test "a saved stream of every other tool's making is refused when cut at any byte" {
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4'
    make-model b.gguf 'w F32 2x2 = 1 2 3 5'
    tensor-cos a.safetensors b.gguf > m.tsr
    run -0 cut-everywhere m.tsr 0
}

@test "a file that is not there" {
    refuses "absent.gguf" tensor-ls absent.gguf
    refuses "absent.gguf" tensor-cat absent.gguf
    refuses "absent.gguf" tensor-cos absent.gguf absent.gguf
    refuses "absent.gguf" verdict --min 1 absent.gguf
}

@test "a folder is no model" {
    mkdir folder
    refuses "folder: is a directory" tensor-ls folder
    refuses "folder: is a directory" tensor-cos folder folder
}

@test "the null device is empty" {
    refuses "/dev/null: empty" tensor-ls /dev/null
    refuses "standard input: empty" tensor-ls - < /dev/null
    refuses "standard input: empty" tensor-cat < /dev/null
}

@test "the zero device, which never ends, is of no known format" {
    refuses "known format" timeout 5 tensor-ls /dev/zero
    refuses "known format" timeout 5 tensor-cat < /dev/zero
    refuses "known format" timeout 5 tensor-cos /dev/zero /dev/zero
}

@test "a named pipe whose writer says nothing" {
    mkfifo pipe
    : > pipe &
    refuses "pipe: empty" timeout 5 tensor-ls pipe
    wait
}

@test "a named pipe is read like any other" {
    make-model m.gguf 'w F32 4 = 1 2 3 4'
    mkfifo pipe
    cat m.gguf > pipe &
    run -0 timeout 5 tensor-ls --json pipe
    says '"name":"w"'
    wait
}

@test "a file that may not be read" {
    [ "$(id -u)" -ne 0 ] || skip "root may read every file"
    make-model m.gguf 'w F32 4 = 1 2 3 4'
    chmod 000 m.gguf
    refuses "m.gguf" tensor-ls m.gguf
}

@test "file names are escaped in messages" {
    printf 'x' > $'\e]0;evil\a'
    refuses '\x1b]0;evil\x07' tensor-ls $'\e]0;evil\a'
}

@test "a terminal command in a name reaches no terminal" {
    make-model m.tsr $'\e[31mw F32 - = 1'
    for mode in --table --tsv --json; do
        for tool in tensor-ls tensor-cat "tensor-cos m.tsr"; do
            # shellcheck disable=SC2086
            run -0 $tool $mode m.tsr
            [[ $output != *$'\e'* ]]
        done
    done
    run -0 pipeline 'tensor-cos m.tsr m.tsr | verdict --min 1'
    [[ $output != *$'\e'* && $output == *'\x1b[31mw'* ]]
    run -0 pipeline 'tensor-cos m.tsr m.tsr | verdict --min 1 --tsv'
    [[ $output != *$'\e'* ]]
}

@test "tabs and newlines in a name break no row" {
    make-model m.tsr $'a\nb\tc F32 - = 1'
    run -0 tensor-ls --tsv m.tsr
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[1]} == *'a\x0ab\x09c' ]]
    run -0 pipeline 'tensor-cos m.tsr m.tsr | verdict --min 1 --tsv'
    [ "${#lines[@]}" -eq 2 ]
}
