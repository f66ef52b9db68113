#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# verdict(1): the one judge.  0 pass, 1 fail, 2 trouble.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    # cosines: same 1; near 0.96 (3 4 against 4 3); far 0 (at right angles); norm.same 1; and all statuses
    make-model a.tsr 'same F32 2 = 1 2' 'near F32 2 = 3 4' 'far F32 2 = 1 0' 'norm.same F32 1 = 1' -- \
        b.tsr 'same F32 2 = 1 2' 'near F32 2 = 4 3' 'far F32 2 = 0 1' 'norm.same F32 1 = 1' -- \
        statuses_a.tsr 'ok F32 1 = 1' 'left F32 1 = 1' 'shape F32 2 = 1 2' 'nan F32 3 = nan 3 4' 'zero F32 2 = 0 0' 'c C64 1 = 1' -- \
        statuses_b.tsr 'ok F32 1 = 1' 'right F32 1 = 1' 'shape F32 3 = 1 2 3' 'nan F32 3 = 1 4 3' 'zero F32 2 = 1 2' 'c C64 1 = 2'
    tensor-cos a.tsr b.tsr > results.tsr
    tensor-cos --match '*same' a.tsr b.tsr > same.tsr
    tensor-cos statuses_a.tsr statuses_b.tsr > statuses.tsr
    tensor-cos --match zero statuses_a.tsr statuses_b.tsr > zero.tsr
    make-model none.tsr
    tensor-cos none.tsr none.tsr > empty.tsr
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# ---- Rules ----

@test "--min: pass, and fail" {
    run -0 verdict --min 1 same.tsr
    [ "${lines[0]}" = "verdict: pass" ]
    run -1 verdict --min 0.999 results.tsr
    [ "${lines[0]}" = "verdict: fail" ]
    run -0 verdict --min 0 results.tsr
    run -0 verdict --min=-1 results.tsr
    run -1 verdict --min 1e-300 results.tsr
    # what is no cosine is no floor
    for floor in inf -inf nan 1e999 1.5 -2 '' ' 1' 0.9x; do
        refuses "--min" verdict --min="$floor" same.tsr
    done
}

@test "--min is read whole" {
    run -1 verdict --min 0.000000000000000000000000000000999e30 results.tsr
    run -0 verdict --min 0.000000000000000000000000000000999e30 same.tsr
    says "rule: cosine_similarity >= 0.000000000000000000000000000000999e30"
}

@test "--min holds the length, as far as such an angle explains it" {
    # sqrt(2 (1 - 0.98)) = 0.2
    for length in 1.199 0.801; do
        make-model x.tsr 'w F32 2 = 1 0' -- y.tsr "w F32 2 = $length 0"
        run -0 pipeline 'tensor-cos x.tsr y.tsr | verdict --min 0.98'
        says "rule: norm_change <= 0.2000000"
    done
    for length in 1.201 0.799 1000 1e-9; do
        make-model x.tsr 'w F32 2 = 1 0' -- y.tsr "w F32 2 = $length 0"
        run -1 pipeline 'tensor-cos x.tsr y.tsr | verdict --min 0.98'
        says "not norm_change <= 0.2"
        # the cosine alone does not see it
        run -0 pipeline 'tensor-cos x.tsr y.tsr | verdict --rule "cosine_similarity >= 0.98"'
    done
}

# bats test_tags=sweep
@test "integers that differ have no angle that excuses it" {
    for type in I8 U8 I16 U16 I32 U32 I64 U64; do
        make-model x.tsr "ids $type 5 = 1 20 30 40 50" -- y.tsr "ids $type 5 = 1 20 30 40 51"
        tensor-cos x.tsr x.tsr > ids-same.tsr
        tensor-cos x.tsr y.tsr > ids-other.tsr
        for rule in '--min 0.9' '--rule cosine_similarity>=0.9' '--rule cosine_distance<0.1' '--rule norm_ratio<2'; do
            # shellcheck disable=SC2086
            run -0 verdict $rule ids-same.tsr
            # shellcheck disable=SC2086
            run -1 verdict $rule ids-other.tsr
            says "1 of 5 integers differ"
        done
        # their difference is one that may be allowed
        run -0 verdict --rule 'max_diff <= 1' ids-other.tsr
    done
}

