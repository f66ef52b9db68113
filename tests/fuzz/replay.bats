#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every fuzz target takes its seeds, and every input on which one failed before.

load ../helpers

setup_file() {
    "$srcdir/tests/fuzz/make-seeds" "$BATS_FILE_TMPDIR/seeds"
}

# Shows the last input that was named: it is the one that failed.
replay() {
    local target=$1 inputs=("$BATS_FILE_TMPDIR/seeds/$1"/*)
    if [ -d "$srcdir/tests/fuzz/found/$target" ]; then
        inputs+=("$srcdir/tests/fuzz/found/$target"/*)
    fi
    run env FUZZ_TARGET="$target" "$builddir/tests/fuzz/replay" "${inputs[@]}"
    if [ "$status" -ne 0 ]; then
        tail -n 20 <<< "$output"
        return 1
    fi
    [ "${#lines[@]}" -eq "${#inputs[@]}" ]
}

@test "apr" { replay apr; }
@test "aprt" { replay aprt; }
@test "contract" { replay contract; }
@test "decode" { replay decode; }
@test "evidence" { replay evidence; }
@test "expand" { replay expand; }
@test "facts" { replay facts; }
@test "gguf" { replay gguf; }
@test "index" { replay index; }
@test "json" { replay json; }
@test "map" { replay map; }
@test "npy" { replay npy; }
@test "npz" { replay npz; }
@test "origin" { replay origin; }
@test "pieces" { replay pieces; }
@test "rule" { replay rule; }
@test "safetensors" { replay safetensors; }
@test "stream" { replay stream; }
@test "text" { replay text; }

@test "every target has seeds and a test here" {
    run -0 "$builddir/tests/fuzz/replay" --list
    [ "$output" = "$(ls "$BATS_FILE_TMPDIR/seeds")" ]
    [ "$output" = "$(sed -n 's/^@test "\(.*\)" { replay \1; }$/\1/p' "$BATS_TEST_FILENAME")" ]
}

@test "every format is fuzzed" {
    run -0 sed -n 's/^const struct tensor_format \(tensor_format_[a-z0-9_]*\) = {/\1/p' \
        "$srcdir"/plugins/*.c
    for symbol in "${lines[@]}"; do
        grep -q "fuzz_format(&$symbol," "$srcdir/tests/fuzz/formats.c"
    done
}

@test "every input that was kept has its line" {
    cd "$srcdir/tests/fuzz/found"
    for input in */*; do
        [ ! -e "$input" ] || grep -q "^$input: " README
    done
}
