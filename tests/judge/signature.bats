#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# verdict --sign and --signers: who sealed the evidence, by OpenSSH's keys.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make-model a.safetensors 'x F32 2 = 1 2' -- b.gguf 'x F32 2 = 1 2'
    printf 'falsification_tests:\n- id: C\n  verdict: {expected_tensors: 1, threshold: 0.9}\n' > contract.yaml
    command -v ssh-keygen > /dev/null || return 0
    for who in ann eve; do
        ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$who"
    done
    printf 'ann@example.org namespaces="evidence@tensorutils" %s\n' "$(cut -d' ' -f1,2 ann.pub)" > signers
    tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json --sign ann
}

setup() {
    command -v ssh-keygen > /dev/null || skip "ssh-keygen (openssh-client) is not installed"
    cp -pr "$BATS_FILE_TMPDIR"/* "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
}

check() {
    verdict --check-evidence e.json --contract contract.yaml "$@"
}

@test "signed by one of the signers" {
    run -0 check --signers signers
    says 'verdict: pass' 'signed: ann@example.org'
    check --signers signers --json | grep -q '"signature":"ann@example.org'
}

@test "without --signers, whether there is a signature is said, and not who made it" {
    run -0 check
    says 'signed: not checked'
    rm e.json.sig
    run -0 check
    says 'signed: unsigned'
}

@test "evidence without a signature, where signers are named, does not hold" {
    rm e.json.sig
    run -1 check --signers signers
    says 'drift: it is unsigned'
}

@test "evidence that was forged and sealed anew is told apart" {
    seal e.json 'e["results"]["tensors_compared"] = 1; e["host"]["hostname"] = "elsewhere"' e.json
    run -0 check
    run -1 check --signers signers
    says 'drift: its signature does not hold'
    [ "$(grep -c '^drift:' <<< "$output")" -eq 1 ]
}

@test "another's signature, one of something else, and a broken one do not hold" {
    ssh-keygen -q -Y sign -n evidence@tensorutils -f eve < e.json > e.json.sig 2> /dev/null
    run -1 check --signers signers
    says 'none of the signers'
    ssh-keygen -q -Y sign -n git -f ann < e.json > e.json.sig 2> /dev/null
    run -1 check --signers signers
    says 'its signature does not hold'
    head -c 100 e.json.sig > cut && mv cut e.json.sig
    run -1 check --signers signers
    says 'its signature does not hold'
    : > e.json.sig
    run -1 check --signers signers
}

@test "a key or a list of signers that is not there is trouble; no evidence stays unsigned by accident" {
    refuses 'nobody' check --signers nobody
    rm -f e.json e.json.sig
    run -2 pipeline "tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json --sign nokey"
    [ ! -e e.json ]
    [ ! -e e.json.sig ]
    refuses '--sign needs --evidence' verdict --sign ann a.tsr
    refuses '--signers needs --check-evidence' verdict --signers signers a.tsr
}

@test "evidence that is written again without a key leaves no old signature beside it" {
    tensor-cos a.safetensors b.gguf | verdict --contract contract.yaml --claim C --evidence e.json > /dev/null
    [ ! -e e.json.sig ]
}

@test "without ssh-keygen one line says what to install" {
    mkdir empty
    run --separate-stderr -2 env PATH="$PWD/empty" "$(command -v verdict)" --check-evidence e.json --contract contract.yaml --signers signers
    [[ $stderr == *openssh-client* ]]
}
