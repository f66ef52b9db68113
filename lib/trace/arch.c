/* SPDX-License-Identifier: MIT */
/* The table of architectures that can be traced. */
#include "config.h"

#include "trace/arch.h"

#include <string.h>

#define LLAMA_NORMS .attn_norm = "input_layernorm", .ffn_norm = "post_attention_layernorm"
#define GEMMA_NORMS                                                                                \
    .attn_norm = "input_layernorm", .attn_post_norm = "post_attention_layernorm",                  \
    .ffn_norm = "pre_feedforward_layernorm", .ffn_post_norm = "post_feedforward_layernorm"
#define QWEN_EXPERTS                                                                               \
    .router = "mlp.gate", .expert = "mlp.experts.", .gate = "gate_proj", .up = "up_proj",          \
    .down = "down_proj"

static const struct tu_trace_arch archs[] = {
    /* Llama, Mistral and, with experts, Mixtral. */
    {.name = "llama",
     .act = "silu",
     LLAMA_NORMS,
     .router = "block_sparse_moe.gate",
     .expert = "block_sparse_moe.experts.",
     .gate = "w1",
     .up = "w3",
     .down = "w2"},
    {.name = "qwen2", .act = "silu", LLAMA_NORMS},
    {.name = "qwen2moe",
     .act = "silu",
     LLAMA_NORMS,
     QWEN_EXPERTS,
     .shared = "mlp.shared_expert",
     .shared_gate = "mlp.shared_expert_gate"},
    {.name = "qwen3", .act = "silu", LLAMA_NORMS, .head_norms = true},
    {.name = "qwen3moe", .act = "silu", LLAMA_NORMS, .head_norms = true, QWEN_EXPERTS},
    {.name = "gemma", .act = "gelu", LLAMA_NORMS, .plus_one = true, .scaled_embedding = true},
    {.name = "gemma2",
     .act = "gelu",
     GEMMA_NORMS,
     .plus_one = true,
     .post_norms = true,
     .attention_cap = true,
     .logit_cap = true,
     .window = true,
     .scaled_embedding = true},
    {.name = "gemma3",
     .act = "gelu",
     GEMMA_NORMS,
     .plus_one = true,
     .post_norms = true,
     .head_norms = true,
     .window = true,
     .scaled_embedding = true},
    {.name = "phi3", .act = "silu", LLAMA_NORMS, .fused = true},
};

const struct tu_trace_arch *tu_trace_arch(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (strlen(archs[i].name) == length && memcmp(archs[i].name, name, length) == 0)
            return &archs[i];
    return NULL;
}

const struct tu_trace_arch *tu_trace_archs(size_t *count)
{
    *count = sizeof archs / sizeof *archs;
    return archs;
}
