#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Profiles and the language of rules: tensor-rules(5).

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --tensor w=64x1024 --tensor v=8x256 --deviation 0.02 > w.tsr
    # numbers of a model that was trained as -d, 0 and d, and as -d and d
    make-model ternary.tsr "w F32 8x256 = $(awk 'BEGIN { for (srand(1); i < 2048; i++) print int(rand() * 3) - 1 }' | tr '\n' ' ')" \
        -- binary.tsr "w F32 8x256 = $(awk 'BEGIN { for (srand(2); i < 2048; i++) print int(rand() * 2) - 0.5 }' | tr '\n' ' ')"
    make-model a.tsr 'w F32 2 = 1 2' 'b F32 2 = 3 4' 'half F16 2 = 1 2' 'i I64 2 = 7 8' 'z F32 2 = 0 0'
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# judge A B [OPTION]...: verdict on two files.
judge() {
    local a=$1 b=$2
    shift 2
    tensor-cos "$a" "$b" > "$BATS_TEST_TMPDIR/judged.tsr"
    verdict "$@" "$BATS_TEST_TMPDIR/judged.tsr"
}

# profile LINE...: a profile of one's own.
profile() {
    printf '%s\n' "$@" > "$BATS_TEST_TMPDIR/my.profile"
}

# ---- auto ----

# model_for TYPE: the numbers that the type is meant for.
model_for() {
    case $1 in
    TQ1_0 | TQ2_0 | Q2_0) echo ternary.tsr ;;
    Q1_0) echo binary.tsr ;;
    *) echo w.tsr ;;
    esac
}

@test "auto: each type passes, and fails with four rows in the wrong place" {
    for type in F64 F32 F16 BF16 Q8_0 Q8_1 Q8_K Q6_K Q5_K Q5_0 Q5_1 Q4_K Q4_0 Q4_1 APR_Q4 MXFP4 Q3_K Q2_K TQ1_0 TQ2_0 Q2_0 Q1_0; do
        model=$(model_for $type)
        tensor-quant --to $type "$model" > q.tsr
        run -0 judge "$model" q.tsr
        says "verdict: pass"
        run -0 judge q.tsr "$model"
        run -0 judge q.tsr <(tensor-dequant q.tsr)
        tensor-fault --fault swap-rows --match w "$model" | tensor-fault --seed 5 --fault swap-rows --match w |
            tensor-quant --to $type > s.tsr
        run -1 judge "$model" s.tsr
        says "1 failed" "not "
    done
}

@test "auto: a tensor that is too large as a whole fails, though its cosine is good" {
    tensor-rand --tensor w=64x1024 --tensor v=8x256 --deviation 0.024 > large.tsr
    for type in F32 F16 BF16 Q8_0 Q6_K Q5_K Q4_K Q4_0 APR_Q4 MXFP4 Q3_K Q2_K; do
        tensor-quant --to $type large.tsr > q.tsr
        run -1 judge w.tsr q.tsr
        says "not norm_ratio"
        [[ $output != *"not cosine_similarity"* ]]
    done
}

@test "auto: ordinary weights do not pass in a ternary or binary type" {
    for type in TQ1_0 TQ2_0 Q2_0 Q1_0; do
        tensor-quant --to $type w.tsr > q.tsr
        run -1 judge w.tsr q.tsr
    done
}

@test "auto: the coarser type of a pair sets the floor" {
    tensor-quant --to Q4_K w.tsr > q4.tsr
    tensor-quant --to Q8_0 w.tsr > q8.tsr
    tensor-dequant q4.tsr > d4.tsr
    run -0 judge q4.tsr q8.tsr
    says "0.987 if coarser == Q4_K" "weights: 0 identical, 0 widened, 0 rounded, 2 requantized, 0 changed"
    run -0 judge q8.tsr q4.tsr
    # the noise of Q4_K is too much for Q8_0
    run -1 judge d4.tsr q8.tsr
    says "not step_noise <= 1.2:"
    tensor-quant --to F16 w.tsr > f16.tsr
    tensor-quant --to BF16 w.tsr > bf16.tsr
    run -0 judge f16.tsr bf16.tsr
    says "0.99999 if coarser == BF16"
    # float32 that has gone through BF16 says F32 and is not
    tensor-dequant bf16.tsr > d16.tsr
    run -1 judge w.tsr d16.tsr
}

