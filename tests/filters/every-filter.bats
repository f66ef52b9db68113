#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What holds for every program of the suite.  The list is that of filters/local.mk: a new filter is
# judged by being in it.
# shellcheck disable=SC2016

TU_LEAKS=looked-for
load ../helpers

filters() {
    sed -n 's,^[[:blank:]]*filters/\([a-z0-9-]*\).*,\1,p' "$srcdir/filters/local.mk"
}

# Those that read a stream on standard input, with the operands that make them do so.
readers() {
    local filter
    for filter in $(filters); do
        case $filter in
        tensor-rand) ;;
        tensor-cos | tensor-heads | tensor-matmul | tensor-splice) echo "$filter - a.tsr" ;;
        tensor-fault) echo "$filter --fault bit" ;;
        tensor-map) echo "$filter --map rename.map" ;;
        tensor-quant) echo "$filter --to bf16" ;;
        tensor-save) echo "$filter out.safetensors" ;;
        tensor-trace) echo "$filter --tokens 1 -" ;;
        verdict) echo "$filter --min 0" ;;
        *) echo "$filter" ;;
        esac
    done
}

# A command of each filter that prints.
writers() {
    local filter
    for filter in $(filters); do
        case $filter in
        tensor-rand) echo "$filter --tensor w=3" ;;
        tensor-cos | tensor-heads | tensor-matmul | tensor-splice) echo "$filter a.tsr a.tsr" ;;
        tensor-attn-gpu) ;; # prints what a device has made: attn-gpu.bats
        tensor-fault) echo "$filter --fault bit a.tsr" ;;
        tensor-map) echo "$filter --map rename.map a.tsr" ;;
        tensor-origin) echo "$filter stages.tsr" ;;
        tensor-quant) echo "$filter --to bf16 a.tsr" ;;
        tensor-save) ;;
        tensor-trace) echo "$filter --tokens 1,0 tiny.tsr" ;;
        verdict) echo "$filter --min 0 results.tsr" ;;
        *) echo "$filter a.tsr" ;;
        esac
    done
}

setup() {
    make-model a.tsr 'w F32 2x2 = 1 2 3 4' 'b F32 3 = 1 2 3' 'q F32 1x1x1 = 1' 'k F32 1x1x1 = 1' 'v F32 1x1x1 = 1' 'attn_out F32 1x1x1 = 1'
    tensor-cos a.tsr a.tsr > results.tsr
    echo 'w = renamed' > rename.map
    tensor-rand --like qwen2 --num-layers 1 --hidden 4 --heads 1 --kv-heads 1 --head-dim 4 --ffn 4 --vocab 4 > tiny.tsr
    tensor-trace --tokens 1,0 tiny.tsr > trace.tsr
    tensor-cos trace.tsr trace.tsr > stages.tsr
}

# The tags of the options that a page describes.
options_of_page() {
    sed -n 's/\\-/-/g; s/\\f[BIRP]//g; /^\.\(BR\|BI\|B\|RB\|IR\|TP\|OP\|It Fl\) /{s/^\.[A-Za-z ]* //; s/"//g; p;}' "$1" |
        grep -o -e '^-.*' | grep -o -e '--[a-z][a-z-]*' | sort -u
}

@test "the list of filters is that of the build" {
    [ "$(filters | wc -l)" -ge 8 ]
    for filter in $(filters); do
        [ -x "$builddir/filters/$filter" ]
        [ -e "$srcdir/filters/$filter.c" ]
    done
    for source in "$srcdir"/filters/*.c; do
        filters | grep -qx "$(basename "$source" .c)"
    done
}

@test "--help fits a screen and names the filter, its page and its exit statuses" {
    for filter in $(filters); do
        run --separate-stderr -0 "$filter" --help
        [[ ${lines[0]} == "usage: $filter "* ]]
        [ "$(wc -l <<< "$output")" -le 40 ]
        [ "$(wc -L <<< "$output")" -le 100 ]
        says "--help" "--version" "Exit status: 0 " "2 trouble" "$filter(1)"
        [ -z "$stderr" ]
    done
}

@test "--version names the filter and the package's version" {
    version=$(sed -n 's/^AC_INIT(\[tensorutils\], \[\([^]]*\)\].*/\1/p' "$srcdir/configure.ac")
    for filter in $(filters); do
        run --separate-stderr -0 "$filter" --version
        [ "$output" = "$filter (tensorutils) $version" ]
        [ -z "$stderr" ]
    done
}

