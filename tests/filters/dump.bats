#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/tensorutils_dump.py: the stages of a PyTorch model, as tensor-trace(1) names them.

load ../helpers

setup_file() {
    # the interpreter that sees the distribution's packages
    for python in $(type -aP python3); do
        if "$python" -c 'import torch, msgpack' 2> /dev/null; then
            echo "$python" > "$BATS_FILE_TMPDIR/python"
            make-traceable "$BATS_FILE_TMPDIR/models"
            return
        fi
    done
}

setup() {
    [ -e "$BATS_FILE_TMPDIR/python" ] || skip "python3-torch and python3-msgpack are not installed"
    python=$(< "$BATS_FILE_TMPDIR/python")
    llama=$BATS_FILE_TMPDIR/models/llama
    ids=3,1,4,1,5,9,2,6
    tensor-trace -q "$llama" --tokens "$ids" > a.tsr
}

# dumped [FAULT]: what PyTorch computes of the same model: b.tsr, and how it compares: c.tsr.
dumped() {
    "$python" "$srcdir/tests/tools/torch-llama" "$srcdir/scripts" "$llama" "$ids" "$@" > b.tsr
    tensor-cos -q a.tsr b.tsr > c.tsr
}

@test "every stage that a hook sees is that of tensor-trace" {
    dumped
    tensor-cos -q a.tsr b.tsr --json | grep '"compare"' > got
    [ "$(grep -c '"status":"ok"' got)" -eq 31 ]
    [ "$(grep -c '"status":"only_a"' got)" -eq 8 ]
    run -0 verdict --allow only_a --rule 'cosine_similarity >= 0.99999999999' --rule 'max_diff <= 1e-12' c.tsr
    # what it does not see is computed on the way
    run -0 verdict < <(tensor-origin --models "$llama" "$llama" c.tsr)
}

@test "a fault of the program is found in its dump" {
    for fault in rope scale; do
        dumped "$fault"
        run -1 verdict < <(tensor-origin -q --models "$llama" "$llama" c.tsr)
        [[ $output == *"layers.0.attn_context"*"the program of b computed something else than its model says"* ]]
        run -0 tensor-origin -q --models "$llama" "$llama" --json c.tsr
        [[ ${lines[-1]} == *'"first":"layers.0.attn_context"'*'"cause":"program_b"'* ]]
    done
}

@test "a pass that fails leaves no stream that could be taken for a whole one" {
    cat > half.py << 'END'
import sys
sys.path.insert(0, sys.argv[1])
import torch
from tensorutils_dump import Dump
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(4, 2)
    def forward(self, x):
        self.embed_tokens(x)
        raise ValueError("out of luck")
try:
    with Dump(Net(), open("half.tsr", "wb"), [1, 2]) as dump:
        dump.model(torch.tensor([[1, 2]]))
except ValueError:
    pass
END
    "$python" half.py "$srcdir/scripts"
    refuses "out of luck" tensor-cat half.tsr
}