@test "equal is equal: zeros, nothing, and infinities of one sign" {
    make-model z.tsr 'bias F32 3 = 0 0 0' 'mask F32 3 = -inf 0 -inf' 'none F32 0' 'w F32 2 = 1 2' -- \
        other.tsr 'bias F32 3 = 0 0 1' 'mask F32 3 = -inf 0 inf' 'none F32 0' 'w F32 2 = 1 2'
    tensor-cos z.tsr z.tsr > equal.tsr
    run -0 verdict --min 0.999 equal.tsr
    says "4 judged, 4 passed"
    for profile in auto exact same-type; do
        run -0 verdict --profile $profile equal.tsr
    done
    # whatever the rule is about
    run -0 verdict --rule 'cosine_f32 >= 1' --rule 'cosine_distance <= 0' --rule 'max_diff <= 0' --rule 'mean_diff <= 0' --rule 'rmse <= 0' --rule 'nmse <= 0' \
        --rule 'sqnr_db >= 90' --rule 'max_rel_diff <= 0' --rule 'norm_ratio == 1' --rule 'norm_change <= 0' --rule 'identical_share == 1' --rule 'differing_count == 0' \
        --rule 'worst_row_cosine >= 1' --rule 'worst_row_error <= 0' --rule 'trimmed_cosine >= 1' --rule 'beyond_one_percent <= 0' equal.tsr
    # which is no leave to pass anything
    run -1 verdict --rule 'cosine_similarity < 0.5' equal.tsr
    says "4 failed"
    run -1 verdict --rule 'norm_b > 0' equal.tsr
    says "3 failed"
    run -1 verdict --rule 'inf_b == 0' equal.tsr
    # what differs is as it was
    tensor-cos z.tsr other.tsr > differ.tsr
    run -1 verdict --min 0 differ.tsr
    says "undefined: 1" "nonfinite: 1" "2 passed"
    make-model nan.tsr 'w F32 2 = nan 1'
    run -1 pipeline 'tensor-cos nan.tsr nan.tsr | verdict --min 0.9'
    # nothing but empty tensors
    make-model void.tsr 'none F32 0' 'more F32 2x0'
    run -2 pipeline 'tensor-cos void.tsr void.tsr | verdict --min 0.9'
    says "verdict: nothing judged" "all tensors that were compared are empty"
    run -0 pipeline 'tensor-cos void.tsr void.tsr | verdict --min 0.9 --allow-empty'
}

@test "from standard input, and from a file" {
    run -0 verdict --min 1 < same.tsr
    run -0 verdict --min 1 - < same.tsr
    run -0 pipeline 'cat same.tsr | verdict --min 1'
    run -1 pipeline 'tensor-cos a.tsr b.tsr | verdict --min 1'
}

@test "each operator holds at its edge and not beyond" {
    # the one record of `near`: max_diff 1, element_count 2
    tensor-cos --match near a.tsr b.tsr > near.tsr
    for rule in 'max_diff <= 1' 'max_diff >= 1' 'max_diff == 1' 'max_diff != 0' 'max_diff < 1.0000000000000003' \
        'max_diff > 0.9999999999999998' 'element_count == 2' 'max_diff<=1' '  max_diff   <=   1  ' 'name == near' 'status != bad' \
        'dtype_a == F32' 'max_diff <= 1e0' 'max_diff == 0x1p0' 'cosine_similarity == 0.96'; do
        run -0 verdict --rule "$rule" near.tsr
    done
    for rule in 'max_diff < 1' 'max_diff > 1' 'max_diff != 1' 'max_diff == 0' 'max_diff <= 0.9999999999999999' \
        'max_diff >= 1.0000000000000002' 'name != near' 'dtype_a == F16' 'dtype_a == F3' 'name == 1' 'max_diff == one' 'name == Near'; do
        run -1 verdict --rule "$rule" near.tsr
    done
}

@test "all rules must be kept" {
    run -0 verdict --min 1 --rule 'max_diff <= 0' --rule 'rmse <= 0' same.tsr
    run -1 verdict --min 1 --rule 'max_diff <= 0' --rule 'rmse > 0' same.tsr
    says "2 failed" "not rmse > 0"
}

