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
        statuses_b.tsr 'ok F32 1 = 1' 'right F32 1 = 1' 'shape F32 3 = 1 2 3' 'nan F32 3 = 1 4 3' 'zero F32 2 = 1 2' 'c C64 1 = 1'
    tensor-cos a.tsr b.tsr > results.tsr
    tensor-cos --match '*same' a.tsr b.tsr > same.tsr
    tensor-cos statuses_a.tsr statuses_b.tsr > statuses.tsr
    tensor-cos --match zero statuses_a.tsr statuses_b.tsr > zero.tsr
    tensor-cos --match nothing a.tsr b.tsr > empty.tsr
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
    run -1 verdict --min inf results.tsr
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
        'dtype_a == F32' 'max_diff <= 1e0' 'max_diff <= inf' 'max_diff == 0x1p0' 'cosine_similarity == 0.96'; do
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
    for rule in 'no_such_field <= 1' 'no_such_field != 1' 'no_such_field == x'; do
        run -1 verdict --rule "$rule" same.tsr
        says "no_such_field"
    done
    # cosine_similarity of zeros is NaN
    for rule in 'cosine_similarity <= 1' 'cosine_similarity >= -1' 'cosine_similarity != 7' 'cosine_similarity == 0'; do
        run -1 verdict --rule "$rule" zero.tsr
    done
}

@test "bad rules" {
    for rule in '' 'max_diff' 'max_diff <=' '<= 1' 'max_diff <= one' 'max diff <= 1' 'max_diff =< 1' 'max_diff <= 1 2' 'max_diff = 1' \
        'max_diff <= nan' 'glob: <= 1'; do
        refuses "no rule" verdict --rule "$rule" same.tsr
    done
    refuses "--min" verdict --min high same.tsr
    refuses "--min" verdict --min '' same.tsr
    refuses "--min" verdict --min '0.9 or so' same.tsr
}

@test "--min nan is no rule" {
    refuses "NaN" verdict --min nan same.tsr
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
    run -0 verdict --min 0 --allow-empty a.tsr
    # nothing at all is not an empty stream
    run -2 verdict --min 0 --allow-empty /dev/null
    run -2 verdict --min 0 --allow-empty < /dev/null
}

@test "records of other kinds are judged by the fields they have" {
    run -0 pipeline 'tensor-ls a.tsr | verdict --rule "nbytes <= 8"'
    says "4 passed"
    run -1 pipeline 'tensor-ls a.tsr | verdict --rule "nbytes < 8"'
    run -2 pipeline 'tensor-ls a.tsr | verdict --rule "max_diff <= 0"'
}

@test "several segments are judged together" {
    run -1 pipeline 'cat same.tsr results.tsr | verdict --min 0.999'
    says "6 judged"
    run -0 pipeline 'cat same.tsr same.tsr | verdict --min 0.999'
    says "4 judged"
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
    run -0 pipeline 'tensor-cos --json x.tsr y.tsr | grep -v "\"max_diff\":0,"'
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

@test "one operand at most" {
    refuses "too many operands" verdict --min 0 same.tsr same.tsr
}