@test "auto has a floor for every type that can be compared" {
    count=0
    while read -r type; do
        grep -q "^\(cosine_similarity >=\|max_diff <=\).* if coarser == \(.*,\)\?$type\(,\|\$\)" "$srcdir/lib/judge/profiles/auto.profile" || {
            echo "there is no floor for $type"
            return 1
        }
        count=$((count + 1))
    done < <(sed -n 's/^ *X(\([A-Z0-9_]*\), .*/\1/p' "$srcdir/lib/tensorutils/dtype.h" | grep -v -e '^ID$' -e '^C64$')
    [ $count -ge 45 ]
}

@test "auto: integers are equal" {
    make-model i.tsr 'i I64 3 = 1 2 3' 'u U8 2 = 1 2' 't BOOL 2 = 0 1' -- j.tsr 'i I64 3 = 1 2 3' 'u U8 2 = 1 2' 't BOOL 2 = 0 1' \
        -- k.tsr 'i I64 3 = 1000000000 1000000001 1000000002' 'u U8 2 = 1 2' 't BOOL 2 = 0 1' \
        -- l.tsr 'i I64 3 = 1000000000 1000000001 1000000003' 'u U8 2 = 1 2' 't BOOL 2 = 0 1'
    run -0 judge i.tsr j.tsr
    run -0 judge k.tsr k.tsr
    run -1 judge k.tsr l.tsr
    says "1 broke a rule" "not max_diff <= 0: 1"
}

@test "auto: no NaN, not even where both have one" {
    make-model n.tsr 'w F32 3 = nan 1 2'
    run -1 judge n.tsr n.tsr
    says "nonfinite: 1 (0 allowed)"
    run -1 judge n.tsr n.tsr --allow nonfinite
    says "not nan_a == 0: 1" "not nan_b == 0: 1"
    # infinities of one sign at the same places are equal, others are not
    make-model inf.tsr 'w F32 3 = inf 1 2' -- minus.tsr 'w F32 3 = -inf 1 2' -- more.tsr 'w F32 3 = inf inf 2'
    run -0 judge inf.tsr inf.tsr
    for other in minus more; do
        run -1 judge inf.tsr $other.tsr
        run -0 judge inf.tsr $other.tsr --allow nonfinite
    done
}

@test "auto: zeros are equal to zeros, and to nothing else" {
    make-model z.tsr 'w F32 2 = 0 0' -- y.tsr 'w F32 2 = 0 1e-30'
    run -0 judge z.tsr z.tsr
    says "1 passed"
    run -1 judge z.tsr y.tsr
    run -1 judge y.tsr z.tsr
}

# record FIELD:VALUE...: results of one compare record with these fields and those of a Q4_K pair.
record() {
    python3 - "$srcdir/tests/tools" "$@" << 'END' > "$BATS_TEST_TMPDIR/record.tsr"
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
r = {"kind": "compare", "name": "w", "status": "ok", "dtype_a": "F32", "dtype_b": "Q4_K", "shape_a": [4, 256],
     "shape_b": [4, 256], "element_count": 1024, "cosine_similarity": 0.9975, "max_diff": 0.1, "norm_a": 1.0,
     "norm_b": 1.0, "identical_count": 3, "nan_a": 0, "nan_b": 0}
for pair in sys.argv[2:]:
    key, _, value = pair.partition(":")
    try:
        r[key] = int(value) if value.isdigit() else float(value)
    except ValueError:
        r[key] = value
sys.stdout.buffer.write(formats.stream([], [formats.pack(r)]))
END
}

