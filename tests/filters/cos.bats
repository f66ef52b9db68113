#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-cos(1): every field against numbers worked out by hand, every status, any order, any source.
#
# Numbers are compared as text: JSON has the shortest text that reads back as the same double, so a
# field that is right to the last bit is right as text.

load ../helpers

# cos TENSOR_A TENSOR_B: compares two files of one tensor each.
cos() {
    make-model a.safetensors "$1" -- b.safetensors "$2"
    run -0 tensor-cos --json a.safetensors b.safetensors
}

# has KEY VALUE...: fields of the one record.
has() {
    while [ $# -gt 0 ]; do
        if [[ $output != *"\"$1\":$2,"* && $output != *"\"$1\":$2}"* ]]; then
            echo "$1 should be $2 in:"
            echo "$output"
            return 1
        fi
        shift 2
    done
}

# ---- Every field ----

@test "the fields of two vectors, by hand" {
    # a = (3, 4), b = (4, 3): |a| = |b| = 5, dot = 12 + 12 = 24, cos = 24/25
    # a - b = (-1, 1): mean |d| = 1, rmse = 1, nmse = 2/25, sqnr = -10 log10(0.08) = 10.969100130080564
    # relative: 1/4 in both places; the first place of the largest difference is 0
    cos 'w F32 2 = 3 4' 'w F32 2 = 4 3'
    has name '"w"' status '"ok"' shape_a '[2]' shape_b '[2]' dtype_a '"F32"' dtype_b '"F32"' element_count 2 \
        cosine_similarity 0.96 max_diff 1 mean_diff 1 rmse 1 nmse 0.08 sqnr_db 10.969100130080564 max_rel_diff 0.25 \
        identical_count 0 nan_a 0 nan_b 0 nan_both 0 inf_a 0 inf_b 0 norm_a 5 norm_b 5 worst_index 0 worst_a 3 worst_b 4
    # 1 - 24/25; the formula for close vectors is exact here
    has cosine_distance 0.04
}

@test "the largest difference, its place and its numbers" {
    # d = (0, 1, 4, 0.5): max 4 at 2; mean 5.5/4; rmse = sqrt((1 + 16 + 0.25)/4) = sqrt(4.3125)
    # relative: 0, 1/2, 4/8, 0.5/0.5 = 1: the largest is not where the largest difference is
    cos 'w F32 4 = 1 2 8 0.5' 'w F32 4 = 1 1 4 0'
    has max_diff 4 worst_index 2 worst_a 8 worst_b 4 mean_diff 1.375 rmse 2.0766559657295187 max_rel_diff 1 identical_count 1
}

@test "of equal differences the first place counts" {
    cos 'w F32 5 = 0 1 0 1 0' 'w F32 5 = 0 0 0 0 1'
    has max_diff 1 worst_index 1 worst_a 1 worst_b 0
}

@test "the worst rows, and the first difference" {
    # rows of 32 (shorter ones are joined): row 1 is (3, 4, 0...) against (4, 3, 0...): error^2 = 2/25, cos 24/25;
    # row 2 is (1, 0...) against (1.5, 0...): error^2 = 0.25/2.25 = 1/9, cos 1
    local zeros; zeros=$(printf '0 %.0s' {1..30})
    cos "w F32 4x32 = 1 0 $zeros 3 4 $zeros 1 0 $zeros 0 0 $zeros" "w F32 4x32 = 1 0 $zeros 4 3 $zeros 1.5 0 $zeros 0 0 $zeros"
    has first_diff_index 32 row_length 32 worst_row 2 worst_row_error 0.3333333333333333 worst_cosine_row 1 worst_row_cosine 0.96
    # a vector has one row, of which there is no worst
    cos 'w F32 2 = 3 4' 'w F32 2 = 4 3'
    [[ $output != *worst_row* ]]
    has first_diff_index 0
    # equal tensors have none that differs; NaN does not differ from NaN
    cos 'w F32 3 = 1 nan inf' 'w F32 3 = 1 nan inf'
    [[ $output != *first_diff* ]]
    has nan_both 1 inf_both 1
    cos 'w F32 4 = 1 nan inf -inf' 'w F32 4 = 1 nan inf inf'
    has first_diff_index 3 inf_both 1 inf_a 2 inf_b 2
}

@test "rows are found in tiles, in long rows, and in transposed matrices" {
    cat > worst.py <<'EOF'
import json, math, random, struct, subprocess, sys
random.seed(3)
def save(path, shape, values):
    head = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * len(values)]}}).encode()
    open(path, "wb").write(struct.pack("<Q", len(head)) + head + struct.pack(f"<{len(values)}f", *values))
