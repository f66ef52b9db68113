#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-matmul(1): products in a stated order, and which of three reasons moves them.

load ../helpers

# The numbers of a stream's F32 tensors, as bits.
bits() {
    "$@" | reference_matmul.py bits -
}

# The instruction sets that this machine has, and that have products of their own.
# Those with products of their own.
instruction_sets() {
    every_instruction_set | grep -v '^avx512wide'
}

every_instruction_set() {
    tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'
}

small() {
    # rows 1 2 3, 4 5 6, -1 0 1, 0 0 2 times 1 10 100 and 0 1 -1
    make-model w.safetensors 'w F32 4x3 = 1 2 3 4 5 6 -1 0 1 0 0 2' 'b F32 4 = 1 2 3 4' -- \
        x.safetensors 'x F32 2x3 = 1 10 100 0 1 -1' -- \
        y.tsr 'w.y F32 2x4 = 321 654 99 200 -1 -1 -1 -2'
}

# same A B: streams with the same tensors, whatever else their records say.
same() {
    tensor-hash --json "$1" > wanted
    tensor-hash --json "$2" | diff wanted - || return
    grep -q "\"kind\":\"hash\"" wanted
}

# ---- What is multiplied with what ----

@test "y = W x, by every path that takes F32" {
    small
    for path in auto f32 row block; do
        tensor-matmul --path $path w.safetensors x.safetensors > got.tsr
        same y.tsr got.tsr
    done
    tensor-matmul --path f64 w.safetensors x.safetensors | tensor-dequant > got.tsr
    same y.tsr got.tsr
}

@test "y has the shape of x, its record says how it came about" {
    make-model w.tsr 'w F32 2x3 = 1 0 0 0 1 1' -- a.tsr 'a F32 3 = 5 6 7' -- c.tsr 'c F32 2x1x3 = 1 2 3 4 5 6' -- \
        want.tsr 'w.y F32 2 = 5 13' -- want3.tsr 'w.y F32 2x1x2 = 1 5 4 11'
    tensor-matmul w.tsr a.tsr > got.tsr
    same want.tsr got.tsr
    run -0 show-stream got.tsr
    says '"path": "f32"' '"dtype_w": "F32"' '"dtype_x": "F32"' '"x": "a"'
    tensor-matmul w.tsr c.tsr > got.tsr
    same want3.tsr got.tsr
}

@test "either operand may be a pipe, not both" {
    small
    tensor-cat w.safetensors | tensor-matmul - x.safetensors > got.tsr
    same y.tsr got.tsr
    tensor-cat x.safetensors | tensor-matmul w.safetensors - > got.tsr
    same y.tsr got.tsr
    # shellcheck disable=SC2002
    cat w.safetensors | tensor-matmul - x.safetensors > got.tsr
    same y.tsr got.tsr
    refuses "only one of the operands" tensor-matmul - - < w.safetensors
    refuses "only one of the operands" tensor-matmul --explain --against - - x.safetensors < w.safetensors
}

@test "NAME.x goes before an x for all; --x before both" {
    make-model w.tsr 'a F32 1x2 = 1 1' 'b F32 1x2 = 1 1' -- x.tsr 'x F32 2 = 1 2' 'b.x F32 2 = 10 20' -- \
        want.tsr 'a.y F32 1 = 3' 'b.y F32 1 = 30' -- want2.tsr 'a.y F32 1 = 30' 'b.y F32 1 = 30'
    tensor-matmul w.tsr x.tsr > got.tsr
    same want.tsr got.tsr
    tensor-matmul --x b.x w.tsr x.tsr > got.tsr
    same want2.tsr got.tsr
    refuses "has no tensor 'c'" tensor-matmul --x c w.tsr x.tsr
}

