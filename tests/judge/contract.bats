#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# verdict --contract, tensor-contract(5): rules and the number of tensors from a claim.

load ../helpers

setup() {
    cd "$BATS_TEST_TMPDIR/work" || return
    export contract=contract.yaml
    claim 'expected_tensors: 2' 'threshold: 0.999'
}

# claim LINE...: a contract whose claim C wants these.
claim() {
    {
        echo 'metadata: {version: "1.0.0", description: d, references: [none]}'
        echo 'falsification_tests:'
        echo '  - {id: OTHER, rule: r, prediction: p, if_fails: f}'
        echo '  - id: C'
        echo '    rule: every tensor survives'
        echo '    prediction: cosine >= 0.999'
        echo '    if_fails: the converter is broken'
        echo '    verdict:'
        printf '      %s\n' "$@"
    } > contract.yaml
}

# judge STATUS NAME=COSINE...: what the claim makes of such results.
judge() {
    local status=$1
    shift
    make-results r.tsr "$@"
    run "-$status" verdict --contract contract.yaml --claim C r.tsr
}

# ---- The threshold, in float32 ----

@test "the threshold itself passes, what is next below it fails" {
    # 0.999 in float32 is 0x3F7FBE77
    judge 0 x=0x3F7FBE77 y=1
    says "verdict: pass" "claim: C: 2 tensors compared, 2 expected" "rule: cosine_f32 >= 0.9990000128746033"
    judge 1 x=0x3F7FBE76 y=1
    says "verdict: fail" "not cosine_f32 >= 0.9990000128746033"
    # doubles are rounded first: halfway between the two, 0.99899998307..., and beyond
    judge 0 x=0.99899999 y=1
    judge 1 x=0.99899998 y=1
    # 0.9999, which float32 rounds down, and another that it rounds up
    claim 'expected_tensors: 1' 'threshold: 0.9999'
    judge 0 x=0.9999
    judge 1 x=0x3F7FF971
}

@test "what is out of range, or no number, fails" {
    judge 1 x=1.0001 y=1
    says "not cosine_f32 <= 1"
    # the next float32 above 1, and a double that rounds to 1
    judge 1 x=0x3F800001 y=1
    judge 0 x=1.0000000000000002 y=1
    judge 2 x=nan y=1
    says "a record of 'x': cosine_similarity is NaN"
    judge 2 x=inf y=1
    says "a record of 'x': cosine_similarity is infinite"
    judge 1 x=-1.0001 y=1
    judge 1 x=-1 y=1
    claim 'expected_tensors: 1' 'threshold: -1'
    judge 0 x=-1
    judge 1 x=-1.0001
}

@test "the length is held, too, as far as such an angle explains it" {
    # of 0.999: by sqrt(2 (1 - 0.999)) = 0.0447
    for length in 1.044 0.956; do
        make-model a.tsr 'x F32 2 = 1 0' 'y F32 2 = 1 0' -- b.tsr "x F32 2 = $length 0" 'y F32 2 = 1 0'
        tensor-cos a.tsr b.tsr > r.tsr
        run -0 verdict --contract contract.yaml --claim C r.tsr
    done
    for length in 1.046 0.954 1000; do
        make-model a.tsr 'x F32 2 = 1 0' 'y F32 2 = 1 0' -- b.tsr "x F32 2 = $length 0" 'y F32 2 = 1 0'
        tensor-cos a.tsr b.tsr > r.tsr
        run -1 verdict --contract contract.yaml --claim C r.tsr
        says "not norm_change <= 0.0447"
    done
    # what float32 rounds to 1 may differ by what was rounded
    claim 'expected_tensors: 1' 'threshold: 1'
    make-model a.tsr 'x F32 2 = 1 1' -- b.tsr 'x F32 2 = 1 1.0001'
    tensor-cos a.tsr b.tsr > r.tsr
    run -0 verdict --contract contract.yaml --claim C r.tsr
    make-model a.tsr 'x F32 2 = 1 1' -- b.tsr 'x F32 2 = 1.001 1.001'
    tensor-cos a.tsr b.tsr > r.tsr
    run -1 verdict --contract contract.yaml --claim C r.tsr
}

# ---- The number of tensors ----

@test "fewer or more tensors than expected fail, however well they do" {
    judge 1 x=1
    says "verdict: fail" "claim: C: 1 tensors compared, 2 expected" "1 passed, 0 failed"
    judge 1 x=1 y=1 z=1
    says "claim: C: 3 tensors compared, 2 expected"
    # so does an empty list
    judge 1
    says "verdict: fail" "0 tensors compared, 2 expected"
    # one that fails is judged, too
    judge 1 x=1 y=0
    says "2 tensors compared, 2 expected" "1 failed"
}

