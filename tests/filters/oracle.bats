#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The layout oracle: tensor-cos(1) says why two tensors disagree.

load ../helpers

setup_file() {
    make-mislaid "$BATS_FILE_TMPDIR/mislaid"
}

setup() {
    ln -s "$BATS_FILE_TMPDIR/mislaid" mislaid
    right=mislaid/right.safetensors
}

# hypotheses: "NAME HYPOTHESIS COSINE" of each record of the last run that has one; to nine digits it may be 1.
hypotheses() {
    sed -n 's/.*"name":"\([^"]*\)".*"hypothesis":"\([^"]*\)","hypothesis_cosine":\([^,}]*\).*/\1 \2 \3/p' <<< "$output" |
        sed 's/ 0\.999999999[0-9]*$/ 1/'
}

# remedies: the rules of the last run.
remedies() {
    sed -n 's/.*"remedy":"\([^"]*\)".*/\1/p' <<< "$output"
}

# says_of FILE LINES [OPTION...]: the hypotheses about FILE, against the right model, in files and
# pipes.
says_of() {
    local wrong=mislaid/$1.safetensors want=$2 route
    shift 2
    for route in "$right $wrong" "<(tensor-cat $right) $wrong" "$right <(tensor-cat $wrong)" \
        "<(tensor-cat $right) <(tensor-cat $wrong)"; do
        run --separate-stderr -0 bash -c "tensor-cos --json $* $route"
        if [ "$(hypotheses)" != "$want" ]; then
            printf 'tensor-cos %s: %s was expected, this came:\n' "$route" "$want"
            hypotheses
            return 1
        fi
    done
}

# is_cured FILE: with the remedies, every tensor of FILE is that of the right model.
is_cured() {
    run -0 tensor-cos --json "$right" "mislaid/$1.safetensors"
    remedies > fix.map
    run -0 pipeline "tensor-map --map ./fix.map --to right mislaid/$1.safetensors | tensor-cos --json --oracle never $right -"
    [ "$(grep -c '"status":"ok".*"max_diff":0,' <<< "$output")" -eq "${#lines[@]}" ]
}

@test "rows of heads that were put in another order, or were not" {
    says_of pairs 'layers.1.q unrope(4) 1
layers.1.k unrope(2) 1'
    is_cured pairs
    says_of halves 'layers.1.q rope(4) 1
layers.1.k rope(2) 1'
    is_cured halves
}

@test "a pair is asked about below what its types explain: 0.9, 0.8 below 2.7 bits, 0.7 below 2" {
    # of n equal heads two are exchanged: the cosine is about 1 - 2 / n
    asked() {
        local heads=$1 wanted=$2 type
        tensor-fault --fault swap-heads --heads "$heads" w.tsr > s.tsr
        for type in F32 Q4_K Q3_K Q2_K TQ1_0; do
            tensor-cos --json <(tensor-quant --to $type w.tsr) <(tensor-quant --to $type s.tsr) | grep -q '"hypothesis":"order(' && echo $type
        done | tr '\n' ' ' > asked
        [ "$(< asked)" = "$wanted" ]
    }
    tensor-rand --tensor layers.0.q.weight=64x256 --seed 3 > w.tsr
    asked 32 ''
    asked 16 'F32 Q4_K Q3_K '
    asked 8 'F32 Q4_K Q3_K Q2_K '
    asked 4 'F32 Q4_K Q3_K Q2_K TQ1_0 '
}