@test "an x that does not fit, is not there or is not the only one" {
    make-model w.tsr 'a F32 1x2 = 1 1' 'b F32 1x3 = 1 1 1' -- x.tsr 'x F32 2 = 1 2' -- \
        two.tsr 'p F32 2 = 1 2' 'q F32 2 = 1 2' -- own.tsr 'a.x F32 3 = 1 2 3' -- s.tsr 's F32 - = 1' -- \
        want.tsr 'a.y F32 1 = 3' -- none.tsr 'b F32 3 = 1 2 3' -- complex.tsr 'a.x C64 2 = 1 2'
    refuses "x.tsr: has no x for 'b': neither 'b.x' nor one of 3 columns" tensor-matmul w.tsr x.tsr
    refuses "has no x for 'a'" tensor-matmul w.tsr s.tsr
    refuses "own.tsr: tensor 'a.x' has 3 columns, 'a' has 2" tensor-matmul w.tsr own.tsr
    refuses "tensor 'x' has 2 columns, 'b' has 3" tensor-matmul --x x --match b w.tsr x.tsr
    refuses "s.tsr: tensor 's' has 0 columns" tensor-matmul --x s w.tsr s.tsr
    refuses "two.tsr: has 2 tensors of 2 columns" tensor-matmul w.tsr two.tsr
    refuses "type C64 is no x" tensor-matmul --match a w.tsr complex.tsr
    tensor-matmul --fitting w.tsr x.tsr > got.tsr
    same want.tsr got.tsr
    refuses "no matrix was multiplied (none is selected and fits an x)" tensor-matmul --fitting --match b w.tsr x.tsr
    refuses "no matrix was multiplied (no tensor of two" tensor-matmul none.tsr x.tsr
    refuses "has 2 tensors of 2 columns" tensor-matmul --fitting w.tsr two.tsr
}

@test "empty rows, columns and vectors" {
    make-model w.tsr 'r F32 0x3 : ' 'c F32 2x0 : ' -- x.tsr 'r.x F32 2x3 = 1 2 3 4 5 6' 'c.x F32 1x0 : ' -- \
        want.tsr 'r.y F32 2x0 : ' 'c.y F32 1x2 = 0 0' -- n.tsr 'r.x F32 0x3 : ' 'c.x F32 0x0 : ' -- \
        want0.tsr 'r.y F32 0x0 : ' 'c.y F32 0x2 : '
    for path in f32 row block; do
        tensor-matmul --path $path w.tsr x.tsr > got.tsr
        same want.tsr got.tsr
        tensor-matmul --path $path w.tsr n.tsr > got.tsr
        same want0.tsr got.tsr
    done
}

@test "no columns, but rows without end" {
    make-model w.tsr 'r F32 4611686018427387904x0 : ' -- x.tsr 'x F32 0x0 : '
    run -0 pipeline 'timeout 20 tensor-matmul w.tsr x.tsr | tensor-ls --json'
    says '"shape":[0,4611686018427387904]'
}