def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]
# transposed ones are read in blocks of 1024 rows and columns: beyond one both ways, and of few columns or rows
for rows, columns, transposed in ((3, 150000, 0), (200, 700, 0), (3, 65536, 0), (2000, 40, 0), (1100, 1040, 1), (1300, 20, 1), (40, 2100, 1)):
    a = [single(random.gauss(0, 1)) for _ in range(rows * columns)]
    b = [single(x + random.gauss(0, 0.1)) for x in a]
    def error(r):
        p, q = a[r * columns:(r + 1) * columns], b[r * columns:(r + 1) * columns]
        return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(p, q)) / max(math.fsum(x * x for x in p), math.fsum(y * y for y in q)))
    def cosine(r):
        p, q = a[r * columns:(r + 1) * columns], b[r * columns:(r + 1) * columns]
        return math.fsum(x * y for x, y in zip(p, q)) / math.sqrt(math.fsum(x * x for x in p) * math.fsum(y * y for y in q))
    worst, least = max(range(rows), key=error), min(range(rows), key=cosine)
    save("a.safetensors", [rows, columns], a)
    if transposed:
        save("b.safetensors", [columns, rows], [b[r * columns + c] for c in range(columns) for r in range(rows)])
    else:
        save("b.safetensors", [rows, columns], b)
    outputs = {subprocess.run(["tensor-cos", "--transpose", "always", "--json", "-j", j, "a.safetensors", "b.safetensors"], capture_output=True, text=True).stdout for j in "123"}
    assert len(outputs) == 1, outputs
    got = json.loads(outputs.pop())
    assert got.get("transform") == ("transpose" if transposed else None), got
    assert (got["row_length"], got["first_diff_index"]) == (columns, next(i for i, (x, y) in enumerate(zip(a, b)) if x != y)), got
    assert got["worst_row"] == worst and abs(got["worst_row_error"] - error(worst)) < 1e-12, (got, worst, error(worst))
    assert got["worst_cosine_row"] == least and abs(got["worst_row_cosine"] - cosine(least)) < 1e-12, (got, least, cosine(least))
EOF
    run -0 python3 worst.py
}

@test "rows that are too faint for a type are passed over, of numbers whose squares are scaled, too" {
    local faint ones; faint=$(printf '1e-200 %.0s' {1..32}) ones=$(printf '1 %.0s' {1..31})
    local zeros; zeros=$(printf '0 %.0s' {1..32})
    cos "w F64 2x32 = $faint 1 $ones" "w F16 2x32 = $zeros 1.5 $ones"
    has worst_row 1 worst_cosine_row 1
    # F32 holds them well enough to say 0
    cos "w F64 2x32 = $faint 1 $ones" "w F32 2x32 = $zeros 1.5 $ones"
    has worst_row 0 worst_row_error 1
}