@test "auto: noise and worst row are judged where a record has them" {
    record
    run -0 verdict "$BATS_TEST_TMPDIR/record.tsr"
    [[ $output != *step_noise* ]]
    for good in worst_row_cosine:0.99 worst_row_gain:0.93 worst_row_gain:1.07 norm_b:0.99 norm_b:1.01 scale_bias:0.25 scale_bias:-3 worst_column_step_cosine:0.4 worst_column_step_gain:1.35 worst_row_far:15 \
        worst_row_beyond_step:1000 relation:rounded relation:requantized relation:widened relation:identical; do
        record $good
        run -0 verdict "$BATS_TEST_TMPDIR/record.tsr"
    done
    for bad in step_noise:1.26 scale_bias:0.26 scale_bias:-3.01 worst_row_step_noise:2.6 worst_column_step_noise:5.1 worst_column_step_cosine:0.39 worst_column_step_gain:1.36 worst_row_far:16 relation:changed \
        worst_row_gain:0.92 worst_row_gain:1.08 worst_row_cosine:0.9 norm_b:0.96 norm_b:1.04 cosine_similarity:0.9869 nan_a:1 nan_b:1; do
        record $bad
        run -1 verdict "$BATS_TEST_TMPDIR/record.tsr"
        says "1 broke a rule"
    done
    # a number that is none where there has to be one was not put out by tensor-cos
    for none in step_noise:nan worst_row_step_noise:nan worst_row_cosine:nan cosine_similarity:nan max_diff:inf norm_b:-inf; do
        record $none
        run -2 verdict "$BATS_TEST_TMPDIR/record.tsr"
        says "a record of 'w': ${none%:*} is "
    done
}

@test "auto: columns that are zero, another one, or too large; faint rows that are noise" {
    tensor-rand --tensor c=96x1024 --deviation 0.02 > c.tsr
    tensor-save --force c.safetensors c.tsr
    # column COLUMN HOW FILE: the same with one column changed; or COLUMN faint: faint rows, taken from so many behind
    column() {
        python3 - c.safetensors "$@" << 'END'
import struct, sys
path, column, how, changed = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
data = bytearray(open(path, "rb").read())
at = len(data) - 96 * 1024 * 4
for row in range(96):
    begin = at + 4096 * row
    numbers = list(struct.unpack_from("<1024f", data, begin))
    if how == "swap":
        numbers[column], numbers[column + 1] = numbers[column + 1], numbers[column]
    elif how != "faint":
        numbers[column] *= float(how)
    elif row % 4 == 0:  # this row, or the one so many behind
        numbers = [1e-2 * v for v in struct.unpack_from("<1024f", data, begin + 4096 * column)]
    struct.pack_into("<1024f", data, begin, *numbers)
open(changed, "wb").write(data)
END
    }
    for how in 0 swap -1 1.5; do
        column 77 "$how" "$how.safetensors"
    done
    for type in Q8_0 Q6_K Q5_K Q5_0 Q4_K Q4_0 Q4_1 IQ4_NL IQ4_XS MXFP4 NVFP4 Q3_K Q2_K; do
        for how in 0 swap -1; do
            tensor-quant --to $type ./$how.safetensors > q.tsr
            run -1 judge c.safetensors q.tsr
            says "not worst_column_step_"
        done
    done
    for type in Q8_0 Q6_K Q5_K Q4_K Q4_0 IQ4_XS MXFP4 NVFP4 Q3_K Q2_K; do
        tensor-quant --to $type 1.5.safetensors > q.tsr
        run -1 judge c.safetensors q.tsr
    done
    # every fourth row is faint in one and, as faint, another row in the other
    column 0 faint faint.safetensors
    column 1 faint changed.safetensors
    for type in Q8_0 Q6_K Q4_K Q4_0 IQ4_XS MXFP4 Q2_K; do
        tensor-quant --to $type faint.safetensors > q.tsr
        run -0 judge faint.safetensors q.tsr
        tensor-quant --to $type changed.safetensors > q.tsr
        run -1 judge faint.safetensors q.tsr
        says "not worst_row_step_noise"
    done
}