@test "a stack of matrices, as the experts of a layer are: each with the same x, or with its own" {
    # 3 experts of 2 x 2: all ones, the identity, 2 and 3 on the other diagonal
    make-model w.tsr 'e F32 3x2x2 = 1 1 1 1 1 0 0 1 0 2 3 0' -- a.tsr 'x F32 2 = 5 7' -- b.tsr 'x F32 2x2 = 5 7 1 2' -- \
        c.tsr 'x F32 3x1x2 = 5 7 1 2 3 4' -- d.tsr 'x F32 2x1x2 = 5 7 1 2' -- f.tsr 'e.x F32 1x2x1x2 = 1 2 3 4' -- \
        none.tsr 'x F32 3 = 1 2 3' -- two.tsr 'x F32 2 = 1 2' 'z F32 2 = 1 2' -- want.tsr 'e.y F32 3x2 = 12 12 5 7 14 15' -- \
        want2.tsr 'e.y F32 3x2x2 = 12 12 3 3 5 7 1 2 14 15 4 3' -- want3.tsr 'e.y F32 3x1x2 = 12 12 1 2 8 9'
    for path in f32 row block; do
        tensor-matmul --path $path w.tsr a.tsr > got.tsr
        same want.tsr got.tsr
        tensor-matmul --path $path w.tsr b.tsr > got.tsr
        same want2.tsr got.tsr
        tensor-cat w.tsr | tensor-matmul --path $path - c.tsr > got.tsr
        same want3.tsr got.tsr
    done
    run -0 tensor-matmul --bench 1 --json w.tsr c.tsr
    says '"rows":2,"columns":2,"matrices":3,"vectors":3'
    refuses "f.tsr: tensor 'e.x' is neither [n, in] nor [3, n, in], as 'e' has 3 matrices" tensor-matmul w.tsr f.tsr
    refuses "tensor 'x' is neither" tensor-matmul --x x w.tsr d.tsr
    # what has three dimensions may be something else: without an x, or with several, it is left out
    refuses "no matrix was multiplied" tensor-matmul w.tsr two.tsr
    refuses "no matrix was multiplied" tensor-matmul --x x w.tsr none.tsr
    refuses "no matrix was multiplied (no tensor of two dimensions is selected, nor of three with an x)" tensor-matmul w.tsr none.tsr
    refuses "no matrix was multiplied" tensor-matmul w.tsr d.tsr
}

# bats test_tags=sweep
@test "a stack gives what one matrix of all its rows gives, of every type, in tiles and on any number of threads" {
    tensor-rand --tensor e=3x700x512 --seed 3 > stack.f32.tsr
    tensor-rand --tensor e=2100x512 --seed 3 > flat.f32.tsr
    tensor-rand --tensor x=3x2x512 --seed 4 > divided.tsr
    tensor-rand --tensor x=6x512 --seed 4 > x.tsr
    for type in F32 BF16 Q8_0 Q4_K; do
        tensor-quant --to $type stack.f32.tsr > stack.tsr
        tensor-quant --to $type flat.f32.tsr | tensor-save --force flat.gguf
        for path in auto f64 row block; do
            [ $type,$path != F32,auto ] && [ $type,$path != BF16,auto ] || continue # a BLAS
            run -0 pipeline "tensor-matmul --path $path flat.gguf x.tsr | tensor-dequant | tensor-save --force flat.npy
                tensor-matmul -j 1 --path $path stack.tsr x.tsr | tensor-dequant | tensor-save --force same.npy
                tensor-cat stack.tsr | tensor-matmul -j 3 --path $path - divided.tsr | tensor-dequant | tensor-save --force own.npy"
            python3 - << 'END'
flat, same, own = (open(name + ".npy", "rb").read()[128:] for name in ("flat", "same", "own"))
flat, same, own = ([data[i:i + 4] for i in range(0, len(data), 4)] for data in (flat, same, own))
assert len(flat) == 6 * 2100 and len(set(flat)) > 6000
for e in range(3):
    for i in range(6):
        want = flat[i * 2100 + e * 700:i * 2100 + (e + 1) * 700]
        assert same[(e * 6 + i) * 700:(e * 6 + i + 1) * 700] == want, ("same", e, i)
        if i // 2 == e:
            assert own[i * 700:(i + 1) * 700] == want, ("own", e, i)
END
        done
    done
    run -0 pipeline 'tensor-matmul --repeat 2 stack.tsr divided.tsr | verdict --rule "differing == 0"'
    run -0 tensor-matmul --explain --against stack.f32.tsr --json stack.tsr divided.tsr
    says '"matrices":3' '"element_count":4200' '"explains":"decoding"'
}

@test "results in the stream of W are passed on" {
    small
    tensor-cos w.safetensors w.safetensors > r.tsr
    tensor-cat w.safetensors > w.tsr
    cat r.tsr w.tsr | tensor-matmul - x.safetensors > got.tsr
    [ "$(show-stream got.tsr | grep -c '"compare"')" -eq 2 ]
}

