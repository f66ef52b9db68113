#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-bisect(1): which tensor, and which row of it, makes a command fail.
# shellcheck disable=SC2016 # commands are for the tool to expand

load ../helpers

PATH=${srcdir:?}/scripts:$PATH

# 339 tensors: 28 layers of 12, as Qwen2.5-7B has them.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --like qwen2 --num-layers 28 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 48 --vocab 64 \
        --type F32 --seed 1 | tensor-save good.safetensors
    # every tensor differs a little, one by much
    tensor-dequant --to BF16 good.safetensors | tensor-dequant --to F32 | tensor-save rounded.safetensors
    tensor-fault --fault channel --factor 9 --match 'model.layers.17.mlp.up_proj.weight' --seed 5 rounded.safetensors |
        tensor-save bad.safetensors
    tensor-map --to gguf bad.safetensors | tensor-save bad.gguf
}

setup() {
    ln -s "$BATS_FILE_TMPDIR"/*.* .
    row=$(tensor-cos --json --match '*.17.mlp.up_proj.weight' rounded.safetensors bad.safetensors | sed -n 's/.*"worst_row":\([0-9]*\).*/\1/p')
    [ -n "$row" ]
}

# A command that counts its runs.
gate='echo run >> runs; tensor-cos good.safetensors - | verdict --min 0.999 --worst 0'

runs() {
    [ "$(wc -l < runs)" -eq "$1" ]
}

@test "a fault among 339 tensors in 9 runs, then its row" {
    run --separate-stderr -0 tensor-bisect --by tensors --good good.safetensors --bad bad.safetensors -- "$gate"
    says "first bad: model.layers.17.mlp.up_proj.weight" "9 runs, 0 from the log"
    [ "${#stderr_lines[@]}" -eq 9 ]
    runs 9
    rm runs
    run --separate-stderr -0 tensor-bisect -q --good good.safetensors --bad bad.safetensors -- "$gate"
    says "first bad: model.layers.17.mlp.up_proj.weight, row $row"
    [ -z "$stderr" ]
    runs 15 # 48 rows are 6 more
    run --separate-stderr -0 tensor-bisect -q --json --by layers --good good.safetensors --bad bad.gguf -- "$gate"
    says '"found":true,"layer":17,"first_tensor":"model.layers.17.' '"runs":5'
}

@test "an element, with a command that wants a file, and other names" {
    gate='tensor-cos good.safetensors {} | verdict --min 0.999 --worst 0'
    run --separate-stderr -0 tensor-bisect -q --json --by elements --match '*.17.*' --good good.safetensors --bad bad.gguf -- "$gate"
    says '"name":"model.layers.17.mlp.up_proj.weight","layer":17,"row":'"$row,"
    element=$(sed 's/.*"element":\([0-9]*\).*/\1/' <<< "$output")
    [ $((element / 32)) -eq "$row" ]
}

@test "a folder stays a folder, with what else is in it" {
    mkdir folder
    cp good.safetensors folder/model.safetensors
    echo '{"model_type": "qwen2"}' > folder/config.json
    gate='test -s {}/config.json && test -s {}/model.safetensors || exit 2
        tensor-cos --tsv --match "*.up_proj.*" good.safetensors {} | awk -F "\t" "\$1 == \"ok\" && \$2 < 0.999 { exit 1 }"'
    run --separate-stderr -0 tensor-bisect -q --by tensors --match '*up_proj*' --good folder --bad bad.gguf -- "$gate"
    says "first bad: model.layers.17.mlp.up_proj.weight"
}