@test "a transposed matrix, and one whose shape is wrong" {
    says_of turned 'layers.1.down transpose 1'
    is_cured turned
    says_of turned-inside 'layers.1.wide transpose 1'
    is_cured turned-inside
    says_of label 'layers.1.wide label 1'
    says_of turned-shape 'layers.1.wide transpose 1'
    says_of turned-shape '' --transpose always --match '*wide'
    run -0 tensor-cos --json "$right" mislaid/label.safetensors
    says '"status":"layout"'
    # a mismatch where that was asked for, whatever explains it
    run -0 tensor-cos --json --transpose never "$right" mislaid/label.safetensors
    says '"status":"shape_mismatch"' '"remedy":"layers.1.wide = layers.1.wide : reshape(20,48)"'
    says_of turned-shape 'layers.1.wide transpose 1' --transpose never
    says_of label 'layers.1.wide label 1' --transpose always --match '*wide'
}

@test "fused tensors whose parts stand in another order" {
    says_of groups 'layers.1.qkv qkv(0,1,4,5,2,6,3,7) 1'
    is_cured groups
    says_of exchanged-halves 'layers.1.gate_up halves(1,0) 1'
    is_cured exchanged-halves
    says_of alternating 'layers.1.gate_up deinterleave 1'
    is_cured alternating
}

@test "the experts of a stack in another order" {
    # 0 3 1 2 stand there: the second one is wanted from the third place, and so on
    says_of experts 'layers.1.experts experts(0,2,3,1) 1'
    is_cured experts
}

@test "sign, scale, and one too many" {
    says_of sign 'layers.1.q sign 1'
    is_cured sign
    says_of scale 'layers.1.q scale(0.125) 1'
    is_cured scale
    says_of plus-one 'norm add(-1) 1'
    is_cured plus-one
}

@test "bytes that are of another type, or the other way round" {
    says_of half 'layers.1.q type(F16) 1'
    is_cured half
    says_of brain 'layers.1.q type(BF16) 1'
    is_cured brain
    says_of swapped 'layers.1.q byteswap 1'
    is_cured swapped
    says_of swapped32 'layers.1.q byteswap 1'
    is_cured swapped32
    run -0 tensor-cos --json mislaid/half.safetensors "$right"
    [ "$(hypotheses)" = "layers.1.q a:type(F16) 1" ]
    [ -z "$(remedies)" ]
}

@test "columns, and elements of blocks, in another order" {
    # 2 0 3 1 stand there: the first ones are wanted from the second place, and so on
    says_of columns 'layers.1.down columns(1,3,0,2) 1'
    is_cured columns
    says_of nibbles 'layers.1.q nibbles(8,9,10,11,12,13,14,15,0,1,2,3,4,5,6,7) 1
layers.1.wide nibbles(0,2,4,6,8,10,12,14,1,3,5,7,9,11,13,15) 1'
    is_cured nibbles
    run -0 tensor-cos --json "$right" mislaid/nibbles.safetensors
    [ "$(grep -c '"status":"layout"' <<< "$output")" -eq 2 ]
}