# ---- Integer products ----

# dot.bits has what the generic code and the reference quantizers of ggml 0.21.0 make
# of the blocks and the row of activations of blocks.py.
setup_file() {
    make-blocks "$BATS_FILE_TMPDIR"
    python3 -c 'import sys
sys.path.insert(0, sys.argv[1])
import blocks, formats
with open(sys.argv[2], "wb") as file:
    file.write(formats.safetensors([formats.Tensor("x", "F32", [blocks.COLUMNS], formats.values("F32", blocks.activations()))]))
' "$srcdir/tests/tools" "$BATS_FILE_TMPDIR/x.safetensors"
}

# The names and bits of fused products, in the form of dot.bits, NaN in one form.
fused() {
    local name rest
    while read -r name rest; do
        rest=$(tensor-matmul --path fused --match "$name" "$@" | reference_matmul.py bits -)
        echo "$name $rest"
    done < "$srcdir/tests/reference/dot.bits"
}

# bats test_tags=sweep
@test "every pair of types has the bits of ggml's generic code, on every processor" {
    cd "$BATS_FILE_TMPDIR"
    [ "$(wc -l < "$srcdir/tests/reference/dot.bits")" -eq 25 ]
    for cpu in $(instruction_sets); do
        TENSORUTILS_CPU=$cpu fused blocks.gguf x.safetensors | diff "$srcdir/tests/reference/dot.bits" -
    done
}

