#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/completion/tensorutils.bash: what the Tab key offers, from what each tool says of itself.

load ../helpers

setup() {
    PATH="$srcdir/scripts:$PATH"
    ln -s "$srcdir/scripts/completion/tensorutils.bash" tensor-cos
    . ./tensor-cos
}

# tab WORD...: what is offered for the last of the words.
tab() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _tensorutils
    printf '%s\n' "${COMPREPLY[@]}"
}

@test "a link of a tool's name completes that tool" {
    [ "$(complete -p tensor-cos)" = "complete -o default -F _tensorutils tensor-cos" ]
}

@test "options, of filters and of scripts" {
    [ "$(tab tensor-cos --ma)" = $'--map\n--match' ]
    [ "$(tab tensor-sweep --sh)" = --shards ]
    [ "$(tab tensor-bisect --go)" = --good ]
    [ "$(tab gate-power --se)" = --seeds ]
}

@test "values that an option names, and files where it names none" {
    [ "$(tab tensor-cos --transpose '')" = $'auto\nnever\nalways' ]
    [ "$(tab tensor-cos --map n)" = none ]
    [ -z "$(tab tensor-cos --limit '')" ]
}

@test "behind --match, the tensors of the models on the line" {
    tensor-rand --tensor one.a=2x3 --tensor one.b=3 --tensor two=3 | tensor-save m.safetensors
    [ "$(tab tensor-ls m.safetensors --match one | sort)" = $'one.a\none.b' ]
    COMP_WORDS=(tensor-cat --match tw m.safetensors)
    COMP_CWORD=2
    _tensorutils
    [ "${COMPREPLY[*]}" = two ]
}
