#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Maps: tensor-cos(1) --map and --transpose, tensor-map(1), and the language of tensor-maps(5).
# shellcheck disable=SC2016

load ../helpers

setup_file() {
    make-families "$BATS_FILE_TMPDIR/families"
}

setup() {
    ln -s "$BATS_FILE_TMPDIR/families" families
}

families() {
    for folder in families/*/; do
        basename "$folder"
    done
}

# same COUNT COMMAND: its records are COUNT equal pairs, and what a map calls extra; no fact differs.
same() {
    local count=$1
    run --separate-stderr -0 sh -c "$2"
    if grep '"kind":"fact".*"status":"differs"' <<< "$output"; then
        echo "facts differ in: $2"
        return 1
    fi
    output=$(grep '"kind":"compare"' <<< "$output" | grep -v '"status":"extra"')
    mapfile -t lines <<< "$output"
    if [ "${#lines[@]}" -ne "$count" ] || [ "$(grep -c '"status":"ok".*"max_diff":0,' <<< "$output")" -ne "$count" ]; then
        echo "$count equal pairs were expected of: $2"
        grep -v '"max_diff":0,' <<< "$output"
        return 1
    fi
    [ -z "$stderr" ]
}

# field KEY: of each record, where it has it.
field() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<< "$output"
}

# stream_is EXPECTED COMMAND...: the stream of COMMAND has the tensors of the file EXPECTED.
stream_is() {
    local expected=$1
    shift
    diff <(tensor-cat "$expected" | show-stream --digests) <("$@" | show-stream --digests)
}

# bad LINE TEXT FRAGMENT: a map is refused, with the number of the line.
bad() {
    printf '%b' "$2" > bad.map
    refuses "bad.map: line $1: " tensor-map --map ./bad.map a.tsr --json
    # shellcheck disable=SC2154
    if [[ $stderr != *"$3"* ]]; then
        echo "'$3' was expected in: $stderr"
        return 1
    fi
}

# ---- tensor-cos ----

@test "every family meets its conversion, both ways, in files and pipes" {
    local count turn=0
    [ "$(families | wc -l)" -ge 21 ]
    for family in $(families); do
        [ $family != llama-unturned ] || continue # is no right conversion
        a=families/$family b=families/$family.gguf
        # An untied head is in both; masks and the like are in one, and extra.
        count=$(tensor-ls --json "$a" | grep -v '\.attn\.bias"' | grep -c '"kind":"entry"')
        same "$count" "tensor-cos --json $a $b"
        # one of them through a pipe: each family in one order of the two, and its neighbour in the other
        turn=$((1 - turn))
        if [ $turn -eq 1 ]; then
            same "$count" "tensor-cat $a | tensor-cos --json - $b"
        else
            same "$count" "tensor-cat $b | tensor-cos --json $a -"
        fi
        count=$(tensor-ls --json "$b" | grep -v '"name":"rope_' | grep -c '"kind":"entry"')
        same "$count" "tensor-cos --json $b $a"
        if [ $turn -eq 1 ]; then
            same "$count" "tensor-cat $b | tensor-cos --json - $a"
        else
            same "$count" "tensor-cat $a | tensor-cos --json $b -"
        fi
        same "$count" "bash -c 'tensor-cos --json <(tensor-cat $b) <(tensor-cat $a)'"
    done
}

@test "both sides of every family state the same, in heads, rope, norms and sizes" {
    for family in $(families); do
        tensor-cos --facts --json "families/$family" "families/$family.gguf" > facts
        wanted=12
        case $family in phi2-old) wanted=4 ;; esac # its class is not known
        [ "$(grep -c '"status":"same"' facts)" -ge $wanted ] || { echo "$family"; cat facts; return 1; }
        # What the two readers do otherwise by themselves, and what one side alone has.
        local -a others=(-e '"status":"same"' -e '"name":"rope.kind"')
        case $family in
            llama-unturned) others+=(-e '"name":"window"') ;;
            gemma3) others+=(-e '"name":"vocab"' -e '"name":"tokens') ;;
            phi2-old) others+=(-e '"status":"only_b"') ;;
        esac
        run -1 grep -v "${others[@]}" facts
    done
}

@test "Meta's names meet those of Hugging Face and of llama.cpp" {
    same 21 "tensor-cos --json families/consolidated.safetensors families/meta"
    same 21 "tensor-cos --json families/meta.gguf families/consolidated.safetensors"
    [ -z "$(field transform)" ]
    same 21 "tensor-cos --json families/meta families/consolidated.safetensors"
    [ "$(field transform | sort | uniq -c | tr -s ' ')" = " 2 unrope(2)
 2 unrope(4)" ]
}

@test "the record names both tensors and the transform" {
    run -0 tensor-cos --json families/llama families/llama.gguf
    says '"name":"model.layers.1.self_attn.k_proj.weight","status":"ok","shape_a":[16,32],"dtype_a":"F32","shape_b":[16,32],"dtype_b":"F32","name_b":"blk.1.attn_k.weight","transform":"unrope(2)","element_count":512'
    says '"name":"lm_head.weight","status":"ok","shape_a":[40,32],"dtype_a":"F32","shape_b":[40,32],"dtype_b":"F32","name_b":"output.weight","element_count":1280'
    run -0 tensor-cos --tsv families/llama families/llama.gguf
    [ "$(head -n 1 <<< "$output" | cut -f 26-28)" = "name	transform	name_b" ]
    run -0 tensor-cos --json families/gemma families/gemma.gguf
    [ "$(field transform | sort -u)" = "add(1)" ]
    run -0 tensor-cos --json families/gemma3 families/gemma3.gguf
    [ "$(field transform | sort -u)" = "40 of 48 rows of a
add(1)" ]
    run -0 tensor-cos --json families/mixtral.gguf families/mixtral
    [ "$(field transform | sort -u)" = "rope(2)
rope(4)
stack(3)" ]
}

@test "--map none compares names as they are" {
    run -0 tensor-cos --map none --json families/llama families/llama.gguf
    [ "$(grep -c '"kind":"compare".*only_a' <<< "$output")" -eq 21 ]
    [ "$(grep -c '"kind":"compare".*only_b' <<< "$output")" -eq 21 ]
}

@test "a map that the user names" {
    make-model a.tsr 'x.0.w F32 2 = 1 2' -- b.tsr 'y.0.v F32 2 = 1 2'
    echo 'x.{n}.w = y.{n}.v' > xy.map
    same 1 "tensor-cos --map ./xy.map --json a.tsr b.tsr"
    same 1 "tensor-cos --map xy.map --json b.tsr a.tsr"
    TENSORUTILS_MAPS=. same 1 "tensor-cos --map xy --json a.tsr b.tsr"
    refuses "no map is called 'xy'" tensor-cos --map xy --json a.tsr b.tsr
    refuses "no map is called 'xy'" tensor-cos --map xy --json a.tsr a.tsr # whose names need none
    refuses "absent.map: " tensor-cos --map absent.map --json a.tsr b.tsr
}

@test "a map that others may write to is not taken" {
    make-model a.tsr 'x.0.w F32 2 = 1 2' -- b.tsr 'y.0.v F32 2 = 1 2'
    mkdir maps
    echo 'x.{n}.w = y.{n}.v' > maps/xy.map
    named() { tensor-cos --map maps/xy.map a.tsr b.tsr; }
    refuses "nowhere: No such file or directory (TENSORUTILS_MAPS names it; name a folder of maps, or unset it)" \
        env TENSORUTILS_MAPS=nowhere tensor-cos a.tsr b.tsr
    found() { TENSORUTILS_MAPS=maps tensor-cos --map xy a.tsr b.tsr; }
    for command in named found; do
        run -0 $command
        chmod o+w maps/xy.map
        refuses 'maps/xy.map: no map is taken from there: others may write to it' $command
        chmod o-w maps/xy.map
        chmod o+w maps
        refuses 'no map is taken from there: others may write to it' $command
        chmod o-w maps
    done
    # where others may write, but nothing of mine can be exchanged, a map that is named is taken
    chmod 1777 maps
    run -0 named
    refuses 'maps: no map is taken from there' found
}

@test "names that differ in known prefixes meet, if no other does" {
    make-model a.tsr 'model.layers.0.w F32 2 = 1 2' 'model.u F32 1 = 3' -- \
        b.tsr 'language_model.model.layers.0.w F32 2 = 1 2' 'u F32 1 = 3'
    same 2 "tensor-cos --json a.tsr b.tsr"
    [ "$(field name_b)" = "language_model.model.layers.0.w
u" ]
    same 2 "cat b.tsr | tensor-cos --json a.tsr -"
    # u could be either
    make-model c.tsr 'model.u F32 1 = 1' -- d.tsr 'language_model.u F32 1 = 1' 'transformer.u F32 1 = 2'
    run -0 tensor-cos --json c.tsr d.tsr
    [ "$(field status)" = "only_a
only_b
only_b" ]
}

@test "tied embeddings: a head that one side leaves out" {
    make-model a.safetensors 'model.embed_tokens.weight F32 3x2 = 1 2 3 4 5 6' 'lm_head.weight F32 3x2 = 1 2 3 4 5 7' -- \
        b.gguf 'token_embd.weight F32 3x2 = 1 2 3 4 5 6'
    run -0 tensor-cos --json a.safetensors b.gguf
    [ "${#lines[@]}" -eq 2 ]
    says '"name":"lm_head.weight"' '"name_b":"token_embd.weight","transform":"tied"' '"max_diff":1,'
    run -0 tensor-cos --json b.gguf a.safetensors
    [ "${#lines[@]}" -eq 2 ]
    says '"name":"lm_head.weight"' '"name_a":"token_embd.weight","transform":"tied"' '"max_diff":1,'
}

@test "a rule that cannot be kept warns, and with a map that was named is trouble" {
    make-model a.safetensors 'model.layers.0.self_attn.q_proj.weight F32 2x2 = 1 2 3 4' -- \
        b.safetensors 'blk.0.attn_q.weight F32 2x2 = 1 2 3 4'
    run --separate-stderr -0 tensor-cos --json a.safetensors b.safetensors
    [ "$(field status)" = "only_a
only_b" ]
    [[ $stderr == *"the metadata does not say how many heads there are"* ]]
    refuses "map llama, line" tensor-cos --map llama --json a.safetensors b.safetensors
}

@test "selection speaks of the names of the first operand" {
    run -0 tensor-cos --json --match '*k_proj*' families/llama families/llama.gguf
    [ "$(grep -c '"kind":"compare"' <<< "$output")" -eq 2 ]
    run -0 tensor-cos --json --layers 1 families/llama families/llama.gguf
    [ "$(grep -c '"kind":"compare"' <<< "$output")" -eq 9 ]
}

@test "results in a pipe pass while names meet by a map" {
    tensor-cos --limit 1 families/llama families/llama > results.tsr
    run -0 sh -c 'cat results.tsr | { tensor-cat families/llama.gguf; cat; } | tensor-cos --json families/llama -'
    [ "$(grep -c '"kind":"compare"' <<< "$output")" -eq 22 ]
}

# ---- Transposes ----

@test "[a,b] against [b,a] where that is asked for" {
    # 1 2 3 / 4 5 6 and its transpose 1 4 / 2 5 / 3 6
    make-model a.tsr 'w F32 2x3 = 1 2 3 4 5 6' -- t.tsr 'w F32 3x2 = 1 4 2 5 3 6' -- l.tsr 'w F32 3x2 = 1 2 3 4 5 6'
    same 1 "tensor-cos --transpose always --json a.tsr t.tsr"
    [ "$(field transform)" = transpose ]
    same 1 "cat a.tsr | tensor-cos --transpose always --json - t.tsr"
    same 1 "cat t.tsr | tensor-cos --transpose always --json a.tsr -"
    for other in never auto; do
        run -0 tensor-cos --json --transpose $other a.tsr t.tsr
        [ "$(field status)" = shape_mismatch ] # fewer elements than anything can be concluded from
    done
    run -0 tensor-cos --json --transpose always a.tsr l.tsr
    says '"transform":"transpose"' '"max_diff":2,' # 1 3 5 / 2 4 6 against 1 2 3 / 4 5 6
    refuses "neither auto nor never nor always" tensor-cos --transpose maybe a.tsr t.tsr
}

@test "a scale in front of all, and rows in another order, in files and pipes" {
    python3 - "$srcdir/tests/tools" << 'END'
import random, struct, sys
sys.path.insert(0, sys.argv[1])
import formats
random.seed(2)
codes = random.randbytes(1024 * 1024)
open("a.apr", "wb").write(formats.apr([formats.Tensor("w", "APR_Q8", [1024, 1024], struct.pack("<f", 0.25) + codes)]))
END
    echo '* = v.* : rope(16)' > m.map
    tensor-dequant a.apr | tensor-map --map ./m.map --to right > b.tsr
    tensor-cos --json --map ./m.map a.apr b.tsr > files
    grep -q '"name_b":"v.w","transform":"unrope(16)",.*"max_diff":0,' files
    tensor-cat a.apr | tensor-cos --json --map ./m.map - b.tsr | diff files -
    tensor-cos --json --map ./m.map a.apr - < <(cat b.tsr) | diff files -
    tensor-cos --json --map ./m.map <(tensor-cat a.apr) <(cat b.tsr) | diff files -
    tensor-cos --json --map ./m.map b.tsr a.apr > files
    tensor-cat a.apr | tensor-cos --json --map ./m.map b.tsr - | diff files -
}

@test "square matrices are transposed where that is asked for" {
    make-model a.tsr 'w F32 2x2 = 1 2 3 4' -- t.tsr 'w F32 2x2 = 1 3 2 4'
    run -0 tensor-cos --json a.tsr t.tsr
    says '"max_diff":1,'
    same 1 "tensor-cos --json --transpose always a.tsr t.tsr"
}

@test "transposes beyond one block: the sums, the first place, any threads" {
    tensor-rand --tensor w=1500x2100 --seed 1 > a.tsr
    tensor-rand --tensor w=1500x2100 --seed 1 --type F16 > h.tsr
    echo '* = * : transpose' > turn.map
    tensor-map --map ./turn.map --to right h.tsr > t.tsr
    stream_is h.tsr tensor-map --map ./turn.map --to right t.tsr
    tensor-cos --json a.tsr h.tsr > straight
    tensor-cos --transpose always --json a.tsr t.tsr > turned
    tensor-cos --transpose always --json -j 1 a.tsr t.tsr | diff turned -
    tensor-cos --transpose always --json -j 5 a.tsr t.tsr | diff turned -
    for key in max_diff max_rel_diff worst_index worst_a worst_b identical_count element_count; do
        [ "$(grep -o "\"$key\":[^,}]*" straight)" = "$(grep -o "\"$key\":[^,}]*" turned)" ]
    done
    python3 -c '
import json
a, b = json.load(open("straight")), json.load(open("turned"))
for key in ("cosine_similarity", "nmse", "rmse", "norm_a", "norm_b"):
    assert abs(a[key] - b[key]) <= 1e-12 * abs(a[key]), key'
}

@test "of equal differences the first place counts, in whichever block it is" {
    # a is 1 everywhere; t has 0 in row 0, column 1500 and in row 1, column 0 of its transpose
    python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import formats
a = [1.0] * (1100 * 1600)
b = list(a)
b[1500] = b[1600] = 0.0
t = [b[r * 1600 + c] for c in range(1600) for r in range(1100)]
for name, shape, v in (("a", [1100, 1600], a), ("t", [1600, 1100], t)):
    open(name + ".tsr", "wb").write(formats.stream([formats.Tensor("w", "F32", shape, formats.values("F32", v))]))
' "$srcdir/tests/tools"
    run -0 tensor-cos --transpose always --json a.tsr t.tsr
    says '"transform":"transpose"' '"worst_index":1500,' '"worst_b":0'
}

@test "a quantized tensor against a transpose" {
    tensor-rand --tensor w=64x512 --seed 2 > a.tsr
    echo '* = * : transpose' > turn.map
    tensor-quant --to Q4_K a.tsr > q.tsr
    tensor-map --map ./turn.map --to right a.tsr > t.tsr
    tensor-map --map ./turn.map --to right q.tsr > qt.tsr # F32, since blocks run along rows
    same 1 "tensor-cos --transpose always --json q.tsr qt.tsr"
    run -0 tensor-cos --transpose always --json q.tsr t.tsr
    says '"dtype_a":"Q4_K"' '"transform":"transpose"' '"cosine_similarity":0.997'
}

# ---- tensor-map ----

@test "there and back again" {
    for family in $(families); do
        case $family in
        gemma3 | gpt2 | phi2-old | phi3-split | *fused*) continue ;; # other prefixes, or joined otherwise
        esac
        tensor-map "families/$family.gguf" > there.tsr
        tensor-map --to gguf there.tsr > back.tsr
        same "$(tensor-ls --json back.tsr | grep -c '"kind":"entry"')" "tensor-cos --map none --json families/$family.gguf back.tsr"
        run -0 tensor-cos --json --map none "families/$family" there.tsr
        [ "$(grep '"kind":"compare"' <<< "$output" | grep -vc '"max_diff":0,')" -eq "$(tensor-ls --json there.tsr | grep -c '"rope_' || true)" ] || [ "$family" = llama-unturned ]
    done
}

@test "the sides of a map" {
    stream_is <(tensor-map --to hf families/llama.gguf) tensor-map families/llama.gguf
    same 21 "tensor-map --to meta families/meta.gguf | tensor-cos --map none --json - families/consolidated.safetensors"
    same 21 "tensor-map --to meta families/meta | tensor-cos --map none --json - families/consolidated.safetensors"
    same 21 "tensor-map --to gguf families/meta | tensor-map --to hf | tensor-cos --map none --json - families/meta"
    refuses "map llama has no side 'onnx'" tensor-map --to onnx families/llama.gguf --json
    make-model a.tsr 'w F32 1 = 1'
    refuses "a.tsr: no map fits" tensor-map a.tsr --json
}

@test "a pipe with a map that only renames stays a stream" {
    make-model a.tsr 'x.0 F32 2 = 1 2' 'z F32 1 = 3' -- want.tsr 'y.0 F32 2 = 1 2' 'z F32 1 = 3'
    echo 'x.{n} = y.{n}' > m.map
    stream_is want.tsr tensor-map --map ./m.map --to right < a.tsr
    stream_is a.tsr tensor-map --map ./m.map --to left < want.tsr
    TMPDIR=/nowhere tensor-map --map ./m.map --to right < <(cat a.tsr) > /dev/null
}

@test "tensors that are not selected pass, and are not lost where others are joined" {
    make-model a.tsr 'q F32 1x2 = 1 2' 'k F32 1x2 = 3 4' -- want.tsr 'q F32 1x2 = 1 2' 'qk F32 2x2 = 1 2 3 4'
    echo 'q + k = qk' > m.map
    stream_is want.tsr tensor-map --map ./m.map --to right --match k a.tsr
}

@test "every transform, and what undoes it" {
    make-model a.tsr 'w F32 4x2 = 1 2 3 4 5 6 7 8' -- \
        rope.tsr 'w F32 4x2 = 1 2 5 6 3 4 7 8' -- \
        transpose.tsr 'w F32 2x4 = 1 3 5 7 2 4 6 8' -- \
        add.tsr 'w F32 4x2 = 3 4 5 6 7 8 9 10' -- \
        reshape.tsr 'w F32 2x2x2 = 1 2 3 4 5 6 7 8' -- \
        rows.tsr 'w F32 2x2 = 3 4 5 6' -- \
        columns.tsr 'w F32 4x1 = 2 4 6 8' -- \
        both.tsr 'w F32 2x2 = 3 5 4 6' -- \
        scale.tsr 'w F32 4x2 = -2 -4 -6 -8 -10 -12 -14 -16' -- \
        order.tsr 'w F32 4x2 = 5 6 1 2 7 8 3 4' -- \
        back.tsr 'w F32 4x2 = 3 4 7 8 1 2 5 6' -- \
        unrope.tsr 'w F32 4x2 = 1 2 5 6 3 4 7 8' -- \
        swapped.tsr 'w I32 4x2 = 32831 64 16448 32832 41024 49216 57408 65' # 0x0000803f is 1.0 swapped
    # one head of 4 rows: halves (1 2)(3 4) become pairs (1 3)(2 4)
    try() {
        printf 'count heads = absent (one)\n%s\n' "w = w : $2" > m.map
        sed -i '1s/.*/count one = n\ncount heads = absent (one)/' m.map
        stream_is "$1.tsr" tensor-map --map ./m.map --to right a.safetensors
    }
    python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import formats