@test "x that is rounded to 8 bits already is taken as it is" {
    cd "$BATS_FILE_TMPDIR"
    for pair in Q4_K:Q8_K Q8_0:Q8_0 Q4_1:Q8_1; do
        tensor-quant --to ${pair#*:} x.safetensors > q.tsr
        tensor-matmul --match ${pair%:*} --path fused blocks.gguf x.safetensors > want.tsr
        tensor-matmul --match ${pair%:*} --path fused blocks.gguf q.tsr > got.tsr
        same want.tsr got.tsr
    done
}

@test "auto is fused where there is a fused product, else f32" {
    cd "$BATS_FILE_TMPDIR"
    run -0 pipeline "tensor-matmul --match 'Q4_K' --match BF16 blocks.gguf x.safetensors | show-stream"
    says '"name": "Q4_K.y", "dtype": "F32", "shape": [2], "nbytes": 8, "path": "fused", "dtype_w": "Q4_K", "dtype_x": "Q8_K"' \
        '"path": "f32", "dtype_w": "BF16"'
    refuses "tensor 'BF16': has no fused product: BF16 with 1024 columns" \
        tensor-matmul --path fused --match BF16 blocks.gguf x.safetensors
    # 32 columns are no block of 256
    make-model w.gguf "w Q8_0 1x32 : 003c$(printf '01%.0s' {1..32})" -- x.tsr "x F32 32 = $(seq -s ' ' 32)"
    tensor-matmul --path fused w.gguf x.tsr > got.tsr
    # rows whose last block is padded
    make-model padded.tsr "w Q8_0 2x40 : $(printf "003c$(printf '01%.0s' {1..32})%.0s" {1..4})" -- x40.tsr "x F32 40 = $(seq -s ' ' 40)"
    refuses "with 40 columns" tensor-matmul --path fused padded.tsr x40.tsr
}

@test "NaN and infinities: not in a fused product, else as arithmetic has them" {
    make-model w.gguf "w Q8_0 1x32 : 003c$(printf '01%.0s' {1..32})" -- \
        n.tsr "x F32 32 = nan $(seq -s ' ' 31)" -- i.tsr "x F32 32 = $(seq -s ' ' 31) inf"
    refuses "x 'x': element 0 is NaN: Q8_0 has no such number" tensor-matmul w.gguf n.tsr
    refuses "x 'x': element 31 is infinite: Q8_0" tensor-matmul --path fused w.gguf i.tsr
    for path in f32 row block; do
        [ "$(bits tensor-matmul --path $path w.gguf n.tsr)" = 7fc00000 ]
        [ "$(bits tensor-matmul --path $path w.gguf i.tsr)" = 7f800000 ]
    done
}

# ---- Orders ----

@test "sums from left to right, block by block and in float64 are what they say" {
    # 2^24 + 1 is a tie that goes to 2^24: from left to right the ones are lost; in blocks of 32 the
    # second has 32 of them; float64 keeps all
    make-model w.tsr "w F32 1x64 = 16777216 $(printf '1 %.0s' {1..63})" -- x.tsr "x F32 64 = $(printf '1 %.0s' {1..64})" -- \
        row.tsr 'w.y F32 1 = 16777216' -- block.tsr 'w.y F32 1 = 16777248' -- f64.tsr 'w.y F64 1 = 16777279'
    for path in row block f64; do
        tensor-matmul --path $path w.tsr x.tsr > got.tsr
        same $path.tsr got.tsr
    done
}

@test "f64 takes types that float32 does not hold as they are" {
    # 2^53 + 1 is no double, but it is 1 more than 2^53: elements 0 and 16 are added in one lane
    zeros=$(printf '0 %.0s' {1..15})
    make-model w.tsr "w I64 1x17 = -9007199254740992 $zeros 9007199254740993" "v F64 1x17 = -1 $zeros 0x1.0000000000001p0" -- \
        x.tsr "x F32 17 = $(printf '1 %.0s' {1..17})" -- want.tsr 'w.y F64 1 = 1' 'v.y F64 1 = 0x1p-52'
    tensor-matmul --path f64 w.tsr x.tsr > got.tsr
    same want.tsr got.tsr
}

@test "types of every kind, in pipes and files, in tiles of any shape" {
    cd "$BATS_FILE_TMPDIR"
    make-model x341.tsr "x F32 341 = $(seq -s ' ' 341)"
    for file in "blocks.gguf x.safetensors" "blocks.safetensors x.safetensors" "blocks.apr x341.tsr"; do
        # shellcheck disable=SC2086
        set -- $file
        # against float64 sums of the decoded floats
        tensor-dequant --all "$1" | tensor-matmul --path f64 - "$2" > want.tsr
        tensor-cat "$1" | tensor-matmul --path f64 - "$2" > got.tsr
        tensor-matmul --path f64 -j 1 "$1" "$2" > got1.tsr
        same got.tsr got1.tsr
        run -0 pipeline "tensor-cos want.tsr got.tsr | verdict --rule 'nmse < 1e-12' --allow nonfinite --allow undefined"
    done
}

@test "rows that share blocks, in more than one tile" {
    # APR_Q4 with 343 columns: blocks of 32 run over the rows, and tiles of 764 rows end within a block
    tensor-rand --tensor w=3200x343 | tensor-quant --to APR_Q4 > w.tsr
    tensor-save w.apr w.tsr
    [[ $(tensor-ls --tsv w.apr) == *APR_Q4* ]]
    make-model x.tsr "x F32 343 = $(seq -s ' ' 343)"
    tensor-dequant w.tsr | tensor-matmul --path row - x.tsr > want.tsr
    tensor-cat w.apr | tensor-matmul --path row -j 3 - x.tsr > got.tsr
    same want.tsr got.tsr
    tensor-matmul --path row -j 3 w.apr x.tsr > got.tsr
    same want.tsr got.tsr
}

# ---- The same bits ----

# bats test_tags=sweep
@test "any number of threads, any processor, file or pipe: the same y" {
    tensor-rand --tensor w=700x2048 --tensor v=1x300000 --tensor u=5000x64 > f.tsr
    tensor-rand --tensor w.x=3x2048 --tensor v.x=300000 --tensor u.x=9x64 --seed 2 > x.tsr
    local counts='2 3 7'
    [ -z "$TU_SANITIZED" ] || counts=3
    for type in Q4_K Q8_0 F16; do
        case $type in
        F16) tensor-dequant --to F16 f.tsr > w.tsr ;;
        *) tensor-quant --to $type f.tsr > w.tsr ;;
        esac
        for path in auto f32 f64; do
            tensor-matmul --path $path -j 1 w.tsr x.tsr > want.tsr
            for jobs in $counts; do
                tensor-matmul --path $path -j $jobs w.tsr x.tsr > got.tsr
                same want.tsr got.tsr
            done
            tensor-matmul --path $path -j 3 - x.tsr < <(cat w.tsr) > got.tsr
            same want.tsr got.tsr
            for cpu in $(instruction_sets); do
                TENSORUTILS_CPU=$cpu tensor-matmul --path $path w.tsr x.tsr > got.tsr
                same want.tsr got.tsr
            done
        done
    done
}