@test "transposed matrices of few rows and of many, one after the other" {
    # rows are in pieces of blocks, 10 and then 1000 at a time
    tensor-rand --tensor a=10x150000 --tensor b=1000x1100 --seed 5 | tensor-save a.safetensors
    python3 - <<'EOF'
import array, json, struct
with open("a.safetensors", "rb") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    head, data = json.loads(f.read(size)), f.read()
out = b""
for name in "ab":
    (rows, columns), (start, end) = head[name]["shape"], head[name]["data_offsets"]
    values = array.array("f", data[start:end])
    values[3 * columns + 7] += 1
    head[name].update(shape=[columns, rows], data_offsets=[len(out), len(out) + end - start])
    out += b"".join(values[column::columns].tobytes() for column in range(columns))
text = json.dumps(head).encode()
open("b.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + out)
EOF
    tensor-cos -j 1 --transpose always --json a.safetensors b.safetensors > one.json
    tensor-cos -j 3 --transpose always --json a.safetensors b.safetensors | cmp - one.json
    [ "$(grep -c '"transform":"transpose".*"worst_row":3,.*"worst_cosine_row":3,' one.json)" -eq 2 ]
    grep -q '"name":"a".*"worst_index":450007,.*"first_diff_index":450007,' one.json
    grep -q '"name":"b".*"worst_index":3307,.*"first_diff_index":3307,' one.json
}

@test "vectors at right angles, and against each other" {
    cos 'w F32 2 = 1 0' 'w F32 2 = 0 2'
    has cosine_similarity 0 cosine_distance 1 norm_a 1 norm_b 2 max_diff 2
    cos 'w F32 2 = 1 1' 'w F32 2 = -1 -1'
    has cosine_similarity -1 cosine_distance 2 max_diff 2 max_rel_diff 2
}

@test "equal tensors: 1, 0, and no worst place" {
    cos 'w F32 3 = 1 -2 0.5' 'w F32 3 = 1 -2 0.5'
    has status '"ok"' cosine_similarity 1 cosine_distance 0 max_diff 0 mean_diff 0 rmse 0 nmse 0 sqnr_db null \
        max_rel_diff 0 identical_count 3
    [[ $output != *worst* ]]
}

@test "a length alone does not change the angle" {
    cos 'w F32 2 = 3 4' 'w F32 2 = 6 8'
    has cosine_similarity 1 cosine_distance 0 norm_b 10 nmse 1 sqnr_db 0 max_rel_diff 0.5 max_diff 4 worst_index 1
}

@test "small distances keep their digits" {
    # a = (1, 0), b = (1, 2^-20): 1 - cos = 1 - 1/sqrt(1 + 2^-40) = 2^-41 - 3/8 2^-80 ...
    # 2^-41 = 4.547473508864641e-13, of which 1 - cos in float64 would keep 4 digits
    cos 'w F32 2 = 1 0' 'w F32 2 = 1 0x1p-20'
    [[ $output =~ \"cosine_distance\":4\.54747350886[0-9]*e-13 ]]
    # (1, 2^-40): 2^-81 = 4.1359030627651384e-25, where 1 - cos would be 0
    cos 'w F32 2 = 1 0' 'w F32 2 = 1 0x1p-40'
    has cosine_similarity 1
    [[ $output =~ \"cosine_distance\":4\.13590306276[0-9]*e-25 ]]
}

@test "a scalar has an angle, too" {
    cos 's F32 - = 2' 's F32 - = -3'
    has shape_a '[]' element_count 1 cosine_similarity -1 max_diff 5 worst_index 0
}

# ---- NaN and infinity ----

@test "places that are not finite are counted and left out of every sum" {
    # finite pairs: (3, 4) and (4, 3), as above
    cos 'w F32 6 = nan 3 inf 1 4 nan' 'w F32 6 = 1 4 1 -inf 3 nan'
    has status '"nonfinite"' element_count 6 cosine_similarity 0.96 max_diff 1 mean_diff 1 rmse 1 nmse 0.08 max_rel_diff 0.25 \
        nan_a 2 nan_b 1 nan_both 1 inf_a 1 inf_b 1 norm_a 5 norm_b 5 worst_index 1 identical_count 0
}

@test "NaN in each place of a run of lanes" {
    local before after place
    for place in 0 1 15 16 4095 4096 4099; do
        before=$(printf '1 %.0s' $(seq 0 $place))
        after=$(printf ' 1%.0s' $(seq $place 4099))
        make-model a.safetensors "w F32 4100 = ${before#1 }nan${after# 1}" -- b.safetensors "w F32 4100 = ${before#1 }5${after# 1}"
        run -0 tensor-cos --json a.safetensors b.safetensors
        has status '"nonfinite"' nan_a 1 nan_b 0 identical_count 4099 max_diff 0 cosine_similarity 1
        run -0 tensor-cos --json b.safetensors a.safetensors
        has status '"nonfinite"' nan_a 0 nan_b 1 identical_count 4099
    done
}

@test "infinities of one sign are equal numbers, NaN equals nothing" {
    cos 'w F32 5 = inf -inf inf nan 1' 'w F32 5 = inf -inf -inf nan 1'
    has status '"nonfinite"' identical_count 3 inf_a 3 inf_b 3 nan_both 1
}

@test "nothing but NaN" {
    cos 'w F32 2 = nan nan' 'w F32 2 = nan nan'
    has status '"nonfinite"' cosine_similarity null cosine_distance null max_diff 0 mean_diff null rmse null nan_both 2 identical_count 0
}

@test "NaN and infinity in F64, F16 and BF16" {
    for type in F64 F16 BF16; do
        cos "w $type 4 = 3 4 nan inf" "w $type 4 = 4 3 1 1"
        has status '"nonfinite"' cosine_similarity 0.96 nan_a 1 inf_a 1 nan_b 0 inf_b 0
    done
}

# ---- Zeros ----

@test "a side of zeros has no angle" {
    cos 'w F32 2 = 0 0' 'w F32 2 = 3 4'
    has status '"undefined"' cosine_similarity null cosine_distance null max_diff 4 norm_a 0 norm_b 5 nmse null sqnr_db null
    cos 'w F32 2 = 3 4' 'w F32 2 = 0 0'
    has status '"undefined"' cosine_similarity null nmse 1 sqnr_db 0
    cos 'w F32 2 = 0 0' 'w F32 2 = 0 0'
    has status '"undefined"' max_diff 0 identical_count 2 max_rel_diff 0
}

@test "0 and -0 are equal" {
    for type in F32 F64 F16 BF16; do
        cos "w $type 3 = 0 -0 1" "w $type 3 = -0 0 1"
        has status '"ok"' identical_count 3 max_diff 0 cosine_similarity 1
    done
}

@test "tensors of no elements have no angle, and are equal" {
    make-model a.safetensors 'w F32 0x4 = ' -- b.safetensors 'w F16 0x4 = '
    run -0 tensor-cos --json a.safetensors b.safetensors
    has status '"undefined"' element_count 0 identical_count 0 cosine_similarity null max_diff 0
}

# ---- Shapes and names ----

@test "leading and trailing dimensions of 1 do not count" {
    for pair in '1x3 3' '3 3x1' '3x1 1x3' '1x1x3x1 3' '1x2x3 2x3' '2x3 2x3x1' '1 -' '1x1x1 -'; do
        # shellcheck disable=SC2086
        set -- $pair
        local numbers='1 2 3'
        [[ $pair == *2* ]] && numbers='1 2 3 4 5 6'
        [[ $pair == *-* ]] && numbers='1'
        cos "w F32 $1 = $numbers" "w F32 $2 = $numbers"
        has status '"ok"' cosine_similarity 1
    done
}

@test "other shapes do not agree, whatever their number of elements" {
    for pair in '2x3 3x2' '6 2x3' '2x1x3 2x3' '1x6 6x1x2' '3 4' '1 2'; do
        # shellcheck disable=SC2086
        set -- $pair
        make-model a.safetensors "w U8 $1 : $(printf '01%.0s' $(seq $((${1//x/*}))))" -- \
            b.safetensors "w U8 $2 : $(printf '01%.0s' $(seq $((${2//x/*}))))"
        run -0 tensor-cos --json --transpose never a.safetensors b.safetensors
        has status '"shape_mismatch"' shape_a "[${1//x/,}]" shape_b "[${2//x/,}]"
        [[ $output != *cosine* ]]
    done
}

@test "names that one side does not have" {
    make-model a.safetensors 'w F32 1 = 1' 'x F32 2 = 1 2' -- b.safetensors 'y F16 1x3 = 1 2 3' 'w F32 1 = 1'
    run -0 tensor-cos --json a.safetensors b.safetensors
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[1]}" = '{"kind":"compare","name":"x","status":"only_a","shape_a":[2],"dtype_a":"F32","element_count":2}' ]
    [ "${lines[2]}" = '{"kind":"compare","name":"y","status":"only_b","shape_b":[1,3],"dtype_b":"F16","element_count":3}' ]
}

@test "types that are no real numbers" {
    make-model a.safetensors 'c C64 1 = 1+2j' -- b.safetensors 'c F32 1 = 1'
    run -0 tensor-cos --json a.safetensors b.safetensors
    has status '"not_real"' dtype_a '"C64"'
    [[ $output != *identical_count* ]]
}

@test "complex tensors are counted, and equal is equal" {
    make-model a.safetensors 'c C64 3 = 1+2j 0 -1j' 'w F32 1 = 1' -- \
        b.safetensors 'c C64 3 = 1+2j 1j -1j' 'w F32 1 = 1' -- \
        nan.safetensors 'c C64 1 : 0000c07f00000000' -- zero.safetensors 'c C64 1 : 0000008000000080' -- \
        plain.safetensors 'c C64 1 = 0' -- shape.safetensors 'c C64 1x1x3 = 1+2j 0 -1j' -- empty.safetensors 'c C64 0 = '
    run -0 tensor-cos --match c --json a.safetensors a.safetensors
    has status '"not_real"' element_count 3 identical_count 3 relation '"identical"'
    [[ $output != *first_diff_index* ]]
    for rule in '--min 0.999' '--profile exact' '--profile auto' '--profile same-type'; do
        # shellcheck disable=SC2086
        run -0 verdict $rule <(tensor-cos a.safetensors a.safetensors)
        [[ $output == *"2 passed"* ]]
    done
    # one of three differs: it fails by that count, unless it is let be
    run -0 tensor-cos --match c --json a.safetensors b.safetensors
    has status '"not_real"' identical_count 2 first_diff_index 1 relation '"changed"' reason '"1 of 3 elements differ"'
    tensor-cos a.safetensors b.safetensors > r.tsr
    run -1 verdict --min 0 r.tsr
    [[ $output == *"not_real: 1 of 3 elements differ"* ]]
    run -0 verdict --min 0 --allow not_real r.tsr
    run -1 verdict --rule 'differing_count <= 0' --allow not_real r.tsr
    # through pipes, with dimensions of 1; 0 and -0 are equal, NaN is equal to nothing
    run -0 verdict --profile exact <(tensor-cat a.safetensors | tensor-cos --match c - a.safetensors)
    run -0 verdict --profile exact <(tensor-cat a.safetensors | tensor-cos --match c a.safetensors -)
    run -0 verdict --profile exact <(tensor-cos --match c a.safetensors shape.safetensors)
    run -0 verdict --profile exact <(tensor-cos zero.safetensors plain.safetensors)
    run -1 verdict --profile exact <(tensor-cos nan.safetensors nan.safetensors)
    run -2 verdict --profile exact <(tensor-cos empty.safetensors empty.safetensors)
}

@test "complex tensors that are longer than what is read at once" {
    printf 'import sys\nw = sys.stdout.write\nfor i in range(5000): w(f" {i}+{i+1}j")\n' | python3 - > numbers
    make-model a.safetensors "c C64 5000 =$(cat numbers)" -- b.safetensors "c C64 5000 =$(sed 's/ 4321+4322j/ 4321+4323j/' numbers)"
    run -0 tensor-cos --json a.safetensors b.safetensors
    has identical_count 4999 first_diff_index 4321
    run -0 tensor-cos --json a.safetensors a.safetensors
    has identical_count 5000
}

# ---- Types that float32 cannot hold ----

@test "float64 pairs are compared as float64" {
    # 1 and 1 + 2^-52: equal in float32
    cos 'w F64 2 = 1 1' 'w F64 2 = 1 0x1.0000000000001p0'
    has identical_count 1 max_diff 2.220446049250313e-16 worst_index 1 worst_b 1.0000000000000002 status '"ok"'
}

@test "float64 against float32" {
    # 0.1 in float32 is 0.100000001490116...
    cos 'w F64 1 = 0.1' 'w F32 1 = 0.1'
    has identical_count 0 max_diff 1.4901161138336505e-09 worst_a 0.1 worst_b 0.10000000149011612
}

@test "float64 numbers whose squares overflow" {
    # a = 2^700 (3, 4), b = 2^700 (4, 3): all as above, times 2^700
    cos 'w F64 2 = 0x3p700 0x4p700' 'w F64 2 = 0x4p700 0x3p700'
    has status '"ok"' cosine_similarity 0.96 cosine_distance 0.04 max_rel_diff 0.25 nmse 0.08 sqnr_db 10.969100130080564 \
        norm_a 2.6300679507741868e+211 norm_b 2.6300679507741868e+211 max_diff 5.260135901548374e+210 \
        mean_diff 5.260135901548374e+210 rmse 5.260135901548374e+210
    # 1e200 is no power of two, so the last digit may differ
    cos 'w F64 2 = 3e200 4e200' 'w F64 2 = 4e200 3e200'
    has status '"ok"' max_diff 1e+200 mean_diff 1e+200
    [[ $output =~ \"norm_a\":(5|4\.999999999999999[0-9]*|5\.000000000000000[0-9]*)e\+200, ]]
}

@test "float64 numbers whose squares underflow" {
    # a = 2^-700 (3, 4), b = 2^-700 (4, 3)
    cos 'w F64 2 = 0x3p-700 0x4p-700' 'w F64 2 = 0x4p-700 0x3p-700'
    has status '"ok"' cosine_similarity 0.96 cosine_distance 0.04 max_rel_diff 0.25 nmse 0.08 \
        norm_a 9.505457831475799e-211 max_diff 1.90109156629516e-211
}

@test "float64 differences that float32 would lose" {
    cos 'w F64 2 = 1e300 1' 'w F64 2 = 1e300 2'
    has identical_count 1 max_diff 1 worst_index 1
    cos 'w F64 1 = 1e-300' 'w F64 1 = 2e-300'
    has identical_count 0 max_diff 1e-300 max_rel_diff 0.5
}

@test "the difference of the largest numbers does not overflow to infinity" {
    cos 'w F64 1 = 0x1.fffffffffffffp1023' 'w F64 1 = -0x1.fffffffffffffp1023'
    has status '"ok"' max_diff 1.7976931348623157e+308 cosine_similarity -1
}

@test "64-bit integers one apart are never identical" {
    # 2^53 + 1 is no float64
    cos 'w I64 2 = 9007199254740992 5' 'w I64 2 = 9007199254740993 5'
    has identical_count 1 max_diff 1 worst_index 0 status '"ok"'
    cos 'w I64 1 = 9223372036854775807' 'w I64 1 = 9223372036854775806'
    has identical_count 0 max_diff 1
    cos 'w U64 1 = 18446744073709551615' 'w U64 1 = 18446744073709551614'
    has identical_count 0 max_diff 1
    cos 'w I64 1 = -9223372036854775808' 'w I64 1 = -9223372036854775807'
    has identical_count 0 max_diff 1
    cos 'w U64 1 = 9223372036854775808' 'w I64 1 = 9223372036854775807'
    has identical_count 0 max_diff 1
    cos 'w U64 1 = 9007199254740993' 'w F64 1 = 9007199254740992'
    has identical_count 0 max_diff 1
}

@test "32-bit integers one apart are never identical" {
    cos 'w I32 2 = 16777217 -2147483648' 'w I32 2 = 16777216 -2147483647'
    has identical_count 0 max_diff 1
    cos 'w U32 1 = 4294967295' 'w U32 1 = 4294967294'
    has identical_count 0 max_diff 1
    cos 'w I32 1 = 16777217' 'w F32 1 = 16777216'
    has identical_count 0 max_diff 1
}

@test "integers, booleans and floats are compared as numbers" {
    cos 'w I8 3 = -128 0 127' 'w F16 3 = -128 0 127'
    has identical_count 3 status '"ok"'
    cos 'w BOOL 3 = 0 1 2' 'w U8 3 = 0 1 1'
    has identical_count 3
    cos 'w U16 2 = 65535 1' 'w I64 2 = 65535 1'
    has identical_count 2
    cos 'w I16 2 = -32768 1' 'w BF16 2 = -32768 1'
    has identical_count 2
}

@test "float32 denormals are numbers" {
    cos 'w F32 2 = 0x1p-149 0x1p-126' 'w F32 2 = 0x1p-148 0x1p-126'
    has identical_count 1 max_diff 1.401298464324817e-45 max_rel_diff 0.5 status '"ok"'
}

@test "the largest float32 numbers do not overflow" {
    cos 'w F32 2 = 0x1.fffffep127 0x1.fffffep127' 'w F32 2 = -0x1.fffffep127 0x1.fffffep127'
    has status '"ok"' cosine_similarity 0 max_diff 6.805646932770577e+38 identical_count 1
}

@test "a quantized tensor against the numbers it stands for" {
    # Q8_0: a half of 0.5 (3800) and 32 signed bytes 1, 2, ..., -1
    make-model a.gguf "w Q8_0 32 : 0038$(printf '%02x' {1..31})ff" -- \
        b.safetensors "w F32 32 = $(for i in {1..31}; do echo -n "$((i / 2)).$((i % 2 * 5)) "; done) -0.5"
    run -0 tensor-cos --json a.gguf b.safetensors
    has status '"ok"' identical_count 32 max_diff 0 dtype_a '"Q8_0"'
}

# ---- The same numbers for any source, order and machine ----

models() {
    tensor-rand --seed 1 --tensor a=7x1000 --tensor b=300x301 --tensor c=5 --tensor d=1 --tensor e=70001 > x.tsr
    tensor-rand --seed 1 --tensor a=7x1000 --tensor b=300x301 --tensor c=5 --tensor d=1 --tensor e=70001 --type BF16 > y.tsr
    tensor-save -q x.safetensors x.tsr
    tensor-save -q y.gguf y.tsr
}

@test "the order of tensors does not matter" {
    models
    tensor-cat --sort size x.tsr > shuffled.tsr
    tensor-cos --json x.safetensors y.gguf | sort > expected
    [ "$(wc -l < expected)" -eq 5 ]
    tensor-cos --json shuffled.tsr y.gguf | sort | cmp - expected
    tensor-cos --json - y.gguf < shuffled.tsr | sort | cmp - expected
    # shellcheck disable=SC2002
    cat shuffled.tsr | tensor-cos --json - y.gguf | sort | cmp - expected
    # shellcheck disable=SC2002
    cat y.tsr | tensor-cos --json shuffled.tsr - | sort | cmp - expected
    tensor-cos --json <(cat shuffled.tsr) <(cat y.tsr) | sort | cmp - expected
    tensor-cos --json <(cat x.tsr) <(tensor-cat --sort size y.tsr) | sort | cmp - expected
    tensor-cos --json --sort name <(cat shuffled.tsr) <(cat y.tsr) | sort | cmp - expected
}

@test "either operand may be standard input, but not both" {
    models
    tensor-cos --json x.tsr y.tsr > expected
    tensor-cos --json - y.tsr < x.tsr | cmp - expected
    tensor-cos --json x.tsr - < y.tsr | cmp - expected
    refuses "both" tensor-cos - - < x.tsr
}

@test "a file of any format may come through a pipe" {
    models
    tensor-cos --json x.tsr y.tsr > expected
    # shellcheck disable=SC2002
    cat x.safetensors | tensor-cos --json - y.gguf | cmp - expected
    tensor-cos --json <(cat x.safetensors) <(cat y.gguf) | cmp - expected
}

@test "the bytes of the result do not depend on threads" {
    models
    for pair in 'x.safetensors y.gguf' 'x.tsr -'; do
        # shellcheck disable=SC2086
        tensor-cos -j 1 $pair < y.tsr > expected.tsr
        for jobs in 2 7 64; do
            # shellcheck disable=SC2086
            tensor-cos -j $jobs $pair < y.tsr | cmp - expected.tsr
        done
    done
}

@test "the bytes of the result do not depend on the processor" {
    models
    TENSORUTILS_CPU=baseline tensor-cos --json x.tsr y.tsr > expected
    for cpu in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
        TENSORUTILS_CPU=$cpu tensor-cos --json x.tsr y.tsr | cmp - expected
    done
}

@test "--repeat runs over threads and processors, and says where bits differ" {
    models
    run -0 pipeline 'tensor-cos --repeat 1 x.safetensors y.gguf | verdict --rule "differing == 0"'
    says "5 judged"
    run -0 tensor-cos --repeat 2 -j 5 --json x.safetensors y.gguf
    [ "${#lines[@]}" -eq 5 ]
    sets=$(tensor-ls --cpu | grep -c 'built, supported')
    says '"kind":"repeat","name":"' "\"status\":\"ok\",\"runs\":$((2 * 4 * sets)),\"instruction_sets\":$sets,\"threads\":5,\"differing\":0,\"differing_count\":0}"
    refuses "'0' is not a number from 1 to 1000000" tensor-cos --repeat 0 x.safetensors y.gguf
    refuses "files are needed" tensor-cos --repeat 2 - y.gguf < x.tsr
    refuses "files are needed" tensor-cos --repeat 2 <(cat x.tsr) y.gguf
}

@test "the sums are those of float64" {
    # 70001 times 0.1f against 0.2f: dot = n 0.1f 0.2f, so cos = 1 up to rounding; norm = 0.1f sqrt(n)
    python3 - << 'END'
import struct
n = 70001
for name, x in (("a", 0.1), ("b", 0.2)):
    head = b'{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (n, 4 * n)
    with open(name + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + struct.pack("<f", x) * n)
END
    tensor-cos --json a.safetensors b.safetensors | python3 -c '
import json, struct, sys
r = json.load(sys.stdin)
x, = struct.unpack("<f", struct.pack("<f", 0.1))
n = 70001
for got, want in ((r["norm_a"], x * n ** 0.5), (r["norm_b"], 2 * x * n ** 0.5), (r["cosine_similarity"], 1),
                  (r["mean_diff"], x), (r["rmse"], x), (r["nmse"], 1), (r["max_diff"], x)):
    if not abs(got - want) <= 1e-12 * want:
        sys.exit(f"{got} {want}")'
}

# ---- Options and output ----

@test "the selection applies to both sides" {
    make-model a.safetensors 'w F32 1 = 1' 'x F16 1 = 2' 'l.0.y F32 1 = 3' -- b.safetensors 'w F32 1 = 1' 'x F32 1 = 2' 'z F16 1 = 1'
    run -0 tensor-cos --tsv --match '[wx]' a.safetensors b.safetensors
    [ "${#lines[@]}" -eq 3 ]
    run -0 tensor-cos --tsv --exclude w a.safetensors b.safetensors
    [ "${#lines[@]}" -eq 4 ]
    run -0 tensor-cos --tsv --layers 0 a.safetensors b.safetensors
    [ "${#lines[@]}" -eq 2 ]
    run -0 tensor-cos --tsv --limit 2 a.safetensors b.safetensors
    [ "${#lines[@]}" -eq 3 ]
    run -0 pipeline 'tensor-cos --tsv --sort name b.safetensors a.safetensors | cut -f 26 | tr "\n" " "'
    [ "$output" = "name w x z l.0.y " ]
}

@test "a type selects a pair on either side, whichever way the operands come" {
    make-model a.safetensors 'w F16 1 = 1' 'x F16 1 = 2' 'y F16 1 = 1' -- b.safetensors 'w F32 1 = 1' 'x F16 1 = 2' 'z F32 1 = 1'
    tensor-cat a.safetensors > a.tsr
    tensor-cat b.safetensors > b.tsr
    printf '%s\n' 'ok w' 'only_b z' > expected
    for pair in 'a.tsr b.tsr' '<(cat a.tsr) b.tsr' 'a.tsr <(cat b.tsr)' '<(cat a.tsr) <(cat b.tsr)'; do
        run -0 pipeline "tensor-cos --json --dtype F32 $pair | sed 's/.*\"name\":\"\([a-z]*\)\".*\"status\":\"\([a-z_]*\)\".*/\2 \1/'"
        [ "$output" = "$(< expected)" ]
    done
}

@test "a packing that runs over the rows meets one that does not, through a pipe, too" {
    python3 -B - <<'END'
from formats import Tensor, stream
block = bytes.fromhex("00300028") + bytes(range(140))
for name, blocks, said in (("flat", 352, {"packing": "flat"}), ("rows", 600, {})):
    with open(name + ".tsr", "wb") as file:
        file.write(stream([Tensor("w", "Q4_K", [300, 300], block * blocks, **said)]))
END
    tensor-cos --json flat.tsr rows.tsr > expected
    grep -q '"status":"ok"' expected
    for jobs in 1 3; do
        # shellcheck disable=SC2002
        cat flat.tsr | tensor-cos -j $jobs --json - rows.tsr | cmp - expected
        tensor-cos -j $jobs --json <(cat flat.tsr) <(cat rows.tsr) | cmp - expected
        # the rows cut the tiles, whichever side they are on
        run -0 pipeline "tensor-cos -j $jobs --tsv rows.tsr flat.tsr | cut -f 2-6"
        [ "$output" = "$(tensor-cos --tsv flat.tsr rows.tsr | cut -f 2-6)" ]
    done
}

@test "--tsv has all fields, a table the most used ones" {
    make-model a.safetensors 'w F32 2 = 3 4' 'u F32 1 = nan' -- b.safetensors 'w F32 2 = 4 3' 'v F32 1 = 1' 'u F32 1 = 1'
    run -0 tensor-cos --tsv a.safetensors b.safetensors
    for field in name status shape_a shape_b dtype_a dtype_b element_count cosine_similarity cosine_distance max_diff mean_diff \
        rmse nmse sqnr_db max_rel_diff identical_count nan_a nan_b nan_both inf_a inf_b norm_a norm_b worst_index worst_a worst_b; do
        [[ $'\t'${lines[0]}$'\t' == *$'\t'"$field"$'\t'* ]]
    done
    says "0.96" "nan" $'only_b\t-\t'
    run -0 tensor-cos --table a.safetensors b.safetensors
    says "status" "cosine" "only_b" "nonfinite"
}

@test "two operands are needed" {
    make-model a.safetensors 'w F32 1 = 1'
    refuses "too few operands" tensor-cos a.safetensors
    refuses "too few operands" tensor-cos
    refuses "too many operands" tensor-cos a.safetensors a.safetensors a.safetensors
}

@test "differences are no trouble, and no failure" {
    make-model a.safetensors 'w F32 1 = 1' -- b.safetensors 'v F32 2 = 1 2'
    run -0 tensor-cos --json a.safetensors b.safetensors
}

@test "threads: -j takes natural numbers up to 1024" {
    make-model a.safetensors 'w F32 1 = 1'
    run -0 tensor-cos -j 0 --json a.safetensors a.safetensors
    run -0 tensor-cos --jobs=1024 --json a.safetensors a.safetensors
    refuses "1024" tensor-cos -j 1025 a.safetensors a.safetensors
    refuses "whole number" tensor-cos -j two a.safetensors a.safetensors
}

@test "a file that waits is spooled to TMPDIR, and nothing stays there" {
    models
    mkdir tmp
    TMPDIR=$PWD/tmp tensor-cos --json <(cat x.tsr) <(tensor-cat --sort size y.tsr) > /dev/null
    [ -z "$(ls -A tmp)" ]
    refuses "absent" env TMPDIR="$PWD/absent" bash -c 'tensor-cos <(cat x.tsr) <(tensor-cat --sort size y.tsr) > /dev/null'
}

@test "the stream names the files of both sides" {
    make-model a.safetensors 'w F32 1 = 1' -- b.tsr 'w F32 1 = 1'
    run -0 pipeline 'tensor-cos a.safetensors b.tsr | show-stream'
    [[ ${lines[1]} == '{"kind": "source", "id": 0, "operand": "a", "path": "a.safetensors", "format": "safetensors", "bytes": '*', "modified": '*', "meta": {}, "commands": ["tensor-cos '*'"]}' ]]
    [[ ${lines[2]} == '{"kind": "source", "id": 1, "operand": "b", "path": "b.tsr", "format": "tsr", "bytes": '*', "modified": '*', "meta": {}, "commands": ["tensor-cos '*'"]}' ]]
    # what came through a pipe was opened by another, which says what the file was then
    run -0 pipeline 'tensor-cat a.safetensors | tensor-cos b.tsr - | show-stream'
    [[ ${lines[1]} == '{"kind": "source", "id": 0, "operand": "a", "path": "b.tsr", '* ]]
    [[ ${lines[2]} == '{"kind": "source", "id": 1, "operand": "b", "path": "a.safetensors", "format": "safetensors", "bytes": '*', "meta": {}, "commands": ["tensor-cat a.safetensors", "tensor-cos b.tsr -"]}' ]]
    [[ ${lines[2]} =~ '"modified": '[0-9]+', "device": '[0-9]+', "inode": '"$(stat -c %i a.safetensors)" ]]
    # rows have none of them
    [ "$(tensor-cos --json a.safetensors b.tsr | wc -l)" -eq 1 ]
}
