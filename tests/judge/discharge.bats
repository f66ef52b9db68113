#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a contract says of its own discharge: held against the evidence, and entered by --write-block.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make-model a.safetensors 'x F32 2 = 1 2' 'y F32 2 = 3 4' -- b.gguf 'x F32 2 = 1 2' 'y F32 2 = 3 4.01'
    cat > contract.yaml << 'END'
# Größe: a comment with letters of two bytes
metadata: {version: "1.0.0"}
falsification_tests:
  - id: A
    rule: another claim
    discharge_status: PARTIAL_ALGORITHM_LEVEL
    verdict: {expected_tensors: 1, threshold: 0.5}
  - id: C   # the one
    rule: |
      every tensor
      survives
    binds_to: AC-1
    discharge_status: PARTIAL_ALGORITHM_LEVEL # until it ran
    verdict:
      expected_tensors: 2
      threshold: 0.999

  # the last
  - id: Z
    verdict: {expected_tensors: 2, profile: exact}
END
    tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json
}

setup() {
    cp -pr "$BATS_FILE_TMPDIR"/* "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
}

# entry LINE...: the contract, with those lines in the entry of the claim.
entry() {
    local line lines=''
    for line; do
        lines+="    $line\\n"
    done
    sed "s/^    binds_to: AC-1$/${lines}    binds_to: AC-1/" contract.yaml > c2.yaml
}

# drifts FRAGMENT LINE...: with those lines in it, the contract differs from the evidence in one thing.
drifts() {
    local fragment=$1
    shift
    entry "$@"
    run -1 verdict --check-evidence e.json --contract c2.yaml
    says "$fragment"
    [ "$(grep -c '^drift: ' <<< "$output")" -eq 1 ] || { echo "$output"; return 1; }
}

# agrees LINE...: with those lines in it, the contract and the evidence agree.
agrees() {
    entry "$@"
    run -0 verdict --check-evidence e.json --contract c2.yaml
    run ! grep '^drift: ' <<< "$output"
}

@test "a claim that was not entered yet is noted, and is no drift" {
    run -0 verdict --check-evidence e.json --contract contract.yaml
    says 'verdict: pass' '--write-block'
}

@test "each thing that the contract says of its discharge is held against the evidence" {
    sed -i 's/discharge_status: PARTIAL_ALGORITHM_LEVEL # until it ran/discharge_status: DISCHARGED/' contract.yaml
    agrees "discharged_evidence: {host: $(uname -n), aggregate_verdict: Pass, tensors_compared: 2}"
    agrees 'discharged_evidence: {cosine_summary: {below_threshold_count: 0, threshold: 0.999, max: 1}}'
    agrees 'aggregate_verdict: PASS' 'tensors_compared: 2' 'evidence_discharged_by_live: [other.json, runs\/e.json]'
    agrees "discharged_evidence: {sha256: $(sha256sum < e.json | cut -c1-64)}"
    agrees "discharged_evidence: {sha256: $(sha256sum < b.gguf | cut -c1-64)}"
    agrees "discharged_evidence: {host: {hostname: $(uname -n), gpu: none}}"
    drifts 'discharged_evidence.host is nowhere' 'discharged_evidence: {host: nowhere}'
    drifts 'hostname is nowhere' 'discharged_evidence: {host: {hostname: nowhere}}'
    drifts 'aggregate_verdict is Fail, the evidence has pass' 'discharged_evidence: {aggregate_verdict: Fail}'
    drifts 'tensors_compared is 338, the evidence has 2' 'discharged_evidence: {tensors_compared: 338}'
    drifts 'tensors_compared is 338, the evidence has 2' 'tensors_compared: 338'
    drifts 'below_threshold_count is 7, the evidence has 0' \
        'discharged_evidence: {cosine_summary: {below_threshold_count: 7}}'
    drifts 'below_threshold_count is 7, the evidence has 0' 'discharged_evidence: {below_threshold_count: 7}'
    drifts 'cosine_summary.min is 0.5' 'discharged_evidence: {cosine_summary: {min: 0.5}}'
    drifts 'cosine_summary.threshold is 0.9, its verdict.threshold is 0.999' \
        'discharged_evidence: {cosine_summary: {threshold: 0.9}}'
    drifts 'does not name this evidence' 'evidence_discharged_by_live: [other.json]'
    drifts 'does not name this evidence' 'discharged_evidence: {evidence_discharged_by_live: []}'
    drifts 'no digest of the evidence' "discharged_evidence: {sha256: $(sha256sum < contract.yaml | cut -c1-64)}"
    drifts 'binds_to is AC-2, the evidence has AC-1' 'discharged_evidence: {binds_to: AC-2}'
    drifts 'discharge_status is REVOKED' 'discharged_evidence: {discharge_status: REVOKED}'
    drifts 'evidence_id is C@yesterday' 'discharged_evidence: {evidence_id: C@yesterday}'
    drifts 'is no mapping' 'discharged_evidence: [a, b]'
}

@test "the claim that the contract binds is the one that the evidence binds" {
    sed 's/binds_to: AC-1/binds_to: AC-9/' contract.yaml > c2.yaml
    run -1 verdict --check-evidence e.json --contract c2.yaml
    says 'binds_to is AC-9, the evidence has AC-1'
}

@test "what is not understood is said" {
    entry 'discharged_evidence: {runtime_seconds: 3}'
    run verdict --check-evidence e.json --contract c2.yaml
    says 'note: the contract'"'"'s discharged_evidence.runtime_seconds was not compared'
}

@test "a status that no run gives, or that the evidence does not carry, is drift" {
    for stated in REVOKED PROPOSED; do
        sed "s/PARTIAL_ALGORITHM_LEVEL # until it ran/$stated/" contract.yaml > c2.yaml
        run -1 verdict --check-evidence e.json --contract c2.yaml
        says "discharge_status is $stated, the evidence has DISCHARGED"
    done
}

@test "--write-block enters the discharge, and changes nothing else" {
    cp contract.yaml before.yaml
    run -0 verdict --check-evidence e.json --contract contract.yaml --write-block
    says 'verdict: pass'
    run -0 verdict --check-evidence e.json --contract contract.yaml
    run ! grep -e '^drift:' -e '^note:.*was not compared' <<< "$output"
    # what was there is there, in its order; one line is another one
    run -1 diff before.yaml contract.yaml
    echo "$output" > changes
    [ "$(grep -c '^<' changes)" -eq 1 ]
    grep -qx '<     discharge_status: PARTIAL_ALGORITHM_LEVEL # until it ran' changes
    grep -qx '>     discharge_status: DISCHARGED # until it ran' changes
    grep -qx '    discharged_evidence:' contract.yaml
    grep -qx '      tensors_compared: 2' contract.yaml
    grep -qx "      sha256: \"$(sha256sum < e.json | cut -c1-64)\"" contract.yaml
    # before the claim that follows
    [ "$(grep -n 'discharged_evidence:' contract.yaml | cut -d: -f1)" -lt "$(grep -n 'id: Z' contract.yaml | cut -d: -f1)" ]
}

@test "--write-block a second time replaces what it wrote" {
    verdict --check-evidence e.json --contract contract.yaml --write-block > /dev/null
    cp contract.yaml once.yaml
    verdict --check-evidence e.json --contract contract.yaml --write-block > /dev/null
    cmp once.yaml contract.yaml
    # another run: its evidence, its block
    tensor-cos a.safetensors a.safetensors | verdict --contract contract.yaml --claim C --evidence e2.json > /dev/null
    run -1 verdict --check-evidence e2.json --contract contract.yaml
    says 'sha256' 'does not name this evidence'
    verdict --check-evidence e2.json --contract contract.yaml --write-block > /dev/null
    run -0 verdict --check-evidence e2.json --contract contract.yaml
    [ "$(grep -c discharged_evidence: contract.yaml)" -eq 1 ]
}

@test "--write-block where the entry has no status, no end of line, other line ends" {
    printf 'falsification_tests:\n- verdict: {expected_tensors: 2, threshold: 0.9}\n  id: C' > n.yaml
    tensor-cos a.safetensors b.gguf | verdict --contract n.yaml --claim C --evidence n.json > /dev/null
    verdict --check-evidence n.json --contract n.yaml --write-block > /dev/null
    verdict --check-evidence n.json --contract n.yaml | grep -qx 'verdict: pass'
    sed 's/$/\r/' contract.yaml > r.yaml
    tensor-cos a.safetensors b.gguf | verdict --contract r.yaml --claim C --evidence r.json > /dev/null
    verdict --check-evidence r.json --contract r.yaml --write-block > /dev/null
    [ "$(grep -c $'\r$' r.yaml)" -eq "$(wc -l < r.yaml)" ]
    verdict --check-evidence r.json --contract r.yaml | grep -qx 'verdict: pass'
}

@test "--write-block leaves the contract alone where it cannot be done, or the evidence does not hold" {
    printf 'falsification_tests: [{id: C, verdict: {expected_tensors: 2, threshold: 0.9}}]\n' > f.yaml
    tensor-cos a.safetensors b.gguf | verdict --contract f.yaml --claim C --evidence f.json > /dev/null
    cp f.yaml was.yaml
    refuses 'braces' verdict --check-evidence f.json --contract f.yaml --write-block
    cmp f.yaml was.yaml
    cp contract.yaml was.yaml
    printf x >> b.gguf
    run -1 verdict --check-evidence e.json --contract contract.yaml --write-block
    says 'b.gguf'
    cmp contract.yaml was.yaml
    refuses 'needs --check-evidence' verdict --write-block a.tsr
}