@test "--repeat says so, in a record that verdict judges" {
    tensor-rand --tensor w=300x512 | tensor-quant --to Q4_K > w.tsr
    tensor-rand --tensor x=2x512 > x.tsr
    sets=$(every_instruction_set | wc -l)
    for path in auto f64 f32 row block; do
        run -0 tensor-matmul --path $path --repeat 2 --json -j 2 w.tsr x.tsr
        says '"kind":"repeat"' '"status":"ok"' "\"runs\":$((2 * 3 * sets))," "\"instruction_sets\":$sets," '"threads":3,' \
            '"differing":0,' '"differing_count":0'
        run -0 pipeline "tensor-matmul --path $path --repeat 2 w.tsr x.tsr | verdict --rule 'differing == 0'"
    done
    run -0 tensor-matmul --repeat 1 -j 5 --json - x.tsr < w.tsr
    says "\"runs\":$((4 * sets))," '"threads":5'
}

@test "--repeat finds a product that is not the same" {
    [ -z "$TU_SANITIZED" ] || skip "sanitizers have to be loaded first"
    small
    make-model x1.tsr 'x F32 3 = 1 10 100'
    # a BLAS that gives something else for the third row from the fifth call on
    cat > wrong.c << 'EOF'
void cblas_sgemv(int order, int trans, int m, int n, float alpha, const float *a, int lda, const float *x, int incx,
                 float beta, float *y, int incy)
{
    static int calls;
    (void)order, (void)trans, (void)alpha, (void)incx, (void)beta, (void)incy;
    calls++;
    for (int i = 0; i < m; i++) {
        y[i] = calls > 4 && i == 2 ? 0.5f : 0;
        for (int k = 0; k < n; k++)
            y[i] += a[i * lda + k] * x[k];
    }
}
EOF
    $CC -shared -fPIC -o wrong.so wrong.c
    export LD_PRELOAD=$PWD/wrong.so
    runs=$((2 * 3 * $(every_instruction_set | wc -l)))
    run -0 tensor-matmul --path f32 --repeat 2 -j 1 --json w.safetensors x1.tsr
    says '"status":"differs"' "\"runs\":$runs," "\"differing\":$((runs - 4))," '"differing_count":1,' \
        '"first_difference":2,' '"value":99,' '"other_value":99.5,' '"how":"run 5: ' ', 3 threads"'
    run -1 pipeline "tensor-matmul --path f32 --repeat 2 w.safetensors x1.tsr | verdict --rule 'differing == 0'"
    says "1 judged, 0 passed" "(differs)"
}

# ---- Cases of others: aprender-serve's determinism tests, by their numbers ----

@test "005 and 005b: two runs, bit for bit; from left to right they are sums of their own" {
    reference_matmul.py write
    for n in 005 005b; do
        for path in auto f32 f64 row block; do
            run -0 pipeline "tensor-matmul --path $path --repeat 2 $n.safetensors $n.x.safetensors |
                verdict --rule 'differing == 0'"
        done
        diff <(reference_matmul.py row $n.safetensors $n.x.safetensors) \
            <(bits tensor-matmul --path row $n.safetensors $n.x.safetensors)
    done
}

