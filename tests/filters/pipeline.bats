#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The whole story in one file: cat, compare, judge.
# shellcheck disable=SC2016

load ../helpers

setup() {
    tensor-rand --seed 1 --tensor w=32x256 --tensor b=32 > a.tsr
    tensor-save a.safetensors a.tsr
}

@test "a model agrees with itself" {
    run -0 sh -c 'tensor-cat a.safetensors | tensor-cos - a.safetensors | verdict --min 0.999'
    [[ $output == *"verdict: pass"* ]]
}

@test "one flipped bit is a fail that names its tensor" {
    tensor-save b.safetensors a.tsr
    printf '\177' | dd of=b.safetensors bs=1 seek=400 conv=notrunc status=none
    run -1 sh -c 'tensor-cos a.safetensors b.safetensors | verdict --rule "max_diff <= 0"'
    [[ $output == *"fail"*"w"*"max_diff"* ]]
}