@test "rules for some tensors" {
    run -0 verdict --rule '*same:max_diff <= 0' --rule 'near:max_diff <= 1' --rule 'far:cosine_similarity == 0' results.tsr
    says "4 passed"
    run -1 verdict --rule '*same:max_diff <= 0' --rule 'near:max_diff < 1' results.tsr
    says "1 failed" "2 passed" "1 not judged"
    # a tensor that no rule is about is not judged, and does not pass
    run -2 verdict --rule 'absent*:max_diff <= 0' results.tsr
    says "no record was judged" "was about no record"
    run -2 verdict --rule 'norm.*:max_diff <= 0' results.tsr
    says "verdict: not all judged" "1 passed" "3 not judged" "3 records have no rule about them"
    # ... unless that is allowed
    run -0 verdict --rule 'norm.*:max_diff <= 0' --allow unjudged results.tsr
    says "verdict: pass" "1 passed" "3 allowed, 0 not judged"
    run -2 verdict --rule 'norm.*:max_diff <= 0' --allow 'unjudged:[nf]*' results.tsr
    says "2 allowed, 1 not judged"
    # no number of passes makes up for it, nor does --allow-empty
    run -2 verdict --rule 'norm.*:max_diff <= 0' --allow-empty results.tsr
}

@test "a name may hold colons and operators stand behind the last one" {
    make-model colon.tsr 'model:0/w F32 1 = 1'
    tensor-cos colon.tsr colon.tsr > "$BATS_TEST_TMPDIR/results.tsr"
    run -0 verdict --rule 'model:0/*:max_diff <= 0' "$BATS_TEST_TMPDIR/results.tsr"
    says "1 passed"
}

@test "a field that is missing, or NaN, breaks every rule about it" {
    for rule in 'trimmed_cosine <= 1' 'trimmed_cosine != 1' 'trimmed_cosine == x'; do
        run -1 verdict --rule "$rule" results.tsr
        says "trimmed_cosine"
    done
    # cosine_similarity of zeros is NaN
    for rule in 'cosine_similarity <= 1' 'cosine_similarity >= -1' 'cosine_similarity != 7' 'cosine_similarity == 0'; do
        run -1 verdict --rule "$rule" zero.tsr
    done
}

@test "bad rules" {
    for rule in '' 'max_diff' 'max_diff <=' '<= 1' 'max_diff <= one' 'max diff <= 1' 'max_diff =< 1' 'max_diff <= 1 2' 'max_diff = 1' \
        'max_diff <= nan' 'max_diff <= inf' 'max_diff > -inf' 'max_diff < 1e999' 'glob: <= 1'; do
        refuses "no rule" verdict --rule "$rule" same.tsr
    done
    refuses "--min" verdict --min high same.tsr
    refuses "--min" verdict --min '' same.tsr
    refuses "--min" verdict --min '0.9 or so' same.tsr
}

@test "--min nan is no rule" {
    refuses "no cosine" verdict --min nan same.tsr
}

@test "without a rule the profile auto judges" {
    run -0 verdict same.tsr
    says "profile: auto" "rule: cosine_similarity >= 0.9999999999 if coarser == F32" "2 passed"
    # rules of other types are not named
    [[ $output != *Q4_K* ]]
    run -1 verdict results.tsr
    run -1 verdict --allow only_a --allow-empty results.tsr
    # a rule of one's own stands alone
    run -0 verdict --rule 'max_diff <= 2' results.tsr
    [[ $output != *profile* ]]
}

# ---- What fails by default, and --allow ----

@test "every status but ok fails, whatever the rules" {
    run -1 verdict --rule 'max_diff >= 0' statuses.tsr
    says "7 judged, 1 passed, 6 failed (0 broke a rule, 4 incomparable, 2 missing)" "only_a: 1" "only_b: 1" "shape_mismatch: 1" "nonfinite: 1" "undefined: 1" "not_real: 1"
}

@test "each status can be allowed" {
    for pair in left:only_a right:only_b shape:shape_mismatch nan:nonfinite zero:undefined c:not_real; do
        tensor-cos --match "${pair%:*}" --match ok statuses_a.tsr statuses_b.tsr > one.tsr
        run -1 verdict --rule 'max_diff >= 0' one.tsr
        says "${pair#*:}: 1 (0 allowed)"
        run -0 verdict --rule 'max_diff >= 0' --allow "${pair#*:}" one.tsr
        run -0 verdict --rule 'max_diff >= 0' --allow "${pair#*:}:${pair%:*}" one.tsr
        run -0 verdict --rule 'max_diff >= 0' --allow "${pair#*:}:*" one.tsr
        run -1 verdict --rule 'max_diff >= 0' --allow "${pair#*:}:other*" one.tsr
        [ "${pair#*:}" = only_b ] || run -1 verdict --rule 'max_diff >= 0' --allow only_b one.tsr
    done
}

