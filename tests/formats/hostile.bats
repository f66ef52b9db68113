#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Input that means harm, or was harmed: one clear line, exit 2, and nothing else happens.

load ../helpers

setup_file() {
    make-samples "$BATS_FILE_TMPDIR/samples"
}

walk() {
    run -0 walk-samples "$BATS_FILE_TMPDIR/samples" "$1"
    echo "$output"
}

# ---- What is good, however odd ----

@test "good SafeTensors files are read" { walk 'good-*.safetensors'; }
@test "good GGUF files are read" { walk 'good-*.gguf'; }
@test "good APR files are read" { walk 'good-*.apr'; }
@test "good stages of aprender are read" { walk 'good-*.aprt'; }
@test "good numpy files are read" { walk 'good-*.np[yz]'; }
@test "good streams are read" { walk 'good-*.tsr'; }
@test "what is not supported is told by name" { walk 'unsupported-*'; }

# ---- What is bad: one test for each way in which files attack readers ----
#
# In parentheses what the attack has broken elsewhere.

@test "GGUF: counts that the file cannot hold (CVE-2024-23605, -21825, -25664; CVE-2025-53630)" {
    walk 'bad-@(tensors|pairs)-*.gguf'
}
@test "GGUF: keys and strings longer than the file, or none (CVE-2024-21836, -25665 to -25668; CVE-2025-49847, -52566; ggml#1516)" {
    walk 'bad-@(key|string)-*.gguf'
}
@test "GGUF: arrays that wrap, nest, or are of another type (CVE-2024-23496; CVE-2025-62609)" { walk 'bad-array-*.gguf'; }
@test "GGUF: types of metadata, alignments (llama.cpp#26318; GO-2025-3548: division by zero)" {
    walk 'bad-@(value-type|alignment)-*.gguf'
}
@test "GGUF: dimensions and their products (CVE-2024-21802; CVE-2026-33298; GHSA-96jg-mvhq-q7q7; CVE-2026-27940; gguf-tools#25; #24263; #24759)" {
    walk 'bad-@(dims-*|shape-*|row|row-*).gguf'
}
@test "GGUF: types of tensors (imp#1603: an unknown type skips the checks)" { walk 'bad-type-*.gguf'; }
@test "GGUF: places beyond the file, or on one another (CVE-2026-7482)" { walk 'bad-@(offset-*|overlap|overlap-*).gguf'; }
@test "GGUF: names of tensors (llama.cpp#28969: OSC 52)" { walk 'bad-name-*.gguf'; }
@test "GGUF: versions, magics, another byte order (CVE-2024-32878)" { walk 'bad-@(version-*|magic|magic-*|big-endian-*).gguf'; }
@test "GGUF: what is none (GO-2025-3695: gzip; CVE-2026-43629: a saved state)" { walk 'bad-@(gzip|state).gguf'; }

@test "SafeTensors: lengths of the header, files in files" {
    walk 'bad-@(empty|short|text|length-*|no-brace|json-more|json-two|json-nul|polyglot).safetensors'
}
@test "SafeTensors: what is no JSON, or nested deep" { walk 'bad-@(json|json-open|json-comma|json-comment|deep-*).safetensors'; }
@test "SafeTensors: entries and metadata (fastsafetensors#89)" { walk 'bad-@(entry-*|field-*|no-[dso]*|metadata-*).safetensors'; }
@test "SafeTensors: places reversed, with holes, on one another, of odd numbers" {
    walk 'bad-@(offsets-*|hole|hole-*|overlap|overlap-*|empty-inside).safetensors'
}
@test "SafeTensors: shapes that wrap, or are not those of the bytes (LiteRT#9255; stable-diffusion.cpp#1876)" { walk 'bad-shape-*.safetensors'; }
@test "SafeTensors: types (imp#1603)" { walk 'bad-dtype-*.safetensors'; }
@test "SafeTensors: names twice, without letters, with halves of characters" { walk 'bad-name-*.safetensors'; }

@test "APR: headers and versions (aprender#3275)" { walk 'bad-@(short|magic|crc|version|version-*|header-*|column-major).apr'; }
@test "APR: places of the sections, metadata" { walk 'bad-@(metadata-*|index-*|data-*).apr'; }
@test "APR: the index (aprender#1279, #2394; realizar#44)" {
    walk 'bad-@(count-*|rank-*|code-*|shape-*|size|size-*|offset-*|overlap|unsorted|name-*).apr'
}
@test "APR: compressed files" { walk 'bad-@(lz4|zstd)-*.apr'; }