@test "the nibbles of stored blocks, the other way round" {
    tensor-rand --tensor w=64x256 --seed 2 | tensor-quant --to Q4_0 > a.tsr
    python3 - a.tsr > b.tsr << 'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
first = data.index(b"\xc6") + 5 # bin 32: a byte, and four of its length
assert int.from_bytes(data[first - 4:first], "big") == 64 * 256 // 32 * 18
for at in range(64 * 256 // 32 * 18):
    if at % 18 >= 2:
        data[first + at] = data[first + at] >> 4 | data[first + at] << 4 & 255
sys.stdout.buffer.write(data)
END
    run -0 tensor-cos --json a.tsr b.tsr
    says '"status":"layout"' '"hypothesis":"nibbles(16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,...)"'
    remedies > fix.map
    run -0 pipeline "tensor-map --map ./fix.map --to right b.tsr | tensor-cos <(tensor-dequant a.tsr) - | verdict --profile exact"
}

@test "rows and columns with a factor each: no rule undoes it, and the status stays" {
    says_of row-scale 'layers.1.q row-scale(0.3333..1) 1'
    says_of column-scale 'layers.1.q column-scale(0.2..1) 1'
    run -0 tensor-cos --json "$right" mislaid/column-scale.safetensors
    [ -z "$(remedies)" ]
    run -1 grep layout <<< "$output"
}

@test "a difference of low rank, and its rank, also where it is small" {
    says_of adapter 'layers.1.q low-rank(3) 1'
    run -0 tensor-cos --json "$right" mislaid/small-adapter.safetensors
    [ "$(hypotheses)" = 'layers.1.q low-rank(3) 1
layers.2.q low-rank(5) 1' ]
    run -1 verdict <(tensor-cos "$right" mislaid/small-adapter.safetensors)
    says 'layers.1.q' 'hypothesis: low-rank(3)'
    # with a cache, too, which knows the pair by then
    for _ in 1 2; do
        tensor-cos --json --cache cache "$right" mislaid/small-adapter.safetensors > cached
        [ "$(grep -c '"hypothesis":"low-rank(' cached)" -eq 2 ]
    done
    tensor-cos --json --oracle never --cache cache "$right" mislaid/small-adapter.safetensors > never
    run -1 grep hypothesis never
    # of a pipe the first tile decides, and it agrees
    run -0 pipeline "tensor-cat $right | tensor-cos --json - mislaid/small-adapter.safetensors"
    [ -z "$(hypotheses)" ]
}

@test "small factors of weights that are nearly alike" {
    run -0 tensor-cos --json "$right" mislaid/small-scales.safetensors
    [ "$(sed 's/ [^ ]*$//' <<< "$(hypotheses)")" = 'layers.1.q row-scale(0.9524..1)
layers.1.k column-scale(0.9524..1)
layers.2.q scale(0.952381)' ]
    # rounding is no change, and has no explanation
    run -0 pipeline "tensor-quant --to BF16 --all $right | tensor-save -f rounded.safetensors && tensor-cos --json $right rounded.safetensors"
    [ -z "$(hypotheses)" ]
}

@test "one row too late" {
    says_of row-late 'layers.1.q shift(1 row) 1'
    [ -z "$(remedies)" ]
}

@test "two tensors in each other's place" {
    local want='layers.1.q exchange(layers.2.q) 1
layers.2.q exchange(layers.1.q) 1' wrong=mislaid/exchanged.safetensors
    run -0 tensor-cos --json "$right" "$wrong"
    [ "$(hypotheses)" = "$want" ]
    is_cured exchanged
    run -0 pipeline "tensor-cat $right | tensor-cos --json - $wrong"
    [ "$(hypotheses)" = "$want" ]
    run -0 pipeline "tensor-cat $wrong | tensor-cos --json $right -"
    [ "$(hypotheses)" = "$want" ]
}

@test "other weights, constants and NaN have no explanation" {
    says_of random ''
    says_of constant ''
    run -0 tensor-cos --json "$right" mislaid/random.safetensors
    [ "$(grep -c '"cosine_similarity":-\?0\.0' <<< "$output")" -eq 2 ]
}

@test "tiny tensors, none at all, and scalars" {
    make-model a.tsr 'one F32 1 = 1' 'none F32 0x3 : ' 'scalar F32 - = 2' 'few F32 3x5 = 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6' -- \
        b.tsr 'one F32 1 = -1' 'none F32 3x0 : ' 'scalar F32 - = -2' 'few F32 3x5 = -1 -2 -3 -4 -5 -6 -7 -8 -9 -1 -2 -3 -4 -5 -6'
    run -0 tensor-cos --json a.tsr b.tsr
    [ -z "$(hypotheses)" ]
    run -0 pipeline "cat b.tsr | tensor-cos --json a.tsr -"
    [ -z "$(hypotheses)" ]
}

@test "channels of convolutions, and 512 experts, that lie elsewhere; the remedy brings them back" {
    python3 - "$srcdir/tests/tools" << 'END'
import random, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
random.seed(2)
O, I, H, W = 8, 16, 3, 5
a = [random.gauss(0, 1) for _ in range(O * I * H * W)]
at = lambda o, i, h, w: a[((o * I + i) * H + h) * W + w]
mlx = [at(o, i, h, w) for o in range(O) for h in range(H) for w in range(W) for i in range(I)]
keras = [at(o, i, h, w) for h in range(H) for w in range(W) for i in range(I) for o in range(O)]
order = list(range(512))
random.shuffle(order)
e = [[random.gauss(0, 1) for _ in range(32)] for _ in order]
mixed = [e[n] for n in order]
def save(name, conv, shape, experts):
    open(name, "wb").write(formats.safetensors([
        formats.Tensor("conv", "F32", shape, formats.values("F32", conv)),
        formats.Tensor("experts", "F32", [512, 4, 8], formats.values("F32", [x for row in experts for x in row]))]))
save("own.safetensors", a, [O, I, H, W], e)
save("mlx.safetensors", mlx, [O, H, W, I], mixed)
save("keras.safetensors", keras, [H, W, I, O], mixed)
END
    for other in mlx keras; do
        for pair in "own.safetensors $other.safetensors" "$other.safetensors own.safetensors"; do
            # shellcheck disable=SC2086
            tensor-cos --json $pair > results
            [ "$(grep -c '"status":"layout".*"hypothesis":"permute(\|"status":"layout".*"hypothesis":"experts(' results)" -eq 2 ]
            sed -n 's/.*"remedy":"\([^"]*\)".*/\1/p' results > fix.map
            run -0 pipeline "tensor-map --map ./fix.map --to right ${pair#* } | tensor-cos ${pair% *} - | verdict --profile exact"
            says " 2 passed"
        done
    done
}

@test "another layout is a status of its own, which is excused alone, and the reports name it" {
    tensor-cos "$right" mislaid/pairs.safetensors > results.tsr
    run -1 verdict --report markdown=v.md,html=v.html,json=v.json,junit=v.xml results.tsr
    says 'layers.1.q  (layout; hypothesis: unrope(4))'
    for report in v.md v.html v.json v.xml; do
        grep -q 'hypothesis: unrope(4)' $report
    done
    grep -q '"remedy":"layers.1.q = layers.1.q : unrope(4)"' v.json
    run -0 tensor-cos --table "$right" mislaid/pairs.safetensors
    [[ ${lines[8]} =~ ' layers.1.q  (hypothesis: unrope(4))'$ && ${lines[7]} =~ ' layers.0.wide'$ ]]
    [[ ${lines[0]} =~ ' name'$ ]]
    run -0 tensor-cos --tsv "$right" mislaid/pairs.safetensors
    [[ ${lines[0]} == *'	hypothesis	hypothesis_cosine	remedy	'* ]]
    [[ ${lines[8]} == *'	unrope(4)	1	layers.1.q = layers.1.q : unrope(4)	'* ]]
    run -0 tensor-cos --json --oracle never "$right" mislaid/pairs.safetensors
    [ -z "$(hypotheses)" ]
    sed 's/,"hypothesis":.*}$/}/; s/"layout"/"ok"/' <(tensor-cos --json "$right" mislaid/pairs.safetensors) | diff <(echo "$output") -
    refuses "neither auto nor never" tensor-cos --oracle perhaps "$right" "$right" --json
}

@test "the same hypotheses for any number of threads" {
    for jobs in 1 2 5; do
        tensor-cos --json -j $jobs "$right" <(tensor-cat mislaid/exchanged.safetensors) > "threads-$jobs"
        tensor-cos --json -j $jobs "$right" mislaid/groups.safetensors >> "threads-$jobs"
    done
    diff threads-1 threads-2
    diff threads-1 threads-5
}

@test "what explains a pair is looked for again, whatever the cache knows" {
    tensor-cos --json "$right" mislaid/exchanged.safetensors > want
    tensor-cos --json --oracle never "$right" mislaid/exchanged.safetensors > plain
    for _ in 1 2; do
        tensor-cos --json --oracle never --cache cache "$right" mislaid/exchanged.safetensors | diff plain -
        tensor-cos --json --cache cache "$right" mislaid/exchanged.safetensors | diff want -
    done
}

@test "names that met by a map" {
    make-families families
    echo 'blk.1.attn_v.weight = blk.1.attn_v.weight : scale(-1)' > m.map
    tensor-map --map ./m.map --to right families/llama.gguf > b.tsr
    run -0 pipeline "tensor-cos --json families/llama b.tsr"
    [ "$(hypotheses)" = "model.layers.1.self_attn.v_proj.weight sign 1" ]
    [ "$(remedies)" = "model.layers.1.self_attn.v_proj.weight = model.layers.1.self_attn.v_proj.weight : scale(-1)" ]
}

# bats test_tags=sweep
@test "quantized and transposed, beyond one block: the cosine is that of the cure" {
    tensor-rand --tensor w=1536x2048 --seed 3 > a.tsr
    # the right shape, and the data of the transpose; and the other way round
    printf 'w = w : transpose, reshape(1536,2048)\n' > transpose.map
    printf 'w = w : reshape(2048,1536), transpose\n' > label.map
    for what in transpose label; do
        tensor-map --map ./$what.map --to right a.tsr | tensor-quant --to Q4_K > b.tsr
        run -0 tensor-cos --json a.tsr b.tsr
        says "\"hypothesis\":\"$what\","
        remedies > fix.map
        tensor-map --map ./fix.map --to right b.tsr > cured.tsr
        python3 -c '
import json, sys
found, cured = json.loads(sys.argv[1]), json.loads(sys.argv[2])
assert abs(found["hypothesis_cosine"] - cured["cosine_similarity"]) < 1e-9, (found, cured)
assert found["cosine_similarity"] < 0.1 and 0.99 < cured["cosine_similarity"] < 0.9999, (found, cured)' \
            "$output" "$(tensor-cos --json --oracle never a.tsr cured.tsr)"
    done
}

@test "large tensors through a pipe, whose first tile agrees" {
    for type in F32 F64 BF16; do
        tensor-rand --type $type --tensor w=1x900000 --seed 4 > a.tsr
        python3 - a.tsr > b.tsr <<'EOF'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-1000000:-200] = data[-1000200:-400] # numbers of the last megabyte move
sys.stdout.buffer.write(data)
EOF
        tensor-cos --json --oracle never a.tsr b.tsr > want
        run -1 grep '"cosine_similarity":0.9' want
        tensor-cat b.tsr | tensor-cos --json a.tsr - | diff want -
        tensor-cat a.tsr | tensor-cos --json - b.tsr | diff want -
        tensor-cos --json <(cat a.tsr) <(cat b.tsr) | diff want -
    done
}

@test "large tensors through a pipe, whose first tile disagrees" {
    tensor-rand --tensor w=512x1024 --seed 4 > a.tsr
    echo 'w = w : rope(8), scale(0.5)' > m.map
    tensor-map --map ./m.map --to right a.tsr > s.tsr
    echo 'w = w : rope(8)' > m.map
    tensor-map --map ./m.map --to right a.tsr > b.tsr
    tensor-cos --json a.tsr b.tsr > want
    grep -q '"hypothesis":"unrope(8)"' want
    tensor-cat b.tsr | tensor-cos --json a.tsr - | diff want -
    tensor-cat a.tsr | tensor-cos --json - b.tsr | diff want -
    tensor-cos --json <(cat a.tsr) <(cat b.tsr) | diff want -
    tensor-cos --json -j 1 <(cat a.tsr) <(cat b.tsr) | diff want -
    # one thing at a time is looked for
    run -0 tensor-cos --json a.tsr s.tsr
    [ -z "$(hypotheses)" ]
}