@test "auto: a scale that is off by a percent or four shows in the slope, whatever the band of norms" {
    tensor-rand --tensor w=256x1024 --deviation 0.02 > m.tsr
    for case in 'Q8_0 1.0035' 'Q8_0 0.9965' 'Q6_K 1.003' 'Q6_K 0.996' 'Q5_K 1.006' 'Q5_K 0.99' 'Q4_K 1.018' 'Q4_K 0.98' 'Q4_0 1.015' \
        'Q4_1 1.03' 'IQ4_XS 1.018' 'IQ4_NL 0.98' 'MXFP4 1.04' 'NVFP4 1.03' 'Q3_K 1.03' 'Q3_K 0.95' 'Q2_K 1.12'; do
        read -r type factor <<< "$case"
        tensor-quant --to "$type" m.tsr > q.tsr
        run -0 judge m.tsr q.tsr
        echo "w = w : scale($factor)" > scale.map
        tensor-map --map ./scale.map --to right m.tsr | tensor-quant --to "$type" > q.tsr
        run -1 judge m.tsr q.tsr
        says "not scale_bias"
        # and the other way round: the side that was quantized is the coarser one
        run -1 judge q.tsr m.tsr
        says "not scale_bias"
    done
    # scales alone that are off, between two files that have the same codes
    echo 'w = w : scale(1.0035)' > scale.map
    tensor-quant --to Q8_0 m.tsr > q.tsr
    tensor-map --map ./scale.map --to right q.tsr | tensor-quant --to Q8_0 | tensor-cos q.tsr - > results.tsr
    run -1 verdict results.tsr
    says "not scale_bias <= 0.25"
    # numbers that are all alike are rounded alike: that is no scale
    make-model alike.tsr "w F32 8x256 = $(printf '0.034375 %.0s' {1..2048})"
    for type in Q8_0 Q6_K Q5_K Q4_K Q4_1 IQ4_NL NVFP4 Q3_K Q2_K; do
        tensor-quant --to $type alike.tsr > q.tsr
        run -0 judge alike.tsr q.tsr
    done
}

@test "auto: a block whose scale is gone shows in one number, in sparse weights, too" {
    # two numbers of 32 that are not zero
    make-model sparse.tsr "w F32 16x256 = $(awk 'BEGIN { for (srand(9); i < 4096; i++) printf "%s ", i % 16 ? 0 : sprintf("%.4f", 0.02 + rand() / 10) }')"
    for type in Q5_0 Q4_0 Q4_1 IQ4_NL Q6_K Q4_K IQ4_XS; do
        tensor-quant --to $type sparse.tsr > q.tsr
        run -0 judge sparse.tsr q.tsr
        for seed in 0 1; do
            tensor-fault --fault zero-block --seed $seed q.tsr > damaged.tsr
            run -1 judge sparse.tsr damaged.tsr
            says "not most_steps <= 128"
        done
    done
}

@test "auto: an epsilon in a half is its rounding; one that is another, or activations, are not" {
    for eps in 1e-5 1e-6; do
        make-model eps.tsr "eps F32 1 = $eps"
        run -0 judge eps.tsr <(tensor-quant --to F16 eps.tsr)
        run -0 judge <(tensor-quant --to F16 eps.tsr) eps.tsr
    done
    make-model eps.tsr 'eps F32 1 = 1e-5' -- other.tsr 'eps F16 1 = 1.0073e-5' -- lost.tsr 'eps F32 1 = 4e-8'
    run -1 judge eps.tsr other.tsr
    says "not relation"
    # half as large again is no epsilon any more, though no half is nearer
    run -1 judge lost.tsr <(tensor-quant --to F16 lost.tsr)
    says "not norm_ratio"
    record dtype_b:F16 cosine_similarity:1 norm_b:1.002
    run -1 verdict "$BATS_TEST_TMPDIR/record.tsr"
    says "not norm_ratio <= 1.001"
    record dtype_b:F16 cosine_similarity:1 norm_b:1.002 relation:rounded
    run -0 verdict "$BATS_TEST_TMPDIR/record.tsr"
    record dtype_b:Q8_0 cosine_similarity:1 norm_b:1.005 relation:rounded
    run -1 verdict "$BATS_TEST_TMPDIR/record.tsr"
    says "not norm_ratio <= 1.004"
    run -2 judge eps.tsr eps.tsr --rule 'max_diff <= 0 if unproven == F61'
    says "names no element type"
}