@test "--help, --version and --list-options need no operands and beat what follows" {
    for filter in $(filters); do
        run -0 "$filter" --help --no-such-option
        run -0 "$filter" --version absent.gguf
        run -0 "$filter" --list-options
    done
}

@test "--help and --version fail on a full disk" {
    for filter in $(filters); do
        for option in --help --version --list-options; do
            refuses "standard output: No space left on device" sh -c "$filter $option > /dev/full"
        done
    done
}

@test "--help and --version fail on a closed standard output" {
    for filter in $(filters); do
        for option in --help --version; do
            refuses "standard output" sh -c "$filter $option >&-"
        done
    done
}

@test "an unknown option is trouble" {
    for filter in $(filters); do
        refuses "--no-such-option" "$filter" --no-such-option
        refuses "-Z" "$filter" -Z
        refuses "--help=yes" "$filter" --help=yes
    done
}

@test "an option without its argument is trouble" {
    for filter in $(filters); do
        for option in $("$filter" --list-options | awk -F'\t' '$2 != "" { print $1 }'); do
            refuses "$option" "$filter" "$option"
        done
    done
}

@test "every option of the help is listed, and the other way round" {
    for filter in $(filters); do
        diff <("$filter" --list-options | cut -f 1 | sort) \
            <("$filter" --help | grep -o '^ *\(-., \)\?--[a-z-]*' | grep -o -e '--.*' | sort)
    done
}

@test "every option stands in the page, and every option of the page exists" {
    for filter in $(filters); do
        page="$srcdir/man/$filter.1"
        if [ ! -e "$page" ]; then
            echo "$filter has no page"
            return 1
        fi
        diff <("$filter" --list-options | cut -f 1 | sort) <(options_of_page "$page")
    done
}

@test "a truncated stream on standard input is exit 2" {
    size=$(stat -c %s a.tsr)
    while read -r command; do
        for length in 0 30 100 $((size - 1)); do
            refuses "standard input: " sh -c "head -c $length a.tsr | $command > /dev/null"
        done
        # ... and as a file on standard input
        head -c 100 a.tsr > cut.tsr
        refuses "standard input: " sh -c "$command < cut.tsr > /dev/null"
    done < <(readers)
    [ ! -e out.safetensors ]
}

@test "a closed standard input is exit 2" {
    while read -r command; do
        refuses "standard input" sh -c "$command <&- > /dev/null"
    done < <(readers)
    [ ! -e out.safetensors ]
}

@test "a closed standard output is exit 2" {
    while read -r command; do
        for mode in '' --table --json; do
            refuses "standard output" sh -c "$command $mode >&-"
        done
    done < <(writers)
}

@test "a terminal gets a table, never a stream" {
    script -qec true typescript < /dev/null > screen 2>&1 || skip "script(1) can make no terminal here"
    while read -r command; do
        script -qec "$command" typescript < /dev/null > screen
        # no control characters but the ends of lines
        [ -s screen ]
        if LC_ALL=C tr -d '\r\n' < screen | LC_ALL=C grep -q '[^[:print:]]'; then
            echo "$command:"
            od -c screen | head
            return 1
        fi
        if [[ $command != verdict* ]]; then
            diff <(tr -d '\r' < screen) <($command --table)
        fi
    done < <(writers)
}

@test "a terminal is no standard input" {
    script -qec true typescript < /dev/null > screen 2>&1 || skip "script(1) can make no terminal here"
    while read -r command; do
        run -2 timeout 5 script -qec "$command" typescript < /dev/null
        says "is a terminal"
    done < <(readers)
}

@test "--json prints one object a line" {
    while read -r command; do
        run -0 sh -c "$command --json | python3 -c 'import json, sys
for line in sys.stdin: assert isinstance(json.loads(line), dict)'"
    done < <(writers)
}

@test "--tsv prints as many columns in each row as in its header" {
    while read -r command; do
        run -0 sh -c "$command --tsv | awk -F'\t' 'NR == 1 { n = NF } NF != n || n < 2 { exit 1 }'"
    done < <(writers)
}

@test "the same output is asked for last wins" {
    [ "$(tensor-ls --json --tsv a.tsr)" = "$(tensor-ls --tsv a.tsr)" ]
    [ "$(tensor-ls --tsv --json a.tsr)" = "$(tensor-ls --json a.tsr)" ]
}