open("a.safetensors", "wb").write(formats.safetensors([formats.Tensor("w", "F32", [4, 2], formats.values("F32", range(1, 9)))], {"n": "1"}))
' "$srcdir/tests/tools"
    try rope 'rope(heads)'
    try rope 'rope(1)'
    try unrope 'unrope(1)'
    try scale 'scale(-2)'
    try order 'order(2,0,3,1)'
    try swapped 'byteswap, type(I32)'
    try transpose 'transpose'
    try transpose 'permute(1,0)'
    try add 'add(2)'
    try reshape 'reshape(2,*,2)'
    try rows 'rows(1:3)'
    try columns 'columns(1:2)'
    try both 'rows(1:3), transpose'
    echo 'w = w : rows(1:3)' > m.map
    refuses "map m, line 1: tensor 'w': what was cut off cannot be put back" tensor-map --map ./m.map --to left a.tsr --json
    echo 'w = w : reshape(3,*)' > m.map
    refuses "is not one of 8" tensor-map --map ./m.map --to right a.tsr --json
    # share 0 was 2, 1 was 0, 2 was 3, 3 was 1
    echo 'w = w : order(2,0,3,1)' > m.map
    stream_is back.tsr tensor-map --map ./m.map --to left a.tsr
    echo 'w = w : scale(-2), unrope(1), byteswap' > m.map
    tensor-map --map ./m.map --to right a.tsr > there.tsr
    stream_is a.tsr tensor-map --map ./m.map --to left there.tsr
    echo 'w = w : type(I32)' > m.map
    refuses "map m, line 1: tensor 'w': the type that the bytes had before is not known" tensor-map --map ./m.map --to left a.tsr --json
    echo 'w = w : type(F16)' > m.map
    refuses "the bytes of F32 are none of F16" tensor-map --map ./m.map --to right a.tsr --json
    echo 'w = w : order(2,0,1)' > m.map
    refuses "4 rows are no 3 equal shares" tensor-map --map ./m.map --to right a.tsr --json
    make-model p.tsr 'w F32 2x3x1 = 1 2 3 4 5 6' -- want.tsr 'w F32 3x2x1 = 1 4 2 5 3 6'
    echo 'w = w : permute(1,0,2)' > m.map
    stream_is want.tsr tensor-map --map ./m.map --to right p.tsr
    stream_is p.tsr tensor-map --map ./m.map --to left want.tsr
    # channels that are last, as in MLX, or behind a window, as in Keras
    make-model p.tsr 'w F32 2x1x2x3 = 1 2 3 4 5 6 7 8 9 10 11 12' -- \
        want.tsr 'w F32 2x3x1x2 = 1 4 2 5 3 6 7 10 8 11 9 12'
    echo 'w = w : permute(0,3,1,2)' > m.map
    stream_is want.tsr tensor-map --map ./m.map --to right p.tsr
    stream_is p.tsr tensor-map --map ./m.map --to left want.tsr
}

