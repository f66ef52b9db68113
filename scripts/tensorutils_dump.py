#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the stages of a PyTorch model as a tensor stream, named as tensor-trace(1) names them.

Needs torch and msgpack.  In a program of one's own:

    from tensorutils_dump import Dump
    with Dump(model, open("b.tsr", "wb"), ids):
        model(torch.tensor([ids]))

or, with transformers, for a folder:

    tensorutils_dump.py FOLDER 1,2,3 > b.tsr

The model is one of Hugging Face's decoders, or a module whose parts have the same names; heads are taken from
model.config.  What no hook sees is left out: q and k behind rope, scores and weights of attention, and the
experts where they are one module.  tensor-cos compares what is there, and tensor-origin computes the rest on
the way.
"""
import hashlib
import re
import struct
import sys

import msgpack
import torch

TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}
CHUNK = 1 << 30

# Of a layer: (module, whether its input is meant, stage).  Gemma 2 and 3 have four norms, of which two come
# behind what they are named after.
LAYER = [("input_layernorm", False, "attn_norm"), ("self_attn.q_proj", False, "q"), ("self_attn.k_proj", False, "k"),
         ("self_attn.v_proj", False, "v"), ("self_attn.q_norm", False, "q_norm"), ("self_attn.k_norm", False, "k_norm"),
         ("self_attn.o_proj", True, "attn_context"), ("self_attn.o_proj", False, "o_proj"),
         ("mlp.gate_proj", False, "ffn_gate"), ("mlp.up_proj", False, "ffn_up"), ("mlp.act_fn", False, "ffn_act"),
         ("mlp.down_proj", True, "ffn_mul"), ("mlp.down_proj", False, "ffn_down"),
         ("block_sparse_moe.gate", False, "moe_router"), ("mlp.gate", False, "moe_router"),
         ("block_sparse_moe", False, "moe_out"), ("mlp.shared_expert.gate_proj", False, "shexp_gate"),
         ("mlp.shared_expert.up_proj", False, "shexp_up"), ("mlp.shared_expert.act_fn", False, "shexp_act"),
         ("mlp.shared_expert.down_proj", True, "shexp_mul"), ("mlp.shared_expert.down_proj", False, "shexp_down"),
         ("", False, "residual")]
TWO_NORMS = [("post_attention_layernorm", True, "attn_residual"), ("post_attention_layernorm", False, "ffn_norm")]
FOUR_NORMS = [("post_attention_layernorm", False, "attn_post_norm"), ("pre_feedforward_layernorm", True, "attn_residual"),
              ("pre_feedforward_layernorm", False, "ffn_norm"), ("post_feedforward_layernorm", False, "ffn_post_norm")]


def first(value):
    """The tensor of what a module takes or gives, which may be a tuple."""
    return value[0] if isinstance(value, (tuple, list)) else value


class Dump:
    """Hooks into a model while it is entered; each stage is written when it has been computed."""

    def __init__(self, model, out, ids, program="torch " + torch.__version__):
        self.model, self.out, self.ids, self.program = model, out, list(map(int, ids)), program
        self.config = getattr(model, "config", None)
        self.config = getattr(self.config, "text_config", self.config)
        self.handles, self.seen, self.tensors = [], set(), 0
        digest = hashlib.sha256(struct.pack("<%dI" % len(self.ids), *self.ids)).hexdigest()
        self.tokens = {"first": 0, "count": len(self.ids), "ids_digest": digest}

    def put(self, value):
        self.out.write(msgpack.packb(value))

    def heads(self, stage, tensor):
        """q, k and v as [token, head, dim], where the configuration says how many heads there are."""
        count = {"q": "num_attention_heads", "k": "num_key_value_heads", "v": "num_key_value_heads"}.get(stage)
        heads = count and (getattr(self.config, count, None) or getattr(self.config, "num_attention_heads", None))
        return tensor.reshape(tensor.shape[0], heads, -1) if heads and tensor.dim() == 2 else tensor

    def write(self, name, stage, layer, tensor):
        tensor = first(tensor).detach()
        if name in self.seen:
            raise RuntimeError("'%s' came twice: one pass over all tokens is written, no more" % name)
        if tensor.dim() > 2 and tensor.shape[0] == 1:
            tensor = tensor[0]
        if tensor.shape[0] != len(self.ids) and tensor.dim() == 3 and tensor.shape[1] == len(self.ids):
            tensor = tensor.transpose(0, 1)
        if tensor.shape[0] != len(self.ids):
            raise RuntimeError("'%s' has %d rows for %d tokens" % (name, tensor.shape[0], len(self.ids)))
        if tensor.dtype not in TYPES:
            tensor = tensor.float()
        tensor = self.heads(stage, tensor).contiguous().cpu()
        raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        record = {"kind": "tensor", "name": name, "dtype": TYPES[tensor.dtype], "shape": list(tensor.shape),
                  "nbytes": len(raw), "stage": stage, "tokens": self.tokens, "program": self.program}
        if layer is not None:
            record["layer"] = layer
        self.put(record)
        for at in range(0, len(raw), CHUNK):
            self.put(raw[at:at + CHUNK])
        self.seen.add(name)
        self.tensors += 1

    def hook(self, module, is_input, name, stage, layer):
        if is_input:
            handle = module.register_forward_pre_hook(lambda m, x: self.write(name, stage, layer, x))
        else:
            handle = module.register_forward_hook(lambda m, x, y: self.write(name, stage, layer, y))
        self.handles.append(handle)

    def hook_layer(self, number, layer):
        modules = dict(layer.named_modules())
        rows = LAYER + (FOUR_NORMS if "pre_feedforward_layernorm" in modules else TWO_NORMS)
        taken = set()
        for path, is_input, stage in rows:
            if path in modules and (path == "" or len(list(modules[path].parameters())) or path.endswith("act_fn")):
                if stage not in taken:
                    self.hook(modules[path], is_input, "layers.%d.%s" % (number, stage), stage, number)
                taken.add(stage)

    def hook_ends(self, modules):
        scaled = "gemma" in str(getattr(self.config, "model_type", ""))
        capped = getattr(self.config, "final_logit_softcapping", None)
        for path, module in modules.items():
            last = path.split(".")[-1]
            if last == "embed_tokens" and not scaled:
                self.hook(module, False, "embedding", "embedding", None)
            if re.search(r"(^|\.)layers\.0$", path) and scaled:
                self.hook(module, True, "embedding", "embedding", None)
            if last == "norm" and "layers" not in path:
                self.hook(module, False, "final_norm", "final_norm", None)
            if last == "lm_head":
                stage = "logits_uncapped" if capped else "logits"
                self.hook(module, False, stage, stage, None)

    def __enter__(self):
        self.put({"kind": "stream", "version": 1, "tool": "tensorutils_dump"})
        self.put({"kind": "trace", "program": self.program, "tokens": {**self.tokens, "ids": self.ids}})
        modules = dict(self.model.named_modules())
        for path, module in modules.items():
            match = re.search(r"(?:^|\.)layers\.(\d+)$", path)
            if match:
                self.hook_layer(int(match.group(1)), module)
        self.hook_ends(modules)
        if not self.handles:
            raise RuntimeError("the model has no module by a name that is known (model.layers.0.self_attn.q_proj)")
        return self

    def __exit__(self, kind, error, trace):
        for handle in self.handles:
            handle.remove()
        if error is not None:
            self.put({"kind": "error", "tool": "tensorutils_dump", "message": str(error) or kind.__name__})
        else:
            self.put({"kind": "end", "tensors": self.tensors, "records": 1})
        self.out.flush()


def main(folder, tokens):
    from transformers import AutoModelForCausalLM
    ids = [int(token) for token in re.findall(r"\d+", tokens)]
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad(), Dump(model, sys.stdout.buffer, ids):
        model(torch.tensor([ids]), use_cache=False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tensorutils_dump.py FOLDER IDS > STREAM")
    main(*sys.argv[1:])