@test "an allowed tensor that was not compared is no pass" {
    tensor-cos --match left statuses_a.tsr statuses_b.tsr > left.tsr
    run -2 verdict --min 0 --allow only_a left.tsr
    says "no record was judged"
    run -0 verdict --min 0 --allow only_a --allow-empty left.tsr
    says "1 allowed"
}

@test "an allowed tensor that was compared is judged by what can be judged" {
    # nan: finite pairs (3, 4) and (4, 3): cosine 0.96
    tensor-cos --match nan statuses_a.tsr statuses_b.tsr > nan.tsr
    run -0 verdict --min 0.9 --allow nonfinite nan.tsr
    says "1 passed"
    run -1 verdict --min 0.99 --allow nonfinite nan.tsr
    # zero: no cosine, but a largest difference of 2
    run -1 verdict --rule 'max_diff <= 1' --allow undefined zero.tsr
    run -0 verdict --rule 'max_diff <= 2' --allow undefined zero.tsr
}

@test "bad statuses" {
    for allow in nothing '' only only_ab only_a,only_b ok; do
        refuses "--allow" verdict --min 0 --allow "$allow" same.tsr
    done
}

# ---- Nothing, and records of other kinds ----

@test "nothing judged is exit 2" {
    run -2 verdict --min 0 empty.tsr
    says "verdict: nothing judged" "no record was judged"
    run -0 verdict --min 0 --allow-empty empty.tsr
    run -2 verdict --min 0 a.tsr
    # what holds no comparison was put in by mistake
    run -2 verdict --min 0 --allow-empty a.tsr
    says "what came was no stream of a comparison"
    run -2 pipeline 'tensor-ls --stream a.tsr | verdict --min 0 --allow-empty'
    run -2 pipeline '{ cat empty.tsr; tensor-ls --stream a.tsr; } | verdict --min 0 --allow-empty'
    run -0 pipeline 'cat empty.tsr empty.tsr | verdict --min 0 --allow-empty'
    # nothing at all is not an empty stream
    run -2 verdict --min 0 --allow-empty /dev/null
    run -2 verdict --min 0 --allow-empty < /dev/null
}

@test "records of other kinds are judged by the fields they have" {
    run -0 pipeline 'tensor-ls --stream a.tsr | verdict --rule "nbytes <= 8"'
    says "4 passed"
    run -1 pipeline 'tensor-ls --stream a.tsr | verdict --rule "nbytes < 8"'
    run -2 pipeline 'tensor-ls --stream a.tsr | verdict --rule "max_diff <= 0"'
}

@test "several segments are judged together" {
    run -1 pipeline 'cat same.tsr results.tsr | verdict --min 0.999'
    says "6 judged"
    tensor-cos --match same a.tsr a.tsr > other.tsr
    run -0 pipeline 'cat same.tsr other.tsr | verdict --min 0.999'
    says "3 judged" "names that came before: 1"
}

@test "a stream that comes twice stands for no other comparison" {
    make-model a.safetensors 'same F32 2 = 1 2' 'near F32 2 = 3 4' -- b.safetensors 'same F32 2 = 1 2' 'near F32 2 = 4 3'
    tensor-cos a.safetensors b.safetensors > ab.tsr
    tensor-cos --match same a.safetensors b.safetensors > same-ab.tsr
    for tail in '' '--expect streams=2' '--expect tensors=4,streams=2' '--allow-empty' '--json'; do
        run -2 pipeline "cat ab.tsr ab.tsr | verdict --min 0 $tail"
        says "verdict: stream 2 is stream 1 again: the same files with the same results"
    done
    run -2 verdict --min 0 ab.tsr same-ab.tsr ab.tsr
    says "stream 3 is stream 1 again"
    # the same comparison, asked for once more, by itself or through a pipe
    run -2 pipeline '{ tensor-cos a.safetensors b.safetensors; tensor-cos --jobs 1 a.safetensors b.safetensors; } | verdict --min 0'
    run -2 pipeline '{ tensor-cat a.safetensors | tensor-cos - b.safetensors; tensor-cat a.safetensors | tensor-cos - b.safetensors; } | verdict --min 0'
    # other files, other tensors, or other numbers of the same ones
    cp a.safetensors same_a.safetensors
    run -0 pipeline '{ tensor-cos a.safetensors a.safetensors; tensor-cos same_a.safetensors a.safetensors; tensor-cos a.safetensors same_a.safetensors; } | verdict --min 0'
    run -0 pipeline '{ tensor-cos --match same a.safetensors b.safetensors; tensor-cos --match near a.safetensors b.safetensors; } | verdict --min 0'
    run -0 pipeline '{ tensor-cos a.safetensors b.safetensors; tensor-cos --metrics full a.safetensors b.safetensors; } | verdict --min 0'
}