@test "006: from left to right is 44191e70" {
    reference_matmul.py write
    for cpu in $(instruction_sets); do
        [ "$(TENSORUTILS_CPU=$cpu bits tensor-matmul --path row 006.safetensors 006.x.safetensors)" = 44191e70 ]
    done
}

@test "008: a fused product is not the decoded one, and 0.077 % off; the rounding of x explains it" {
    reference_matmul.py write
    tensor-matmul --path row 008.gguf ramp.safetensors > a.tsr
    tensor-matmul --path fused 008.gguf ramp.safetensors > b.tsr
    # nmse is the square: 0.00077^2 = 5.93e-7
    run -0 pipeline "tensor-cos a.tsr b.tsr | verdict --rule 'identical_count == 0' --rule 'nmse < 6.1e-7' --rule 'nmse > 5.8e-7'"
    run -0 tensor-matmul --explain --json 008.gguf ramp.safetensors
    says '"explains":"rounding"' '"share":1,'
}

@test "009: five products with a norm between go 0.4391 % apart" {
    run -0 reference_matmul.py chain
    python3 -c 'import sys; sys.exit(not abs(float(sys.argv[1]) - 0.004391) < 0.00001)' "$output"
}

@test "010: by 0.09 %, whatever the scale of the block" {
    reference_matmul.py write
    tensor-matmul --path row 010.gguf ramp.safetensors > a.tsr
    tensor-matmul --path fused 010.gguf ramp.safetensors > b.tsr
    # 0.000919^2 = 8.45e-7
    run -0 pipeline "tensor-cos a.tsr b.tsr | verdict --rule 'nmse > 8.3e-7' --rule 'nmse < 8.6e-7'"
    says "7 judged"
}

@test "011: a softmax makes less of a change of its largest logit" {
    reference_matmul.py write
    run -0 reference_matmul.py softmax
    python3 -c 'import sys; sys.exit(not 0.0112 < float(sys.argv[1]) < 0.0115)' "$output"
}

# ---- --explain and --bench ----

@test "--explain tells order, decoding and rounding apart" {
    tensor-rand --tensor w=64x512 > f.tsr
    tensor-rand --tensor x=3x512 --seed 9 > x.tsr
    tensor-quant --to Q4_K f.tsr > w.tsr
    run -0 tensor-matmul --explain --against f.tsr --json w.tsr x.tsr
    says '"kind":"explain"' '"explains":"decoding"' '"dtype_against":"F32"' '"dtype_rounded":"Q8_K"' '"element_count":192'
    run -0 tensor-matmul --explain --json w.tsr x.tsr
    says '"explains":"rounding"'
    [[ $output != *decoding* ]]
    # F32 has no fused product: order is all there is
    run -0 tensor-matmul --explain --json f.tsr x.tsr
    says '"explains":"order"' '"share":1,'
    # nothing differs
    make-model one.tsr 'w F32 1x1 = 2' -- x1.tsr 'x F32 1 = 3'
    run -0 tensor-matmul --explain --against one.tsr --json one.tsr x1.tsr
    says '"explains":"none"' '"share":null' '"order_rmse":0' '"decoding_rmse":0' '"rms":6'
}

@test "--explain measures each against the float64 sum" {
    # as above: 16777216, 16777248, 16777279
    make-model w.tsr "w F32 1x64 = 16777216 $(printf '1 %.0s' {1..63})" -- x.tsr "x F32 64 = $(printf '1 %.0s' {1..64})" -- \
        v.tsr "w F32 1x64 = 16777216 $(printf '0 %.0s' {1..63})"
    run -0 tensor-matmul --explain --against v.tsr --json w.tsr x.tsr
    says '"row_rmse":63,' '"block_max":31,' '"order_max":32,' '"decoding_rmse":63,' '"order_cosine":1,'
}