@test "the number is in every report" {
    make-results r.tsr x=1
    run -1 verdict --contract contract.yaml --claim C --report "json=j,junit=x,tap=t,markdown=m,html=h,sarif=s,github=g" r.tsr
    for report in x t m h s g; do
        grep -q '1 tensors were compared, the claim C expects 2' $report
    done
    python3 -c 'import json; v = json.load(open("j"))
assert (v["verdict"], v["claim"], v["expected_tensors"], v["judged"]) == ("fail", "C", 2, 1), v'
    python3 -c 'import jsonschema' 2> /dev/null || skip "python3-jsonschema is not installed"
    python3 -c 'import json, jsonschema, sys
jsonschema.validate(json.load(open("j")), json.load(open(sys.argv[1])))' "$srcdir/tests/judge/verdict.schema.json"
}

@test "a tensor that the claim allows to be missing does not count" {
    make-model a.tsr 'x F32 1 = 1' 'y F32 1 = 1' 'only F32 1 = 1' -- b.tsr 'x F32 1 = 1' 'y F32 1 = 1'
    tensor-cos a.tsr b.tsr > r.tsr
    run -1 verdict --contract contract.yaml --claim C r.tsr
    says "3 tensors compared, 2 expected" "only_a: 1"
    claim 'expected_tensors: 2' 'threshold: 0.999' 'allow: ["only_a:on*"]'
    run -0 verdict --contract contract.yaml --claim C r.tsr
    says "1 allowed"
}

# ---- Rules and profiles ----

@test "rules of the language of tensor-rules(5), and a profile" {
    claim 'expected_tensors: 2' 'rules:' '  - max_diff < 0.3' '  - "x*:cosine_similarity >= 0.5"'
    judge 0 x=0.5 y=0
    says "rule: max_diff < 0.3" "rule: x*:cosine_similarity >= 0.5"
    judge 1 x=0.4 y=0
    # all of it together; the threshold leads
    claim 'rules: [max_diff < 0.3]' 'profile: exact' 'threshold: 0.5' 'expected_tensors: 2'
    judge 1 x=1 y=1
    says "profile: exact" "not max_diff <= 0: 0.25" "cosine_f32:"
    # a profile's file is looked for beside the contract
    mkdir -p p
    echo 'max_diff < 0.3' > p/my.profile
    claim 'profile: my.profile' 'expected_tensors: 1'
    mv contract.yaml p
    make-results r.tsr x=0
    run -0 verdict --contract p/contract.yaml --claim C r.tsr
    says "profile: my.profile"
}

@test "a rule about nothing is trouble, as everywhere" {
    claim 'expected_tensors: 1' 'rules: ["absent:max_diff < 1", max_diff < 1]'
    judge 2 x=1
    says "was about no record"
}

@test "a floor of a million tensors" {
    claim 'expected_tensors: 1000000' 'threshold: 0.999'
    judge 1 x=1
    says "1 tensors compared, 1000000 expected"
}

@test "a result that comes twice does not stand for a tensor that is missing" {
    make-results r.tsr x=1
    run -2 sh -c 'cat r.tsr r.tsr | verdict --contract contract.yaml --claim C'
    says "the results of tensor 'x' come twice, for the claim C"
    # where tensors are not counted, results of several models may be judged together
    run -0 sh -c 'cat r.tsr r.tsr | verdict --min 0.999'
}

@test "only what was compared counts" {
    make-model a.safetensors 'x F32 2 = 1 2' 'y F32 2 = 3 4'
    claim 'expected_tensors: 2' 'profile: auto'
    run -1 pipeline 'tensor-cos --repeat 1 a.safetensors a.safetensors | verdict --contract contract.yaml --claim C'
    says "2 judged, 2 passed" "claim: C: 0 tensors compared, 2 expected"
    run -1 pipeline '{ tensor-cos --match x a.safetensors a.safetensors; tensor-cos --repeat 1 --match y a.safetensors a.safetensors; } |
        verdict --contract contract.yaml --claim C --evidence e.json'
    says "2 judged, 2 passed" "claim: C: 1 tensors compared, 2 expected"
    run -1 verdict --check-evidence e.json --contract contract.yaml
    claim 'expected_tensors: 2' 'rules: ["nbytes == 8"]'
    run -1 pipeline 'tensor-ls --stream a.safetensors | verdict --contract contract.yaml --claim C'
    says "0 tensors compared"
    # a tensor that came twice, in records of any kind
    claim 'expected_tensors: 2' 'profile: auto'
    run -2 pipeline '{ tensor-cos a.safetensors a.safetensors; tensor-cos --repeat 1 a.safetensors a.safetensors;
        tensor-cos --repeat 1 a.safetensors a.safetensors; } | verdict --contract contract.yaml --claim C'
    says "the results of repeat 'x' come twice, for the claim C"
}