@test "--quiet, --progress" {
    while read -r command; do
        run --separate-stderr -0 sh -c "$command --quiet --table"
        [ -z "$stderr" ]
        # what takes less than a second shows none
        run --separate-stderr -0 sh -c "$command --progress --table"
        [ -z "$stderr" ]
    done < <(writers)
    # what takes longer does, and wipes it away
    tensor-rand --tensor w=300000 --tensor v=300000 > two.tsr
    show() {
        run --separate-stderr -0 bash -c '{ head -c 1300000 two.tsr; sleep 1.2; tail -c +1300001 two.tsr; } | tensor-hash --tsv '"$1"
        [ "${#lines[@]}" -ge 3 ]
    }
    show --progress
    [[ $stderr == $'\r\e[Ktensor-hash: '*B$'\r\e[K' ]]
    show '--progress --quiet'
    [ -z "$stderr" ]
    show
    [ -z "$stderr" ]
}

@test "an unknown TENSORUTILS_CPU is trouble" {
    while read -r command; do
        refuses "TENSORUTILS_CPU=mmx" sh -c "TENSORUTILS_CPU=mmx $command"
    done < <(writers)
}

@test "results do not depend on the locale" {
    # A locale whose numbers have a decimal comma, as localedef writes it.
    mkdir comma
    { printf '\x14\x11\x03\x20\x06\0\0\0\x20\0\0\0\x22\0\0\0\x23\0\0\0\x24\0\0\0\x28\0\0\0\x2c\0\0\0'
        printf ',\0\0\0,\0\0\0\0\0\0\0ANSI_X3.4-1968\0'; } > comma/LC_NUMERIC
    export LOCPATH=$PWD
    [ "$(LC_NUMERIC=comma locale decimal_point)" = , ] || skip "this C library knows no such locale"
    make-model x.tsr 'w F64 2 = 0.1 0.25' -- y.tsr 'w F64 2 = 0.1 0.5'
    [ "$(LC_NUMERIC=comma tensor-cos --json x.tsr y.tsr)" = "$(tensor-cos --json x.tsr y.tsr)" ]
    run -0 sh -c 'LC_NUMERIC=comma tensor-cos x.tsr y.tsr | LC_NUMERIC=comma verdict --min 0.5'
}

@test "-h and -V are --help and --version" {
    for filter in $(filters); do
        diff <("$filter" -h) <("$filter" --help)
        [ "$("$filter" -V)" = "$("$filter" --version)" ]
    done
}

@test "did you mean: a misspelt option names the nearest one" {
    for filter in $(filters); do
        refuses "--quite is no option (did you mean '--quiet'?) (see $filter --help)" "$filter" --quite
        refuses "--quiet=1 takes no argument" "$filter" --quiet=1
        refuses "--help=yes takes no argument" "$filter" --help=yes
    done
    refuses "--zzzzzzz is no option (see tensor-cos --help)" tensor-cos --zzzzzzz
}

@test "a selection that selects nothing is trouble, and says what there is" {
    for command in 'tensor-cat' 'tensor-ls' 'tensor-hash' 'tensor-stat' 'tensor-dequant' 'tensor-quant --to bf16' \
        'tensor-cos a.tsr' 'tensor-save x.tsr.gguf' 'tensor-fault --fault nan'; do
        refuses "--match 'ww' selects no tensor" sh -c "$command --match ww a.tsr > out"
        refuses "--layers selects no tensor" sh -c "$command --layers 3 a.tsr > out"
        # who reads hears of it, and so no gate passes
        if [[ $command != tensor-ls && $command != tensor-hash && $command != tensor-save* ]]; then
            run show-stream out
            [[ ${lines[-1]} == *'"kind": "error"'*'selects no tensor'* ]]
        fi
    done
    [ ! -e x.tsr.gguf ]
    run -2 pipeline 'tensor-cos --match ww a.tsr a.tsr | verdict'
    run -2 pipeline 'tensor-cos --dtype F16 a.tsr a.tsr | verdict'
    refuses "--dtype selects no tensor: they are F32" tensor-ls --dtype F16,Q8_0 a.tsr
    refuses "'Q8' is no element type (did you mean 'Q8_0'?)" tensor-ls --dtype Q8 a.tsr
    refuses "selects no tensor (did you mean 'attn_out'?)" tensor-ls --match atn_out a.tsr
    refuses "globs match whole names (try '*layers.0.*')" tensor-ls --match layers.0 tiny.tsr
    refuses "there are layers 0 to 0" tensor-ls --layers 7-9 tiny.tsr
    refuses "no tensor is selected: none meets all of" tensor-ls --match w --exclude w a.tsr
    # nothing to select from is no mistake of the selection
    tensor-rand --tensor w=3 | tensor-cat --match w | tensor-cos --match w - a.tsr > out
    run -0 tensor-ls --match w --limit 1 a.tsr
}