@test "--against: another shape, no such tensor, no --explain" {
    make-model w.tsr 'w F32 1x2 = 1 2' -- x.tsr 'x F32 2 = 1 2' -- shape.tsr 'w F32 2x1 = 1 2' -- other.tsr 'v F32 1x2 = 1 2'
    refuses "shape.tsr: tensor 'w' has another shape" tensor-matmul --explain --against shape.tsr w.tsr x.tsr
    refuses "other.tsr: has no tensor 'w'" tensor-matmul --explain --against other.tsr w.tsr x.tsr
    refuses "--against goes with --explain" tensor-matmul --against w.tsr w.tsr x.tsr
}

@test "--bench gives times that verdict can judge" {
    small
    run -0 tensor-matmul --bench 3 --json w.safetensors x.safetensors
    [ "${#lines[@]}" -eq 2 ]
    says '"kind":"timing"' '"what":"read"' '"what":"product"' '"path":"f32"' '"runs":3' '"threads":' '"instructions":' \
        '"median_ms":' '"p10_ms":' '"p90_ms":' '"gb_per_s":' '"gflop_per_s":'
    [[ ${lines[0]} != *gflop* && ${lines[1]} == *gflop* ]]
    run -0 pipeline "tensor-matmul --bench 3 w.safetensors x.safetensors | verdict --rule 'median_ms < 60000'"
    run -1 pipeline "tensor-matmul --bench 3 w.safetensors x.safetensors | verdict --rule 'median_ms < 0'"
    run -0 pipeline "tensor-cat w.safetensors | tensor-matmul --bench 2 --json - x.safetensors"
}

@test "options that make no sense" {
    small
    refuses "is none of auto" tensor-matmul --path fast w.safetensors x.safetensors
    refuses "exclude one another" tensor-matmul --bench 1 --explain w.safetensors x.safetensors
    refuses "exclude one another" tensor-matmul --bench 1 --repeat 1 w.safetensors x.safetensors
    refuses "--path cannot choose one" tensor-matmul --path f64 --explain w.safetensors x.safetensors
    refuses "is not a number from 1 to 1000000" tensor-matmul --bench 0 w.safetensors x.safetensors
    refuses "operand" tensor-matmul w.safetensors
}

# ---- Hostile ----

@test "sizes that cannot be: one line" {
    # columns that agree, and a y beyond 63 bits
    make-model w.tsr 'w F32 4x0 : ' -- x.tsr 'x F32 5000000000x5000000000x0 : '
    refuses "its shape overflows" tensor-matmul w.tsr x.tsr
    make-model x.tsr 'x F32 3000000000000000000x0 : '
    refuses "y of tensor 'w'" tensor-matmul w.tsr x.tsr
    # a W that breaks off
    tensor-rand --tensor w=1000x512 > w.tsr
    tensor-rand --tensor x=512 > x.tsr
    for bytes in 200 5000 1000000; do
        refuses "standard input" sh -c "head -c $bytes w.tsr | tensor-matmul - x.tsr > /dev/null"
    done
    # types without real values
    make-model c.tsr 'c C64 1x2 = 1 2' -- x2.tsr 'x F32 2 = 1 2'
    refuses "type C64 does not decode" tensor-matmul c.tsr x2.tsr
}

@test "memory does not grow with W" {
    tensor-rand --tensor w=40000x1024 | tensor-quant --to Q8_0 > w.tsr
    tensor-rand --tensor x=1024 > x.tsr
    [ -z "$TU_SANITIZED" ] || skip "sanitizers take memory of their own"
    # 43 MB of weights
    peak=$(python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' tensor-matmul -j 2 w.tsr x.tsr)
    [ "$peak" -lt 25000 ]
}