@test "interrupted and resumed it repeats no step" {
    run -0 tensor-bisect -q --good good.safetensors --bad bad.safetensors -- "$gate"
    expected=${lines[0]}
    rm runs
    # the command breaks down at its seventh run, and is killed at its tenth
    cat > gate << 'END'
echo run >> runs
[ "$(wc -l < runs)" -ne 7 ] || exit 2
[ "$(wc -l < runs)" -ne 10 ] || kill -9 "$PPID"
tensor-cos good.safetensors - | verdict --min 0.999 --worst 0
END
    command='sh gate'
    refuses "in trouble (exit status 2)" tensor-bisect -q --log log --good good.safetensors --bad bad.safetensors -- "$command"
    runs 7
    run ! tensor-bisect -q --log log --good good.safetensors --bad bad.safetensors -- "$command; :"
    says "another command"
    run ! tensor-bisect -q --log log --good good.safetensors --bad bad.safetensors -- "$command"
    runs 10
    run --separate-stderr -0 tensor-bisect --log log --good good.safetensors --bad bad.safetensors -- "$command"
    [ "${lines[0]}" = "$expected" ]
    runs 17 # of 15, two had no answer
    says " from the log"
    # a step for each answer, and none twice
    [ "$(tail -n +2 log | cut -d ' ' -f 1 | sort -u | wc -l)" -eq 15 ]
    [ "$(wc -l < log)" -eq 16 ]
    # once more: all of it is known
    run --separate-stderr -0 tensor-bisect -q --log log --good good.safetensors --bad bad.safetensors -- "$command"
    says "$expected" "0 runs, 15 from the log"
    runs 17
}

@test "a log of other models is not gone on with" {
    run -0 tensor-bisect -q --by tensors --log log --good good.safetensors --bad bad.safetensors -- "$gate"
    refuses "it is of other models" tensor-bisect -q --log log --good good.safetensors --bad bad.gguf -- "$gate"
    echo text > other
    refuses "it is of other models" tensor-bisect -q --log other --good good.safetensors --bad bad.safetensors -- "$gate"
    [ "$(cat other)" = text ]
}

@test "what cannot be told is gone around" {
    gate='cat > /dev/null; exit 125'
    run --separate-stderr -1 tensor-bisect -q --match '*.17.*' --by tensors --good good.safetensors --bad bad.safetensors -- "$gate"
    says "one of tensors 0 to 13: the command cannot tell which"
    gate='tensor-cos --tsv good.safetensors - > got; grep -c identical got > count
        case $(cat count) in 33[2-5]) exit 125 ;; esac
        awk -F "\t" "\$26 ~ /17.mlp.up_proj/ && \$2 < 0.999 { exit 1 }" got'
    run --separate-stderr -0 tensor-bisect -q --match '*.17.*' --by tensors --good good.safetensors --bad bad.safetensors -- "$gate"
    says "first bad: model.layers.17.mlp.up_proj.weight"
}

@test "ends that are not what they are called" {
    run --separate-stderr -1 tensor-bisect -q --good good.safetensors --bad bad.safetensors -- false
    says "fails with the good model, too" "8 runs"
    run --separate-stderr -1 tensor-bisect -q --json --good good.safetensors --bad rounded.safetensors -- "$gate"
    says '"found":false' "with every tensor of the bad model"
    runs 9
    refuses "no tensor differs" tensor-bisect -q --good good.safetensors --bad good.safetensors -- true
}

@test "bad usage" {
    refuses "--good and --bad" tensor-bisect --good good.safetensors -- true
    refuses "a command is needed" tensor-bisect --good good.safetensors --bad bad.safetensors
    refuses "--by: 'bits'" tensor-bisect --by bits --good good.safetensors --bad bad.safetensors -- true
    refuses "files or folders" tensor-bisect --good good.safetensors --bad nowhere -- true
    refuses "--nothing is no option" tensor-bisect --nothing
    refuses "needs an argument" tensor-bisect --good
    run -0 tensor-bisect --help
    says "usage: tensor-bisect" "Exit status"
    run -0 tensor-bisect --version
    [[ $output == "tensor-bisect "* ]]
    # the page has every option of the help
    for option in $(tensor-bisect --help | grep -o -e '^ *\(-., \)\?--[a-z]*' | grep -o -e '--[a-z]*'); do
        grep -q -e "$(sed 's/-/\\\\-/g' <<< "$option")" "$srcdir/man/tensor-bisect.1"
    done
}
