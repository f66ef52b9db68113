/* SPDX-License-Identifier: MIT */
/* Fields of a result: those it carries, and those that follow from them. */
#ifndef TU_FIELD_H
#define TU_FIELD_H

#include "tensor/dtype.h"
#include "tree/value.h"

/* A field of a record, or NULL.  What follows from other fields is made in *room:
 *   norm_ratio       norm_b / norm_a
 *   norm_change      |norm_ratio - 1|
 *   cosine_f32       cosine_similarity rounded to float32
 *   identical_share  identical_count / element_count
 *   differing_count  element_count - identical_count
 *   scale_bias       how far the coarser side is scaled as a whole, in mean squares of rounding
 *   same_type        1 if dtype_a is dtype_b, else 0
 *   coarser          the one of dtype_a and dtype_b that holds numbers less exactly
 *   unproven         coarser; "none" where every float was seen to be the rounding of the other
 * A record that carries a field of such a name is believed. */
const struct tensor_value *tu_field(const struct tensor_value *record, const char *name,
                                    struct tensor_value *room);

/* Whether a compare record says that every place holds equal numbers, be there none. */
bool tu_record_identical(const struct tensor_value *record);
/* What a field is of two tensors that are equal, where their numbers do not say it: the cosine of
 * zeros with zeros is 1.  NULL for a field that is about no difference, cosine, share or ratio. */
const struct tensor_value *tu_field_of_equals(const char *name, struct tensor_value *room);

/* Whether a field measures an angle or a length, which integers do not have. */
bool tu_field_is_geometric(const char *name);
/* Whether both sides are of one type of complex numbers. */
bool tu_record_of_complex(const struct tensor_value *record);
/* Whether both sides of a compare record are integers. */
bool tu_record_of_integers(const struct tensor_value *record);

/* Where a type stands among all when they are sorted by how exactly they hold a model's weights:
 * 0 is the most exact. */
unsigned tu_coarseness(const struct tu_dtype *dtype);

#endif