@test "a profile that a contract names is no pipe to wait for" {
    mkfifo pipe
    claim 'expected_tensors: 1' 'profile: pipe'
    make-results r.tsr x=1
    run -2 timeout 20 verdict --contract contract.yaml --claim C r.tsr
    says "pipe: is not a regular file"
    echo 'include pipe' > p
    run -2 timeout 20 verdict --profile p r.tsr
    says "pipe: is not a regular file"
    run -0 bash -c 'verdict --profile <(echo "cosine_similarity > 0.9") r.tsr'
}

# ---- Usage ----

@test "options that do not go together" {
    make-results r.tsr x=1
    refuses "--contract needs a --claim" verdict --contract contract.yaml r.tsr
    refuses "--claim needs a --contract" verdict --claim C r.tsr
    for option in --min=0 --rule=max_diff\<1 --profile=auto --allow=only_a --allow-empty; do
        refuses "brings its own rules" verdict --contract contract.yaml --claim C "$option" r.tsr
    done
    refuses "absent.yaml" verdict --contract absent.yaml --claim C r.tsr
    refuses "directory" verdict --contract . --claim C r.tsr
    refuses "not a regular file" verdict --contract /dev/null --claim C r.tsr
    refuses "no claim 'D' among its 2" verdict --contract contract.yaml --claim D r.tsr
    refuses "claim 'OTHER' has no mapping verdict" verdict --contract contract.yaml --claim OTHER r.tsr
    refuses "contract.yaml is read, too" verdict --contract contract.yaml --claim C --report json=contract.yaml r.tsr
}

@test "what a claim cannot want" {
    while IFS='|' read -r want lines; do
        IFS=';' read -ra parts <<< "$lines"
        claim "${parts[@]}"
        make-results r.tsr x=1
        refuses "contract.yaml: claim 'C': verdict: $want" verdict --contract contract.yaml --claim C r.tsr
    done << 'END'
it has no expected_tensors|threshold: 0.9
it has no threshold, no rules and no profile|expected_tensors: 1
'treshold' is no key|expected_tensors: 1;treshold: 0.9;rules: [max_diff < 1]
expected_tensors: it is a number, and has to be a number of tensors from 1 on|expected_tensors: 0;threshold: 0.9
expected_tensors: it is a number|expected_tensors: -1;threshold: 0.9
expected_tensors: it is a number|expected_tensors: 1.5;threshold: 0.9
expected_tensors: it is a number|expected_tensors: 99999999999999999999;threshold: 0.9
expected_tensors: it is text|expected_tensors: "1";threshold: 0.9
expected_tensors: it is text|expected_tensors: yes;threshold: 0.9
expected_tensors: it is a boolean|expected_tensors: true;threshold: 0.9
expected_tensors: it is empty|expected_tensors:;threshold: 0.9
expected_tensors: it is a list|expected_tensors: [1];threshold: 0.9
threshold: it is text, and has to be a number from -1 to 1|expected_tensors: 1;threshold: '0.9'
threshold: it is a number|expected_tensors: 1;threshold: 1.0001
threshold: it is a number|expected_tensors: 1;threshold: .nan
threshold: it is a number|expected_tensors: 1;threshold: .inf
threshold: it is text|expected_tensors: 1;threshold: 0x3F7FBE77
threshold: it is text|expected_tensors: 1;threshold: 0,999
rules: it is text, and has to be a list|expected_tensors: 1;rules: max_diff < 1
rules: it is text|expected_tensors: 1;rules: no
rules: item 1 is a number, and has to be text|expected_tensors: 1;rules: [1]
rules: item 1 is a mapping|expected_tensors: 1;rules: ["x": y]
rules: 'max_diff' is no rule|expected_tensors: 1;rules: [max_diff]
allow: 'ok' is no status|expected_tensors: 1;threshold: 0.9;allow: [ok]
profile: no profile|expected_tensors: 1;profile: absent
profile: it is a boolean|expected_tensors: 1;profile: false
END
}

# ---- What is no contract ----

# bad FRAGMENT: the text on standard input is refused, with one line that has the fragment.
bad() {
    cat > contract.yaml
    make-results r.tsr x=1 y=1
    refuses "$1" timeout 5 "$builddir/filters/verdict" --contract contract.yaml --claim C r.tsr
}

