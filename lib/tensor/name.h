/* SPDX-License-Identifier: MIT */
/* What can be read off the name of a tensor. */
#ifndef TU_TENSOR_NAME_H
#define TU_TENSOR_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first whole number between dots of a name ("model.layers.12.mlp..." is 12). */
bool tu_layer_of(const char *name, uint64_t *layer);

/* The name without prefixes that say nothing of the model ("model.", "language_model.", ...). */
const char *tu_bare_name(const char *name, size_t *length);

#endif
