/* SPDX-License-Identifier: MIT */
/* The table of facts, and what readers take where a key is not there: data, in one place. */
#ifndef TU_FACTS_TABLE_H
#define TU_FACTS_TABLE_H

#include "model/facts/facts.h"

/* The facts that code speaks of, in the order in which they are put out.
 * X(ID, name, kind, policy, neutral, config.json, GGUF, APR, Meta, Mistral) */
/* clang-format off */
#define TU_FACT_TABLE(X) \
  /* shape */ \
  X(ARCH, "arch", WORD, FAILS, NULL, NULL, "general.architecture", NULL, NULL, NULL) \
  X(LAYERS, "layers", COUNT, FAILS, NULL, "num_hidden_layers n_layer n_layers num_layers", "block_count", "num_layers num_hidden_layers n_layers n_layer", "n_layers", "n_layers") \
  X(HIDDEN, "hidden", COUNT, FAILS, NULL, "hidden_size n_embd d_model", "embedding_length", "hidden_size hidden_dim d_model n_embd", "dim", "dim") \
  X(HEADS, "heads", COUNT, FAILS, NULL, "num_attention_heads n_head", "attention.head_count", "num_heads num_attention_heads n_heads n_head", "n_heads", "n_heads") \
  X(KV_HEADS, "kv_heads", COUNT, FAILS, NULL, "num_key_value_heads", "attention.head_count_kv", "num_kv_heads num_key_value_heads n_kv_heads", "n_kv_heads", "n_kv_heads") \
  X(HEAD_DIM, "head_dim", COUNT, FAILS, NULL, "head_dim kv_channels", "attention.key_length", "head_dim", NULL, "head_dim") \
  X(V_HEAD_DIM, "v_head_dim", COUNT, FAILS, NULL, NULL, "attention.value_length", NULL, NULL, NULL) \
  X(HEAD_DIM_LOCAL, "head_dim_local", COUNT, FAILS, NULL, NULL, "attention.key_length_swa", NULL, NULL, NULL) \
  X(FFN, "ffn", COUNT, FAILS, "0", "intermediate_size n_inner ffn_dim ffn_hidden_size d_ff block_ff_dim", "feed_forward_length", "intermediate_size ffn_dim intermediate_dim n_inner", NULL, "hidden_dim") \
  X(VOCAB, "vocab", COUNT, FAILS, NULL, "vocab_size", NULL, "vocab_size n_vocab", "vocab_size", "vocab_size") \
  X(CONTEXT, "context", COUNT, LISTED, NULL, "max_position_embeddings n_positions n_ctx seq_length", "context_length", "max_position_embeddings max_seq_len context_length n_ctx", "max_seq_len", "max_position_embeddings") \
  X(TIED, "tied", FLAG, FAILS, NULL, NULL, NULL, NULL, NULL, "tied_embeddings") \
  X(MTP, "mtp", COUNT, LISTED, "0", "num_nextn_predict_layers num_mtp_layers mtp_num_hidden_layers", "nextn_predict_layers", NULL, NULL, NULL) \
  /* norms, activation, multipliers */ \
  X(NORM_KIND, "norm.kind", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(NORM_EPS, "norm.eps", REAL, FAILS, NULL, NULL, NULL, "rms_norm_eps layer_norm_eps", "norm_eps", "norm_eps") \
  X(ACT, "act", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(SCALE_EMBEDDING, "scale.embedding", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(SCALE_RESIDUAL, "scale.residual", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(SCALE_LOGITS, "scale.logits", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(ATTN_SCALE, "attn.scale", REAL, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ATTN_SOFTCAP, "attn.softcap", REAL, FAILS, "0", "attn_logit_softcapping", "attn_logit_softcapping", NULL, NULL, NULL) \
  X(LOGIT_SOFTCAP, "logit.softcap", REAL, FAILS, "0", "final_logit_softcapping", "final_logit_softcapping", NULL, NULL, NULL) \
  X(ROUTER_SOFTCAP, "router.softcap", REAL, FAILS, "0", "router_logit_softcapping", "router_logit_softcapping", NULL, NULL, NULL) \
  X(PARALLEL, "parallel", FLAG, FAILS, "false", "use_parallel_residual", "use_parallel_residual", NULL, NULL, NULL) \
  X(CAUSAL, "causal", FLAG, FAILS, "true", "is_causal causal", "attention.causal", NULL, NULL, "causal") \
  X(ALIBI, "alibi", REAL, LISTED, "0", NULL, "attention.max_alibi_bias", NULL, NULL, NULL) \
  /* position */ \
  X(ROPE_KIND, "rope.kind", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_BASE, "rope.base", REAL, FAILS, NULL, NULL, "rope.freq_base", "rope_theta", "rope_theta", "rope_theta") \
  X(ROPE_BASE_LOCAL, "rope.base_local", REAL, FAILS, NULL, NULL, "rope.freq_base_swa", NULL, NULL, NULL) \
  X(ROPE_DIM, "rope.dim", COUNT, FAILS, NULL, NULL, "rope.dimension_count", NULL, NULL, NULL) \
  X(ROPE_SCALING, "rope.scaling", WORD, FAILS, "none", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_FACTOR, "rope.factor", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_FACTOR_LOCAL, "rope.factor_local", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_ORIG_CTX, "rope.orig_ctx", COUNT, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_ATTN_FACTOR, "rope.attn_factor", REAL, FAILS, "1", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_BETA_FAST, "rope.beta_fast", REAL, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_BETA_SLOW, "rope.beta_slow", REAL, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_MSCALE_ALL_DIM, "rope.mscale_all_dim", REAL, FAILS, "0", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_EXT_FACTOR, "rope.ext_factor", REAL, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_TRUNCATE, "rope.truncate", FLAG, LISTED, "true", NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_FREQ_FACTORS, "rope.freq_factors", REALS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_LONG, "rope.long", REALS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_SHORT, "rope.short", REALS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ROPE_SECTIONS, "rope.sections", REALS, FAILS, NULL, NULL, "rope.dimension_sections", NULL, NULL, NULL) \
  X(ROPE_LAYERS, "rope.layers", FLAGS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  /* windows and kinds of layers */ \
  X(WINDOW, "window", COUNT, FAILS, "0", NULL, "attention.sliding_window", NULL, NULL, "sliding_window") \
  X(WINDOW_LAYERS, "window.layers", FLAGS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(LINEAR_LAYERS, "linear.layers", FLAGS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(SSM_CONV, "ssm.conv_kernel", COUNT, FAILS, NULL, "linear_conv_kernel_dim", "ssm.conv_kernel", NULL, NULL, NULL) \
  X(SSM_STATE, "ssm.state_size", COUNT, FAILS, NULL, "linear_key_head_dim", "ssm.state_size", NULL, NULL, NULL) \
  X(SSM_GROUPS, "ssm.group_count", COUNT, FAILS, "0", "linear_num_key_heads", "ssm.group_count", NULL, NULL, NULL) \
  X(SSM_RANK, "ssm.time_step_rank", COUNT, FAILS, NULL, "linear_num_value_heads", "ssm.time_step_rank", NULL, NULL, NULL) \
  X(SSM_INNER, "ssm.inner_size", COUNT, FAILS, NULL, NULL, "ssm.inner_size", NULL, NULL, NULL) \
  X(KV_SHARED, "kv_shared", COUNT, FAILS, "0", "num_kv_shared_layers", "attention.shared_kv_layers", NULL, NULL, NULL) \
  X(TEMPERATURE_SCALE, "temperature.scale", REAL, FAILS, "0", NULL, "attention.temperature_scale", NULL, NULL, NULL) \
  X(TEMPERATURE_LENGTH, "temperature.length", COUNT, FAILS, "0", NULL, "attention.temperature_length", NULL, NULL, NULL) \
  /* experts */ \
  X(EXPERTS, "experts", COUNT, FAILS, "0", "num_local_experts num_experts n_routed_experts moe_num_experts", "expert_count", "num_experts", NULL, "moe.num_experts") \
  X(EXPERTS_USED, "experts.used", COUNT, FAILS, "0", "num_experts_per_tok top_k_experts num_experts_per_token moe_k moe_top_k", "expert_used_count", "num_experts_per_tok", NULL, "moe.num_experts_per_tok") \
  X(EXPERTS_FFN, "experts.ffn", COUNT, FAILS, "0", "moe_intermediate_size", "expert_feed_forward_length", "moe_intermediate_size", NULL, "moe.expert_hidden_dim") \
  X(EXPERTS_SHARED, "experts.shared", COUNT, FAILS, "0", "n_shared_experts num_shared_experts moe_num_shared_experts", "expert_shared_count", NULL, NULL, "moe.num_shared_experts") \
  X(EXPERTS_SHARED_FFN, "experts.shared_ffn", COUNT, FAILS, "0", "shared_expert_intermediate_size shared_intermediate_size moe_shared_expert_intermediate_size", "expert_shared_feed_forward_length", NULL, NULL, NULL) \
  X(EXPERTS_GATE, "experts.gate", WORD, FAILS, NULL, "scoring_func score_function", NULL, NULL, NULL, NULL) \
  X(EXPERTS_NORM, "experts.norm", FLAG, FAILS, NULL, "norm_topk_prob", "expert_weights_norm", NULL, NULL, NULL) \
  X(EXPERTS_SCALE, "experts.scale", REAL, FAILS, "1", "routed_scaling_factor", "expert_weights_scale", NULL, NULL, "moe.routed_scale") \
  X(EXPERTS_GROUPS, "experts.groups", COUNT, FAILS, "1", "n_group", "expert_group_count", NULL, NULL, "moe.num_expert_groups") \
  X(EXPERTS_GROUPS_USED, "experts.groups_used", COUNT, FAILS, "1", "topk_group", "expert_group_used_count", NULL, NULL, "moe.num_expert_groups_per_tok") \
  X(EXPERTS_DENSE_LEAD, "experts.dense_lead", COUNT, FAILS, "0", "first_k_dense_replace", "leading_dense_block_count", NULL, NULL, "moe.first_k_dense_replace") \
  X(EXPERTS_EVERY, "experts.every", COUNT, FAILS, "1", "interleave_moe_layer_step", "interleave_moe_layer_step", NULL, NULL, "moe.route_every_n") \
  /* attention with a compressed cache */ \
  X(MLA_Q_RANK, "mla.q_lora_rank", COUNT, FAILS, "0", "q_lora_rank", "attention.q_lora_rank", NULL, NULL, "q_lora_rank") \
  X(MLA_KV_RANK, "mla.kv_lora_rank", COUNT, FAILS, "0", "kv_lora_rank", "attention.kv_lora_rank", NULL, NULL, "kv_lora_rank") \
  X(MLA_KEY, "mla.key_length", COUNT, FAILS, NULL, NULL, "attention.key_length_mla", NULL, NULL, NULL) \
  X(MLA_VALUE, "mla.value_length", COUNT, FAILS, NULL, NULL, "attention.value_length_mla", NULL, NULL, "v_head_dim") \
  /* tokens */ \
  X(TOKENIZER_KIND, "tokenizer.kind", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKENIZER_PRE, "tokenizer.pre", WORD, LISTED, NULL, NULL, "tokenizer.ggml.pre", NULL, NULL, NULL) \
  X(TOKENS, "tokens", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKENS_COUNT, "tokens.count", COUNT, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKENS_ADDED, "tokens.added", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(PIECES, "pieces", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(MERGES, "merges", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(SCORES, "scores", WORD, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_BOS, "token.bos", IDS, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_EOS, "token.eos", IDS, FAILS, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_UNK, "token.unk", IDS, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_SEP, "token.sep", IDS, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_PAD, "token.pad", IDS, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(TOKEN_MASK, "token.mask", IDS, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(ADD_BOS, "add_bos", FLAG, FAILS, NULL, NULL, "tokenizer.ggml.add_bos_token", NULL, NULL, NULL) \
  X(ADD_EOS, "add_eos", FLAG, LISTED, NULL, NULL, "tokenizer.ggml.add_eos_token", NULL, NULL, NULL) \
  X(ADD_SPACE_PREFIX, "add_space_prefix", FLAG, LISTED, NULL, NULL, "tokenizer.ggml.add_space_prefix", NULL, NULL, NULL) \
  X(CHAT_TEMPLATE, "chat_template", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(QUANT, "quant", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL) \
  X(CONFLICT, "conflict", WORD, LISTED, NULL, NULL, NULL, NULL, NULL, NULL)
/* clang-format on */

enum tu_fact_id {
#define TU_FACT_ID(ID, ...) TU_FACT_##ID,
    TU_FACT_TABLE(TU_FACT_ID)
#undef TU_FACT_ID
        TU_FACT_IDS_END
};

/* A class of transformers: what its constructor takes where config.json lacks a key, as words
 * "name=value", names of facts or what config.c asks for. */
struct tu_config_class {
    const char *types; /* model_type, several separated by blanks */
    const char *arch;  /* general.architecture of what the converter makes of it */
    const char *words;
    bool open; /* its other defaults are not known: what is absent is unknown */
};
/* NULL: not known. */
const struct tu_config_class *tu_config_class(const char *type, size_t length);

/* An architecture of llama.cpp, and what its code does, as words. */
struct tu_gguf_arch {
    const char *archs;
    const char *words;
};
const struct tu_gguf_arch *tu_gguf_arch(const char *arch, size_t length);

/* The value of a word "name=value" in a text of them; NULL: it is not there. */
const char *tu_word(const char *words, const char *name, size_t *length);
bool tu_word_number(const char *words, const char *name, double *out);
bool tu_word_is(const char *words, const char *name, const char *value);
/* Whether one of the words, separated by blanks, is this one. */
bool tu_word_among(const char *words, const char *word, size_t length);

#endif