@test "joined, shared out and stacked" {
    make-model a.tsr 'q F32 4x1 = 1 2 3 4' 'k F32 2x1 = 5 6' 'v F32 2x1 = 7 8' -- want.tsr 'qkv F32 8x1 = 1 2 3 4 5 6 7 8'
    # shares of 2, 1 and 1, by a count that a.gguf states
    printf 'count h = general.heads\ncount kv = general.kv_heads\nq[h] + k[kv] + v[kv] = qkv\n' > m.map
    stream_is want.tsr tensor-map --map ./m.map --to right a.tsr
    refuses "the metadata does not say how many h there are" tensor-map --map ./m.map --to left want.tsr --json
    python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import formats
open("a.gguf", "wb").write(formats.gguf([formats.Tensor("qkv", "F32", [8, 1], formats.values("F32", range(1, 9)))], [("general.heads", "u32", 2), ("general.kv_heads", "u32", 1)]))
' "$srcdir/tests/tools"
    stream_is a.tsr tensor-map --map ./m.map --to left a.gguf
    make-model e.tsr 'e.1.w F32 2 = 3 4' 'e.0.w F32 2 = 1 2' -- s.tsr 's F32 2x2 = 1 2 3 4'
    echo 'e.{n}.w = s' > m.map
    stream_is s.tsr tensor-map --map ./m.map --to right e.tsr
    same 2 "tensor-map --map ./m.map --to left s.tsr | tensor-cos --json --map none e.tsr -"
}