@test "--expect: how many streams and tensors have to come" {
    run -0 verdict --min 0 --expect streams=1,tensors=4 results.tsr
    says "tensors: 4 compared, 4 expected" "streams: 1, 1 expected"
    run -0 pipeline 'cat same.tsr results.tsr | verdict --min 0 --expect tensors=6 --expect streams=2'
    # a producer that never ran
    run -2 pipeline '{ cat same.tsr; false; } | verdict --min 0 --expect streams=2'
    says "verdict: another number of streams was expected" "1 streams came, --expect says 2"
    run -2 pipeline 'cat same.tsr results.tsr empty.tsr | verdict --min 0 --expect streams=2'
    run -1 verdict --min 0 --expect tensors=5 results.tsr
    says "verdict: fail" "tensors: 4 compared, 5 expected"
    run -1 verdict --min 0 --expect tensors=3 results.tsr
    # only what was compared counts, and once in its stream
    run -1 pipeline '{ cat same.tsr; tensor-cos --repeat 1 a.tsr a.tsr; } | verdict --expect tensors=6'
    says "2 compared, 6 expected"
    # a failure is told before what is missing
    run -1 verdict --min 0.999 --expect streams=2 results.tsr
    for list in '' streams streams= streams=0 streams=-1 streams=x streams=1,, streams=1,tensors other=1 streams=99999999999999999999999; do
        refuses "--expect" verdict --min 0 --expect "$list" same.tsr
    done
}

@test "another layout fails, whoever judges, until it is accepted" {
    record 'status="layout",hypothesis="rope(4)",remedy="w = w : rope(4)",fitted=dict(r, identical_count=4, max_diff=0, cosine_similarity=1.0)'
    for judge in --profile=auto --profile=exact --min=0.1 --rule=max_diff\<9; do
        run -1 verdict "$judge" record.tsr
        says "layout: 1 (0 allowed)" "(layout; hypothesis: rope(4))"
        run -2 verdict "$judge" --allow layout record.tsr
        says "1 allowed" "nothing judged"
        run -0 pipeline "cat record.tsr same.tsr | verdict '$judge' --allow 'layout:w*'"
        run -1 verdict "$judge" --allow 'layout:v*' record.tsr
        run -1 verdict "$judge" --allow shape_mismatch --allow undefined record.tsr
    done
}

@test "another layout that is accepted is judged as what it fits" {
    record 'status="layout",hypothesis="rope(4)",hypothesis_cosine=0.99,fitted=dict(r, max_diff=2.0)'
    for judge in --profile=exact --min=0.999 --rule=max_diff\<1; do
        run -1 pipeline "cat record.tsr same.tsr | verdict '$judge' --allow layout"
        says " 1 failed (1 broke a rule"
    done
    run -0 pipeline "cat record.tsr same.tsr | verdict --rule 'max_diff < 3' --allow layout"
    # what says nothing of it is no layout that could be accepted
    record 'status="layout",hypothesis="rope(4)",hypothesis_cosine=1.0'
    run -1 pipeline "cat record.tsr same.tsr | verdict --rule 'max_diff < 3' --allow layout"
    says "nothing says how well it fits"
    record 'status="layout",hypothesis="rope(4)",fitted="well"'
    refuses "fitted is no map" verdict --min 0 --allow layout record.tsr
    record 'status="layout",hypothesis="rope(4)",fitted=dict(r, max_diff="0")'
    refuses "max_diff is no number" verdict --min 0 --allow layout record.tsr
}