@test "stages of aprender: sizes" { walk 'bad-*.aprt'; }
@test "numpy: headers, shapes and types of arrays (CVE-2025-62608)" { walk 'bad-*.npy'; }
@test "numpy: directories of archives" { walk 'bad-*.npz'; }

@test "streams: claims of 4 G, depth, extension types" { walk 'bad-@(*-4g|map32-object|deep-*|ext*|fixext|fixext-object|time|time-object).tsr'; }
@test "streams: objects and keys that are none" { walk 'bad-@(object-*|kind-*|key-*|version-*).tsr'; }
@test "streams: openings and ends, missing, twice, wrong, interleaved" {
    walk 'bad-@(empty|no-end|no-end-second|opening-*|end-*|behind-*|interleaved|interleaved-in-tensor).tsr'
}
@test "streams: chunks too few, too many, of no tensor" { walk 'bad-@(few-bytes*|many-bytes|many-bytes-next|chunk-*).tsr'; }
@test "streams: fields of tensors" {
    walk 'bad-tensor-@(dtype-*|escape|nbytes-*|no-*|packing-*|name-[!4]*|shape-[!4]*).tsr'
}
@test "streams: a producer's own error" { walk 'bad-error-*.tsr'; }

@test "every sample is of one of these kinds, and in one of these tests" {
    run -0 awk -F'\t' 'NF != 3 || $1 !~ /^(good|bad|unsupported)-.*\.(safetensors|gguf|apr|aprt|npy|npz|tsr)$/ || ($1 ~ /^bad/ && $2 == "")' \
        "$BATS_FILE_TMPDIR/samples/index.tsv"
    [ -z "$output" ]
    # the patterns as regular expressions
    grep -v '\bsed\b' "$BATS_TEST_FILENAME" | sed -n "s/.*walk '\([^']*\)'.*/\1/p" | sed 's/\./\\./g; s/\[!/[^/g; s/@(/(/g; s/\*/.*/g; s/.*/^&$/' > patterns
    [ "$(wc -l < patterns)" -gt 30 ]
    run -0 awk -F'\t' 'NR == FNR { pattern[NR] = $0; next }
        { tests = 0; for (i in pattern) tests += $1 ~ pattern[i] }
        tests != 1 { print $1 " is in " tests " tests" }' patterns "$BATS_FILE_TMPDIR/samples/index.tsv"
    [ -z "$output" ] || { echo "$output" && return 1; }
}

# ---- Files that break off ----

@test "a SafeTensors file is refused when cut at any third byte" {
    make-model m.safetensors 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.safetensors 0 3
}

@test "a GGUF file is refused when cut at any byte before its last padding" {
    make-model m.gguf 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.gguf 26
}

@test "an APR file is refused when cut at any third byte before its last padding and checksum" {
    make-model m.apr 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.apr 62 3
}

@test "compressed APR files are refused when cut anywhere behind their header" {
    for sample in lz4 zstd; do
        file=$BATS_FILE_TMPDIR/samples/good-$sample.apr
        size=$(stat -c %s "$file")
        for ((n = 64; n < size; n += 5)); do
            head -c $n "$file" > cut.apr
            refuses cut.apr tensor-ls cut.apr
        done
    done
}

@test "numpy files are refused when cut at any third byte" {
    python3 -c 'import samples_npy as s
data = s.npy(s.header(shape="(1,)"), bytes(4))
open("m.npy", "wb").write(data)
open("m.npz", "wb").write(s.npz(("w.npy", data)))'
    run -0 cut-everywhere m.npy 0 3
    run -0 cut-everywhere m.npz 0 3
}

@test "an index of shards is refused when cut at any byte" {
    make-model a.safetensors 'w F32 1 = 1'
    printf '{"weight_map":{"w":"a.safetensors"}}' > m.index.json
    tensor-ls m.index.json > whole
    for ((n = 0; n < 36; n++)); do
        head -c $n m.index.json > cut.json
        refuses cut.json tensor-ls cut.json
    done
}

@test "a saved stream is refused when cut at any byte" {
    make-model m.tsr 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3'
    run -0 cut-everywhere m.tsr 0
}

@test "a saved stream of every other tool's making is refused when cut at any seventh byte" {
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4'
    make-model b.gguf 'w F32 2x2 = 1 2 3 5'
    tensor-cos a.safetensors b.gguf > m.tsr
    run -0 cut-everywhere m.tsr 0 7
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