@test "unknown keys are passed over, wherever they stand" {
    cat > contract.yaml << 'END'
# comment
metadata: {version: 1, enforcement_level: strict}
equations: {e: {formula: "a = b", invariants: [x, {y: [1, 2.5, ~, true]}]}}
proof_obligations:
  - {type: equivalence, property: p}
kani_harnesses: []
falsification_tests:
  - id: C
    description: an alias of rule
    ship_blocking: true
    evidence_discharged_by: [a, b]
    verdict: {expected_tensors: 2, threshold: 0.999}
    counter_example_classes:
      - |
        text with a tab	and umlauts: äöü
qa_gate: {id: q}
END
    judge 0 x=1 y=1
}

@test "JSON is YAML" {
    echo '{"falsification_tests": [{"id": "C", "verdict": {"expected_tensors": 2, "threshold": 9.99e-1, "rules": ["max_diff < 1"]}}]}' > contract.yaml
    judge 0 x=1 y=1
}

@test "hostile YAML gets one line" {
    bad "it is empty" < /dev/null
    bad "it is empty" <<< "# nothing but a comment"
    bad "no list falsification_tests" <<< "{}"
    bad "no list falsification_tests" <<< "falsification_tests: {id: C}"
    bad "item 1 of its falsification_tests has no id" <<< "falsification_tests: [C]"
    bad "item 1 of its falsification_tests has no id" <<< "falsification_tests: [{id: 3}]"
    bad "two claims 'C'" <<< "falsification_tests: [{id: C}, {id: C}]"
    bad "no mapping verdict" <<< "falsification_tests: [{id: C, verdict: [1]}]"
    bad "this is no mapping" <<< "- a list"
    bad "this is no mapping" <<< "a text"
    bad "line 2: a second document" <<< $'a: 1\n--- {b: 2}'
    bad "an alias" <<< $'a: &x [1, 2]\nb: *x'
    bad "line 1: an alias (a value that begins with * needs quotes)" <<< 'falsification_tests: [{id: C, verdict: {rules: [*w]}}]'
    bad "a tag" <<< 'a: !!python/object:os.system x'
    bad "a tag" <<< 'a: !!map {}'
    bad "key 'a' occurs twice" <<< $'a: 1\nb: 2\na: 3'
    bad "key 'id' occurs twice" <<< 'falsification_tests: [{id: C, id: D}]'
    bad "a key that is no text" <<< '{[a]: b}'
    bad "text with a NUL" <<< 'a: "x\0y"'
    bad "line 2: found character that cannot start any token" <<< $'a:\n\tb: 1'
    bad "line 2: " <<< 'a: [1, 2'
    bad "line " <<< 'a: "open'
    bad "byte 3: " < <(printf 'a: \xff\xfe\n')
    bad "byte 3: " < <(printf 'a: \0\n')
    bad "byte 0: " < <(printf '\xff\xfea\0:\0 \0b\0')
    bad "nested too deep" < <(python3 -c 'print("a: " + "[" * 33 + "]" * 33)')
    bad "nested too deep" < <(python3 -c 'print("[" * 1000000)' | sed 's/^/a: /')
    bad "line " < <(python3 -c 'print("a: {" * 100000)')
    # a bomb: nine levels of nine aliases each
    bad "an alias" < <(python3 -c 'print("a0: &a0 [x]")
for i in range(1, 10): print(f"a{i}: &a{i} [" + ", ".join([f"*a{i-1}"] * 9) + "]")')
    bad "a contract of " < <(python3 -c 'print("a: " + "x" * (4 << 20))')
    # a text of almost that size is just an unknown key
    (claim 'expected_tensors: 1' 'threshold: 0.999' && echo "z: '$(head -c 3000000 /dev/zero | tr '\0' z)'" >> contract.yaml)
    judge 0 x=1
    # cut anywhere
    claim 'expected_tensors: 2' 'threshold: 0.999'
    size=$(stat -c %s contract.yaml)
    make-results r.tsr x=1 y=1
    for ((length = 0; length < size - 5; length += 7)); do
        head -c $length contract.yaml > cut.yaml
        refuses "cut.yaml: " verdict --contract cut.yaml --claim C r.tsr
    done
}

@test "a claim is shown without control characters" {
    printf 'falsification_tests: [{id: "C\\e[31m\\n", verdict: {expected_tensors: 1, threshold: 0.9}}]' > contract.yaml
    make-results r.tsr x=1 y=1
    run -1 verdict --contract contract.yaml --claim $'C\e[31m\n' r.tsr
    says 'claim: C\x1b[31m\x0a: 2 tensors'
    [[ $output != *$'\e'* ]]
    refuses 'no claim' verdict --contract contract.yaml --claim $'C\e' r.tsr
}