@test "what was not compared is told: extra tensors, rows of one side" {
    record 'status="extra",shape_b=...,dtype_b=...'
    run -0 pipeline 'cat same.tsr record.tsr | verdict --min 0.9 --expect tensors=2'
    says "2 judged, 2 passed" "1 listed" $'not compared:\n  listed ' "w  (extra)"
    run -2 verdict --min 0.9 record.tsr
    record 'rows_only_b=56'
    run -0 verdict --min 0.9 record.tsr
    says "w  (56 rows of b alone were not compared)"
    record 'status="shape_mismatch",reason="600 rows of a are no padding"'
    run -1 verdict --min 0.9 record.tsr
    says "(shape_mismatch: 600 rows of a are no padding)"
}

@test "names that come more than once are noticed" {
    run -0 pipeline 'cat same.tsr results.tsr | verdict --min 0'
    says "names that came before: 2"
    run -0 verdict --min 0 same.tsr
    [[ $output != *"came before"* ]]
}

@test "statuses that are accepted, and facts" {
    fact() {
        python3 - "$srcdir/tests/tools" "$@" << 'END' > facts.tsr
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
records = [{"kind": "fact", "name": name, "status": status, "a": 4, "b": 8, "origin_a": "given", "origin_b": "default"}
           for name, status in (arg.split(":") for arg in sys.argv[2:])]
sys.stdout.buffer.write(formats.stream([], [formats.pack(r) for r in records]))
END
    }
    # what both sides state alike is counted, what one states alone is listed
    fact heads:same layers:same context:only_a act:listed
    run -0 pipeline 'cat facts.tsr same.tsr | verdict --min 0.9 --expect tensors=2'
    says "facts: 2 same, 0 differ, 2 stated by one side alone" "2 judged, 2 passed" "2 listed" "not compared:" "context  (a has 4 (given), b has 8 (default))"
    # what differs fails, whatever the tensors do, and comes first
    fact heads:same rope.base:differs context:only_b
    for judge in '--min 0.9' '--profile exact' '--profile auto' '--rule max_diff<=9'; do
        # shellcheck disable=SC2086
        run -1 pipeline "cat facts.tsr same.tsr | verdict $(printf '%q ' $judge)"
        says "facts: 1 same, 1 differ, 1 stated" $'worst 3:\n  fail     fact                   rope.base  (a has 4 (given), b has 8 (default))'
    done
    run -0 pipeline 'cat facts.tsr same.tsr | verdict --min 0.9 --allow differs:rope*'
    says "differs: 1 (1 allowed)"
    run -1 pipeline 'cat facts.tsr same.tsr | verdict --min 0.9 --allow differs:heads'
    # no fact is a tensor
    fact heads:same layers:same
    run -1 pipeline 'cat facts.tsr same.tsr | verdict --min 0.9 --expect tensors=4'
    run -2 verdict --min 0.9 facts.tsr
    says "nothing judged"
    # unless nothing else was to be compared
    for heads in 4 8; do
        mkdir -p heads$heads
        printf '{"model_type":"llama","num_attention_heads":%d,"num_key_value_heads":2,"hidden_size":64}\n' $heads > heads$heads/config.json
    done
    run -0 pipeline 'tensor-cos --facts heads4/config.json heads4/config.json | verdict'
    says "verdict: pass" "0 differ"
    run -1 pipeline 'tensor-cos --facts heads4/config.json heads8/config.json | verdict'
    says "verdict: fail" "  fail     fact                   heads  (heads: 4 "
    # where neither side says anything, nothing was judged
    run -2 pipeline 'tensor-cos --facts a.tsr b.tsr | verdict'
    # every report tells what was listed and what differs
    fact rope.base:differs context:only_b
    run -1 pipeline 'cat facts.tsr same.tsr | verdict --report json=f.json,junit=f.xml,tap=f.tap,markdown=f.md,html=f.html,sarif=f.sarif,github=f.github'
    for report in json xml tap md html sarif github; do
        grep -q 'rope.base' f.$report
        grep -q 'context' f.$report
    done
    run -1 pipeline 'cat facts.tsr same.tsr | verdict --tsv'
    says $'fail\tdiffers\tnan\ta has 4 (given), b has 8 (default)\trope.base' $'listed\tonly_b\tnan\ta has 4 (given), b has 8 (default)\tcontext'
}