@test "auto: a fine-tune of three in a thousand shows in Q8_0, an earlier rounding to BF16 is none" {
    tensor-rand --tensor w=64x256 --deviation 0.02 > base.tsr
    tensor-save --force base.safetensors base.tsr
    # what a fine-tune of rank one adds
    python3 - << 'END'
import random, struct
random.seed(7)
data = bytearray(open("base.safetensors", "rb").read())
at = len(data) - 64 * 256 * 4
rows, columns = ([random.choice((-1, 1)) for _ in range(n)] for n in (64, 256))
for i in range(64 * 256):
    (x,) = struct.unpack_from("<f", data, at + 4 * i)
    struct.pack_into("<f", data, at + 4 * i, x + 0.02 * 0.003 * rows[i // 256] * columns[i % 256])
open("tuned.safetensors", "wb").write(data)
END
    tensor-quant --to Q8_0 base.tsr > q.tsr
    tensor-dequant --to BF16 base.tsr | tensor-quant --to Q8_0 > twice.tsr
    tensor-quant --to Q8_0 tuned.safetensors > other.tsr
    run -0 judge base.tsr q.tsr
    run -0 judge base.tsr twice.tsr
    run -0 judge q.tsr twice.tsr
    run -1 judge base.tsr other.tsr
    says "not step_noise <= 1.2"
    run -1 judge q.tsr other.tsr
    says "not relation == identical,widened,rounded,requantized" "0 requantized, 1 changed"
}

# damage TYPE HOW: c.gguf, of 64x1024 numbers of the type, to d.gguf: scales of some blocks are larger, or bytes zero.
damage() {
    python3 - "$@" << 'END'
import struct, sys
# elements and bytes of a block, and where its scales are
TYPES = {"Q4_0": (32, 18, [0]), "Q4_1": (32, 20, [0, 2]), "Q5_0": (32, 22, [0]), "Q5_1": (32, 24, [0, 2]), "Q8_0": (32, 34, [0]),
         "Q2_K": (256, 84, [80, 82]), "Q3_K": (256, 110, [108]), "Q4_K": (256, 144, [0, 2]), "Q5_K": (256, 176, [0, 2]),
         "Q6_K": (256, 210, [208]), "IQ4_NL": (32, 18, [0]), "IQ4_XS": (256, 136, [0]), "TQ1_0": (256, 54, [52]),
         "TQ2_0": (256, 66, [64]), "MXFP4": (32, 17, "E8M0"), "NVFP4": (64, 36, "E4M3")}
kind, how = sys.argv[1:]
elements, size, scales = TYPES[kind]
data = bytearray(open("c.gguf", "rb").read())
rows, blocks = 64, 1024 // elements
begin = len(data) - rows * blocks * size  # a multiple of 32
at = lambda row, block: begin + (row * blocks + block) * size
def larger(row, block, factor):
    if scales == "E8M0":
        data[at(row, block)] += 1
    elif scales == "E4M3":
        for i in range(4):
            data[at(row, block) + i] += 1 if factor < 1.2 else 3
    else:
        for i in scales:
            (d,) = struct.unpack_from("<e", data, at(row, block) + i)
            struct.pack_into("<e", data, at(row, block) + i, factor * d)
def copied(row, block, other):
    data[at(row, block):at(row, block) + size] = data[at(row, other):at(row, other) + size]
if how == "column":
    [larger(r, 1, 1.3) for r in range(rows)]
elif how == "row":
    [larger(7, b, 1.1) for b in range(blocks)]
elif how == "rows":
    [larger(r, b, 1.1) for r in range(rows // 4) for b in range(blocks)]
elif how == "zero":
    data[at(5, 1):at(5, 2)] = bytes(size)
elif how == "codes":
    copied(5, 1, 0)
open("d.gguf", "wb").write(data)
END
}

@test "auto: in a copy of a quantized file, what a few blocks lost is no other way to quantize them" {
    tensor-rand --tensor w=64x1024 --deviation 0.02 > m.tsr
    tensor-dequant --to F16 m.tsr > half.tsr
    for type in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4; do
        tensor-quant --to $type m.tsr > c.tsr
        tensor-save --force --format gguf c.gguf c.tsr
        run -0 judge c.gguf c.gguf
        for how in row rows zero codes; do
            damage $type $how
            run -1 judge c.gguf d.gguf
            says "1 changed"
        done
        damage $type column
        run -1 judge c.gguf d.gguf
        run -1 judge d.gguf c.gguf
        # the same weights, once rounded before: codes at a tie, and scales, are others
        tensor-quant --to $type half.tsr > d.tsr
        run -0 judge c.gguf d.tsr
    done
}

@test "auto: two of one float type are a copy, a coarser one is the rounding of the other" {
    tensor-rand --tensor w=64x256 --type BF16 > base.tsr
    tensor-dequant base.tsr > wide.tsr
    run -0 judge base.tsr wide.tsr
    says "weights: 0 identical, 1 widened, 0 rounded, 0 requantized, 0 changed"
    run -0 judge base.tsr base.tsr
    says "weights: 1 identical, 0 widened, 0 rounded, 0 requantized, 0 changed"
    run -0 judge w.tsr <(tensor-quant --to BF16 w.tsr)
    says "weights: 0 identical, 0 widened, 2 rounded, 0 requantized, 0 changed"
    # other weights by three in a thousand: a fine-tune
    tensor-quant --to Q8_0 base.tsr | tensor-dequant --to bf16 > tuned.tsr
    run -1 judge base.tsr tuned.tsr
    says "not relation == identical,widened,rounded,requantized" "0 requantized, 1 changed"
    # one that was cut off instead of rounded
    make-model x.tsr 'w F32 4 = 1.003 1.01 -1.02 0.5' -- cut.tsr 'w BF16 4 = 1 1.0078125 -1.015625 0.5' -- rounded.tsr 'w BF16 4 = 1 1.0078125 -1.0234375 0.5'
    run -1 judge x.tsr cut.tsr
    run -0 judge x.tsr rounded.tsr
}

@test "auto judges records of --repeat" {
    run -0 pipeline 'tensor-cos --repeat 1 a.tsr a.tsr | verdict'
    says "rule: differing? == 0" "5 passed"
}

# ---- exact and same-type ----

@test "exact: the numbers are equal, the types need not be" {
    tensor-quant --to F16 w.tsr > f16.tsr
    tensor-dequant f16.tsr > d.tsr
    run -0 judge f16.tsr d.tsr --profile exact
    says "profile: exact" "rule: max_diff <= 0"
    run -1 judge w.tsr f16.tsr --profile exact
    run -0 judge a.tsr a.tsr --profile exact
    make-model inf.tsr 'w F32 2 = inf 1' -- neg.tsr 'w F32 2 = -inf 1' -- nan.tsr 'w F32 2 = nan 1'
    run -0 judge inf.tsr inf.tsr --profile exact
    run -1 judge inf.tsr neg.tsr --profile exact
    run -1 judge nan.tsr nan.tsr --profile exact
}

@test "same-type: nothing is rounded where the type stays" {
    tensor-quant --to Q4_K --match w w.tsr > mixed.tsr
    run -0 judge w.tsr mixed.tsr --profile same-type
    # two quantizations of the same weights, of which one was rounded before
    tensor-quant --to Q8_0 w.tsr > x.tsr
    tensor-quant --to BF16 w.tsr | tensor-quant --to Q8_0 > y.tsr
    run -0 judge x.tsr y.tsr
    run -1 judge x.tsr y.tsr --profile same-type
    says "not identical_share == 1"
    run -0 judge a.tsr a.tsr --profile same-type
}

# ---- Files ----

@test "a profile is a file of rules, allowances and comments" {
    profile '# mine' '' '  w:max_diff <= 0  ' $'\tb:max_diff <= 1\r' 'max_diff <= 0 if coarser == I64,F16' 'z:max_diff == 0' 'allow undefined if max_diff == 0'
    run -0 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
    says "profile: " "rule: w:max_diff <= 0" "rule: max_diff <= 0 if coarser == I64,F16" "5 passed"
    # rules of the command line come after it, --min before it
    run -1 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile" --rule 'w:max_diff > 0'
    says "1 broke a rule"
    run -1 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile" --min 1 --rule 'max_diff > 0'
    says "cosine_similarity:"
}

@test "profiles that include each other many times are given up" {
    for i in 1 2 3; do
        yes "include $((i + 1)).profile" | head -100 > "$BATS_TEST_TMPDIR/$i.profile"
    done
    echo 'max_diff < 1' > "$BATS_TEST_TMPDIR/4.profile"
    run -2 timeout 60 verdict --profile "$BATS_TEST_TMPDIR/1.profile" /dev/null
    says "more than 1000 profiles are included"
}

@test "a profile includes others" {
    profile 'include auto' 'w:max_diff <= 0'
    run -0 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
    mkdir -p sub
    echo 'include below.profile' > sub/above.profile
    echo 'max_diff <= 0' > sub/below.profile
    run -0 judge a.tsr a.tsr --profile sub/above.profile
    says "rule: max_diff <= 0" "5 passed"
    [[ $output != *cosine* ]]
    echo 'include loop.profile' > sub/loop.profile
    refuses "nested too deeply" judge a.tsr a.tsr --profile sub/loop.profile
}

@test "what is wrong in a profile is said with its line" {
    while read -r wrong line; do
        profile 'max_diff <= 0' '# two' "${line#*|}"
        refuses "my.profile: line 3: " judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
        [[ $stderr == *"$wrong"* ]]
    done << 'END'
no max_diff
element max_diff <= 0 if coarser == Q4K
element max_diff <= 0 if dtype_a == F32,F8
more max_diff <= 0 if *:max_diff <= 0
more max_diff <= 0 if rmse? <= 0
more max_diff <= 0 if rmse <= 0 if rmse <= 0
status allow everything
operator allow
operator include
operator allow undefined if max_diff
no include absent.profile
END
}

@test "no profile" {
    refuses "auto, exact, same-type" judge a.tsr a.tsr --profile absent
    refuses "Is a directory" judge a.tsr a.tsr --profile .
    : > "$BATS_TEST_TMPDIR/my.profile"
    refuses "no rule in it" judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
    refuses "no profile" judge a.tsr a.tsr --profile w.tsr
    head -c 2000000 /dev/zero | tr '\0' '\n' > "$BATS_TEST_TMPDIR/my.profile"
    refuses "no profile" judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
}

# ---- Rules about nothing ----

@test "a rule of one's own that is about nothing is trouble" {
    for rule in 'absent*:max_diff <= 0' 'w:max_diff <= 0 if layer_a == 1' 'absent:max_diff? <= 0 if coarser == F32'; do
        profile 'include exact' "$rule"
        case $rule in
        *\?*) run -0 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile" ;;
        *)
            run -2 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
            says "verdict: a rule was about no record" "the rule '$rule' was about no record"
            ;;
        esac
        run judge a.tsr a.tsr --profile exact --rule "$rule"
        [[ $rule == *\?* ]] || [ "$status" -eq 2 ]
    done
    # that no pair has the type a condition asks for is no mistake
    profile 'include exact' 'cosine_similarity >= 0.9 if coarser == Q4_K'
    run -0 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
}

@test "a field that nobody knows is trouble, wherever it is asked for" {
    for rule in 'max_dif <= 0' 'max_dif? <= 0' 'absent:max_dif? <= 0' 'max_diff <= 0 if max_dif == 0' 'rmse? <= 0 if max_dif == 0'; do
        run -2 judge a.tsr a.tsr --profile exact --rule "$rule"
        says "verdict: a rule asks for an unknown field" "no record has the field 'max_dif' that a rule asks for (is it max_diff?)"
        profile 'include exact' "$rule"
        run -2 judge a.tsr a.tsr --profile "$BATS_TEST_TMPDIR/my.profile"
        says "'max_dif'"
    done
    run -2 judge a.tsr a.tsr --min 0.9 --allow 'undefined if max_dif == 0'
    says "'max_dif'"
    run -2 judge a.tsr a.tsr --rule 'cosine >= 0.9'
    says "(is it cosine_similarity?)"
    run -2 judge a.tsr a.tsr --rule 'nothing_like_it? >= 0.9'
    says "'nothing_like_it' that a rule asks for"
    # it is told before a failure is
    run -2 judge w.tsr a.tsr --min 1 --rule 'max_dif? <= 0'
    # known, though these records lack it
    run -0 judge a.tsr a.tsr --profile exact --rule 'trimmed_cosine? >= 0.9'
    # every field of tensor-cos is known, and one that only a record of others has
    while read -r field; do
        run judge a.tsr a.tsr --rule "$field? != surely_not"
        [[ $output != *"unknown field"* ]] || { echo "$field"; false; }
    done < <(tensor-cos --tsv a.tsr a.tsr | head -1 | tr '\t' '\n')
    record speed:3
    run -0 verdict --rule 'speed? < 4' "$BATS_TEST_TMPDIR/record.tsr"
    run -1 verdict --rule 'speed? < 3' "$BATS_TEST_TMPDIR/record.tsr"
}

# ---- The language ----

@test "conditions, words and fields that follow" {
    run -0 judge a.tsr a.tsr --allow undefined --rule 'same_type == 1' --rule 'coarser == F32,F16,I64' --rule 'coarser != Q4_K,Q8_0' \
        --rule 'identical_share == 1' --rule 'norm_ratio == 1' --rule 'max_diff > 0 if coarser == BF16'
    tensor-quant --to Q4_K w.tsr > q.tsr
    run -0 judge w.tsr q.tsr --rule 'same_type == 0' --rule 'coarser == Q4_K' --rule 'identical_share < 0.5'
    run -1 judge w.tsr q.tsr --rule 'coarser == Q8_0,Q6_K'
    run -1 judge w.tsr q.tsr --rule 'coarser != Q8_0,Q4_K'
    run -1 judge w.tsr q.tsr --rule 'max_diff <= 0 if norm_ratio < 2'
    run -2 judge w.tsr q.tsr --rule 'max_diff <= 0 if norm_ratio > 2'
    says "2 not judged"
}

@test "a condition may allow a status" {
    make-model z.tsr 'w F32 2 = 0 0' 'x F32 1 = 1' -- y.tsr 'w F32 2 = 0 1' 'x F32 1 = 1'
    run -0 judge z.tsr z.tsr --min 1 --allow 'undefined if max_diff == 0'
    run -1 judge z.tsr y.tsr --min 1 --allow 'undefined if max_diff == 0'
    run -0 judge z.tsr y.tsr --min 1 --allow 'undefined:w if max_diff == 1'
    run -1 judge z.tsr y.tsr --min 1 --allow 'undefined:v if max_diff == 1'
    refuses "--allow" judge z.tsr y.tsr --min 1 --allow 'undefined if'
}

@test "the profiles that come along are those of the files" {
    for file in "$srcdir"/lib/judge/profiles/*.profile; do
        name=$(basename "$file" .profile)
        for profile in "$name" "$file"; do
            run judge a.tsr a.tsr --json --profile "$profile"
            sed 's/"profile":"[^"]*"//; s/"rules":\[[^]]*\]//' <<< "$status $output" > "$BATS_TEST_TMPDIR/said"
            [ "$profile" = "$file" ] || mv "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/said.name"
        done
        cmp "$BATS_TEST_TMPDIR/said.name" "$BATS_TEST_TMPDIR/said"
        grep -q '"passed":5' "$BATS_TEST_TMPDIR/said"
        grep -q "^.B ${name/-/.*-}$" "$srcdir/man/tensor-rules.5"
    done
}

@test "a profile that others may write to is not taken" {
    tensor-cos a.tsr a.tsr > "$BATS_TEST_TMPDIR/a.tsr"
    cd "$BATS_TEST_TMPDIR"
    mkdir shared
    echo 'max_diff <= 0' > shared/my.profile
    echo 'include shared/my.profile' > own.profile
    run -0 verdict --profile shared/my.profile a.tsr
    chmod o+w shared/my.profile
    refuses 'shared/my.profile: no profile is taken from there: others may write to it' \
        verdict --profile shared/my.profile a.tsr
    refuses 'others may write to it' verdict --profile ./own.profile a.tsr
    chmod o-w shared/my.profile
    chmod o+w shared
    refuses 'others may write to its folder' verdict --profile shared/my.profile a.tsr
    chmod 1777 shared
    run -0 verdict --profile shared/my.profile a.tsr
}