@test "quantized rows are moved as they are" {
    tensor-rand --tensor blk.0.attn_q.weight=64x256 --seed 2 | tensor-quant --to Q4_K > q.tsr
    echo 'count h = n (h2)' > m.map
    printf 'e.{n} = w\n' > m.map
    tensor-rand --tensor w=3x4x256 --seed 2 | tensor-quant --to Q4_K > s.tsr
    run -0 tensor-map --map ./m.map --to left s.tsr --json
    [ "$(field dtype | sort -u)" = Q4_K ]
    stream_is s.tsr sh -c 'tensor-map --map ./m.map --to left s.tsr | tensor-map --map ./m.map --to right'
}

@test "two tensors of one name are refused" {
    make-model a.tsr 'x F32 1 = 1' 'y F32 1 = 2'
    echo 'x = y' > m.map
    refuses "two tensors would be called 'y'" tensor-map --map ./m.map --to right a.tsr --json
}

# ---- The language ----

@test "what is wrong in a map is said with its line" {
    make-model a.tsr 'w F32 1 = 1'
    bad 1 'w\n' 'neither a directive nor a rule'
    bad 2 '# fine\nw =\n' 'a name is missing'
    bad 1 'a + = b' 'a name is missing'
    bad 1 'a = b c' "'c' behind a rule"
    bad 1 'a = b :' 'a transform is missing'
    bad 1 'a = b : transpose,' 'a transform is missing'
    bad 1 'a = b : turn' "'turn' is no transform"
    bad 1 'a = b : transpose(1)' 'takes no argument'
    bad 1 'a = b : add' 'needs an argument'
    bad 1 'a = b : add(nan)' 'no number to be added'
    bad 1 'a = b : add(1' "has no ')'"
    bad 1 'a = b : rope(heads)' "no count is called 'heads'"
    bad 1 'a = b : unrope(0)' "no count is called '0'"
    bad 1 'a = b : scale(0)' 'no number to be multiplied with'
    bad 1 'a = b : order()' 'numbers are missing'
    bad 1 'a = b : order(0,2)' 'share 1 is missing'
    bad 1 'a = b : order(0,0)' 'no order of at most'
    bad 1 'a = b : order(0,999)' 'no order of at most'
    bad 1 'a = b : order(1;0)' 'no list of numbers'
    bad 1 'a = b : type(F17)' "'F17' is no element type"
    bad 1 'a = b : byteswap(2)' 'takes no argument'
    bad 1 'a = b : rows(3:3)' 'is no range'
    bad 1 'a = b : reshape(*,*)' 'more than one *'
    bad 1 'a = b : reshape(1,2,3,4,5,6,7,8,9)' 'at most 8 numbers'
    bad 1 'a = b : permute(0,0)' 'every axis once'
    bad 1 'a = b.{n}' 'a placeholder stands on the right alone'
    bad 1 'a.{n}.{m} = b' 'the right lacks two placeholders'
    bad 1 'a.{n}{m} = b' 'nothing between them'
    bad 1 'a.{n}*2 = *b' 'nothing between them'
    bad 1 'a.{n}1 = b' 'a digit behind a placeholder'
    bad 1 'a.{N} = b' 'is no placeholder'
    bad 1 'a.{n = b' 'is no placeholder'
    bad 1 'a.n} = b' "'}' without '{'"
    bad 1 'a.{n}.{n} = b' 'twice in one name'
    bad 1 'a** = b*' 'two stars'
    bad 1 'a* = b' 'in every name'
    bad 1 'a.{part} = b' 'in every name'
    bad 1 'a + b = c + d' 'joined on both sides'
    bad 1 'a] = b' "']' without '['"
    bad 1 'a[h] = b' "no count is called 'h'"
    bad 2 'count h = n\na[h] = b' 'not joined'
    bad 2 'count h = n\na[h] + c = b' 'a share is missing'
    bad 1 'a.{n} = b + c' 'a stack cannot be split'
    bad 1 'count' 'new name'
    bad 1 'count h' "'=' is missing"
    bad 1 'count h =' 'a metadata key is missing'
    bad 1 'count h = (g)' "no count is called 'g'"
    bad 2 'count h = n\ncount h = m' 'new name'
    bad 1 '[gguf' 'is no section'
    bad 1 'architecture' 'a name is missing'
    bad 2 'about x\nabout y\n' 'said twice'
    bad 1 'a\001 = b' 'a control character'
    bad 1 'a = b\000 : transpose' 'a control character'
    bad 1 'a\xff = b' 'no UTF-8'
    bad 1 "$(printf '%05000d' 1) = b" 'longer than'
    : > bad.map
    refuses "bad.map: has no rules" tensor-map --map ./bad.map a.tsr --json
    head -c 2000000 /dev/zero > bad.map
    refuses "bad.map: a map of more than" tensor-map --map ./bad.map a.tsr --json

}

@test "every map of the suite is read, and is installed" {
    make-model a.tsr 'w F32 1 = 1'
    for map in "$srcdir"/lib/map/maps/*.map; do
        name=$(basename "$map" .map)
        left=$(sed -n 's/^left //p' "$map")
        tensor-map --map "$name" --to "$left" a.tsr > /dev/null
        grep -q "lib/map/maps/$name.map" "$srcdir/lib/map/local.mk"
    done
}