# record FIELD=VALUE,...: record.tsr with one compare record, with these fields of Python; ...: without it.
record() {
    python3 - "$srcdir/tests/tools" "$1" << 'END' > record.tsr
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
nan, inf = float("nan"), float("inf")
r = dict(kind="compare", name="w", status="ok", dtype_a="F32", dtype_b="F32", shape_a=[4], shape_b=[4], element_count=4, cosine_similarity=0.99,
         max_diff=0.25, mean_diff=0.125, norm_a=1.0, norm_b=1.0, nan_a=0, nan_b=0, identical_count=3)
r.update(eval("dict(" + sys.argv[2] + ")"))
sys.stdout.buffer.write(formats.stream([], [formats.pack({k: v for k, v in r.items() if v is not ...})]))
END
}

@test "records that say what no record can are trouble" {
    while read -r fields what; do
        record "$fields"
        for judge in '--min 0.5' '--rule max_diff<=100' '--allow-empty'; do
            # shellcheck disable=SC2086
            run -2 verdict $judge record.tsr
            says "$what"
            [[ $output != *"verdict: pass"* ]]
        done
    done << 'END'
status=None status is no word
status=3 status is no word
status="ok\0shape_mismatch" status is no word
status="OK" status is no word
status="fine" status is no word
status="" status is no word
name=7 name is no text
name=None name is no text
name=["w"] name is no text
name=... name is missing
dtype_a="F4_NEW",dtype_b="F4_NEW" dtype_a is no element type
dtype_b=32 dtype_b is no element type
cosine_similarity="0.99" cosine_similarity is no number
cosine_similarity=True cosine_similarity is no number
cosine_similarity=nan cosine_similarity is NaN
cosine_similarity=inf cosine_similarity is infinite
max_diff=None max_diff is no number
max_diff=-inf max_diff is infinite
max_diff=nan,status="undefined" max_diff is NaN
norm_a=nan norm_a is NaN
element_count=-4 element_count is no natural number
element_count=3.5 element_count is no natural number
identical_count="4" identical_count is no natural number
shape_a="[4]" shape_a is no list
kind="repeat",name=7 name is no text
kind="other",status="odd" status is no word
END
    # an equal count that another number contradicts is no equality
    record 'identical_count=4'
    run -1 verdict --profile exact record.tsr
    # of complex numbers nothing but that they are equal is judged
    record 'dtype_a="C64",dtype_b="C64",cosine_similarity=-1.0'
    run -1 verdict record.tsr
    says "not max_diff <= 0"
    run -1 verdict --min 0.5 record.tsr
}

# ---- Reports ----

@test "the text says what was compared, least and greatest, and the worst" {
    run -1 verdict --min 0.999 results.tsr
    says "rule: cosine_similarity >= 0.999" "4 judged, 2 passed, 2 failed (2 broke a rule, 0 incomparable, 0 missing)" \
        $'min 0  far' $'max 1  ' 'worst 4:'
    # failures first, worst first
    [[ $output == *"fail "*far*"fail "*near*"pass "*same* ]]
}

@test "where larger is worse the order is turned" {
    tensor-cos a.tsr b.tsr --match near --match far > two.tsr
    # rmse: near 1, far 1; max_rel_diff: near 0.25, far 1
    run -1 verdict --rule 'max_rel_diff < 0.1' two.tsr
    [[ $output == *"fail "*far*"fail "*near* ]]
    run -1 verdict --rule 'max_rel_diff > 2' two.tsr
    [[ $output == *"fail "*near*"fail "*far* ]]
}

@test "--worst N" {
    run -1 verdict --min 0.999 --worst 1 results.tsr
    says "worst 1:" far
    [[ $output != *near* ]]
    run -1 verdict --min 0.999 --worst 0 results.tsr
    [[ $output != *worst* ]]
    run -1 verdict --min 0.999 --worst 99 results.tsr
    says "worst 4:"
    refuses "--worst" verdict --min 1 --worst=-1 results.tsr
}

@test "one damaged tensor is found by its name" {
    tensor-rand --like qwen2 --num-layers 3 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 48 --vocab 40 > x.tsr
    # one bit in the middle of a matrix
    cp x.tsr y.tsr
    printf '\1' | dd of=y.tsr bs=1 seek=$(($(stat -c %s x.tsr) / 2)) conv=notrunc status=none
    run -1 pipeline 'tensor-cos x.tsr y.tsr | verdict --rule "max_diff <= 0" --worst 1'
    says "1 failed" "worst 1:" "  fail" "not max_diff <= 0"
    name=$(tail -1 <<< "$output" | awk '{ print $3 }')
    run -0 pipeline 'tensor-cos --json x.tsr y.tsr | grep "\"kind\":\"compare\"" | grep -v "\"max_diff\":0,"'
    [ "${#lines[@]}" -eq 1 ]
    says "\"name\":\"$name\""
}

@test "--json gives the whole, as one object" {
    run -1 verdict --json --min 0.999 --rule 'near:max_diff <= 1' --worst 1 results.tsr
    [ "${#lines[@]}" -eq 1 ]
    python3 - "$output" << 'END'
import json, sys
v = json.loads(sys.argv[1])
assert v["kind"] == "verdict" and v["verdict"] == "fail"
assert v["rules"] == [{"field": "cosine_similarity", "operator": ">=", "value": "0.999"},
                      {"field": "norm_change", "operator": "<=", "value": "0.044721359549995815"},
                      {"names": "near", "field": "max_diff", "operator": "<=", "value": "1"}], v["rules"]
assert (v["judged"], v["passed"], v["failed"], v["broke_a_rule"], v["not_compared"], v["allowed"],
        v["unjudged"]) == (4, 2, 2, 2, 0, 0, 0)
assert (v["records"], v["incomparable"], v["missing"]) == (4, 0, 0)
assert v["field"] == "cosine_similarity"
assert (v["min"]["name"], v["min"]["value"]) == ("far", 0) and v["max"]["value"] == 1
assert [t["name"] for t in v["worst"]] == ["far"]
assert [(t["name"], t["verdict"], t["status"]) for t in v["failures"]] == [
    ("far", "fail", "ok"), ("near", "fail", "ok")], v["failures"]
END
    run -0 verdict --json --min 1 same.tsr
    says '"verdict":"pass"' '"failures":[]'
    run -1 verdict --json --min 0 statuses.tsr
    says '"not_compared":6' '"incomparable":4' '"missing":2' '"value":null' '"reason":"only_a"'
    run --separate-stderr -2 verdict --json --min 0 empty.tsr
    says '"verdict":"nothing judged"'
}

@test "--tsv gives a row a tensor" {
    run -1 verdict --tsv --min 0.999 results.tsr
    [ "${lines[0]}" = $'verdict\tstatus\tcosine_similarity\treason\tname' ]
    [ "${lines[1]}" = $'fail\tok\t0\tnot cosine_similarity >= 0.999\tfar' ]
    [ "${lines[2]}" = $'fail\tok\t0.96\tnot cosine_similarity >= 0.999\tnear' ]
    [ "${#lines[@]}" -eq 5 ]
    run -1 verdict --tsv --min 0 --allow only_a statuses.tsr
    says $'allowed\tonly_a\tnan\tonly_a\tleft' $'fail\tonly_b\tnan\tonly_b\tright'
}

@test "a failure says nothing on standard error, trouble says one line" {
    run --separate-stderr -1 verdict --min 0.999 results.tsr
    [ -z "$stderr" ]
    run --separate-stderr -2 verdict --min 0.999 empty.tsr
    [ "${#stderr_lines[@]}" -eq 1 ]
}

@test "verdict is exit 2, never 1, where the stream broke before a failure" {
    size=$(stat -c %s results.tsr)
    for length in $((size - 1)) $((size - 30)) $((size / 2)); do
        run -2 pipeline "head -c $length results.tsr | verdict --min 0.999"
        [[ $output != *"verdict: fail"* && $output != *"verdict: pass"* ]]
    done
}

@test "an error record is exit 2, whatever came before" {
    make-samples samples
    run -2 verdict --min 0 samples/bad-error-plain.tsr
    says "tensor-x failed: on fire"
    run -2 pipeline 'cat same.tsr samples/bad-error-plain.tsr | verdict --min 0'
    says "tensor-x failed: on fire"
    [[ $output != *"verdict: pass"* ]]
}

@test "several operands are one" {
    make-results one.tsr a=0.5
    make-results two.tsr b=0.25
    run -0 verdict --min 0.25 one.tsr two.tsr
    diff <(cat <<< "$output") <(cat one.tsr two.tsr | verdict --min 0.25)
    says "records: 2 judged, 2 passed"
    run -1 verdict --min 0.3 one.tsr two.tsr
    cp two.tsr kept.tsr
    refuses "is read, too" verdict --min 0.25 --report json=two.tsr one.tsr two.tsr
    cmp kept.tsr two.tsr
}
