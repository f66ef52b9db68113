# auto: what rounding to the coarser element type of the pair explains, and no more.
#
# Weights are judged element by element, by the steps that their blocks, or floats, can tell apart;
# cosines and norms remain for what has no steps: tensors that are compared with a transpose, and
# activations.  tensor-rules(5) says what the limits were measured with.  Ternary and binary types
# hold models that were trained as such: ordinary weights lose far more in them, and fail.

# Floors for two sides that were both rounded to this type, weights with heavy tails and outlying columns.
cosine_similarity >= 0.999999999999 if coarser == F64
cosine_similarity >= 0.9999999999 if coarser == F32
cosine_similarity >= 0.9999999 if coarser == F16
cosine_similarity >= 0.99999 if coarser == BF16
cosine_similarity >= 0.999 if coarser == Q8_0,Q8_1,Q8_K,INT8
cosine_similarity >= 0.9985 if coarser == Q6_K,INT7
cosine_similarity >= 0.998 if coarser == F8_E4M3,F8_E4M3FNUZ
cosine_similarity >= 0.9955 if coarser == Q5_K,INT6
cosine_similarity >= 0.993 if coarser == Q5_0,Q5_1,F8_E5M2,F6_E2M3,F8_E5M2FNUZ,INT5,FP8
cosine_similarity >= 0.991 if coarser == F6_E3M2,FP6
cosine_similarity >= 0.99 if coarser == APR_Q8,TERNARY
cosine_similarity >= 0.987 if coarser == Q4_K
cosine_similarity >= 0.985 if coarser == IQ4_NL,IQ4_XS,NF4
cosine_similarity >= 0.978 if coarser == Q4_0,Q4_1
cosine_similarity >= 0.975 if coarser == APR_Q4
cosine_similarity >= 0.97 if coarser == MXFP4,NVFP4,F4,INT4,FP4
cosine_similarity >= 0.95 if coarser == Q3_K
cosine_similarity >= 0.92 if coarser == IQ3_S,IQ3_XXS,INT3
cosine_similarity >= 0.87 if coarser == Q2_K
cosine_similarity >= 0.82 if coarser == IQ2_S,IQ2_XS,IQ2_XXS
cosine_similarity >= 0.70 if coarser == IQ1_M,IQ1_S
cosine_similarity >= 0.99 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0
cosine_similarity >= 0.5 if coarser == INT1
cosine_similarity >= 0.8 if coarser == INT2

# Two of one float type are a copy, equal; a coarser one is the rounding of the finer one, each
# number at most half a step away.  Activations state no relation.
relation? == identical,widened,rounded,requantized

# The mean square of the distances in steps, of which rounding to the nearest of levels makes 1 where
# numbers spread evenly; importance matrices give some numbers up.
step_noise? <= 1.2 if coarser == Q8_0,Q8_1,Q8_K,APR_Q8
step_noise? <= 1.25 if coarser == Q5_K,Q4_K,IQ4_NL,IQ4_XS,NVFP4,APR_Q4,NF4
step_noise? <= 1.35 if coarser == Q6_K,MXFP4,FP4
step_noise? <= 1.7 if coarser == Q5_1,Q4_1
step_noise? <= 1.8 if coarser == Q5_0,Q4_0,Q3_K,Q2_K
step_noise? <= 3 if coarser == IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,FP6,FP8
step_noise? <= 0.5 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY

# The same of the row where it is largest, down to rows of a single block.
worst_row_step_noise? <= 2.5 if coarser == Q8_0,Q8_1,Q8_K,APR_Q8,Q6_K,Q5_K,Q4_K,IQ4_XS,APR_Q4,MXFP4,NVFP4
worst_row_step_noise? <= 3.5 if coarser == Q5_1,Q4_1,IQ4_NL,Q3_K,NF4,FP4
worst_row_step_noise? <= 5 if coarser == Q5_0,Q4_0,Q2_K
worst_row_step_noise? <= 7 if coarser == IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,FP6,FP8
worst_row_step_noise? <= 3 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY

# The error of a row against that which its steps predict, not cut off: single numbers that are far
# off, as one bit makes them.
worst_row_noise_ratio? <= 2.5 if coarser == Q6_K,Q5_K,Q4_K,IQ4_NL,IQ4_XS,Q3_K,Q2_K
worst_row_noise_ratio? <= 4 if coarser == Q5_0,Q4_0,APR_Q4,NF4
worst_row_noise_ratio? <= 8 if coarser == Q8_0,Q8_1,Q8_K,MXFP4,NVFP4,IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,FP4,FP6
worst_row_noise_ratio? <= 40 if coarser == FP8

# The mean square of the distances of the column where it is largest, of 32 rows and more.
worst_column_step_noise? <= 2.2 if coarser == Q8_0,Q8_1,Q8_K,APR_Q8,NVFP4
worst_column_step_noise? <= 3.5 if coarser == MXFP4,FP4
worst_column_step_noise? <= 3 if coarser == APR_Q4,TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY
worst_column_step_noise? <= 5 if coarser == Q5_K,Q4_K,IQ4_NL,IQ4_XS,NF4
worst_column_step_noise? <= 6 if coarser == Q6_K,Q5_1,Q4_1
worst_column_step_noise? <= 7 if coarser == Q3_K
worst_column_step_noise? <= 8 if coarser == Q5_0,Q4_0,Q2_K
worst_column_step_noise? <= 20 if coarser == IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,FP6,FP8

# A column whose direction is lost: of coarse types nothing else tells that from rounding.  Those
# whose blocks follow a code book give up columns that an importance matrix calls unimportant.
worst_column_step_cosine? >= 0.4 if coarser != Q2_K,IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S
worst_column_step_cosine? >= 0.3 if coarser == Q2_K

# One that is larger than a column was whose numbers are about as small as steps.
worst_column_step_gain? <= 1.35 if coarser != Q5_1,Q4_1
worst_column_step_gain? <= 1.7 if coarser == Q5_1,Q4_1

# A row in which as many numbers are gone as no quantizer gives up, a zeroed block for one; and one
# in which more than a handful are beyond a step, where no importance matrix is used.
worst_row_far? <= 15
worst_row_beyond_step? <= 16 if coarser == Q8_0,Q8_1,Q8_K,APR_Q8,MXFP4,NVFP4,NF4,FP4

# A single number: without an importance matrix none is further away than a step and a little.
# Of 8 bits it is half a step, and what the scale and an earlier rounding to BF16 add.
most_steps? <= 1.4 if coarser == Q8_0,Q8_1,Q8_K
most_steps? <= 2 if coarser == APR_Q8,APR_Q4,MXFP4,NVFP4,NF4,FP4
# What an importance matrix gives up is not so far off as what is left of a block whose scale is gone.
most_steps? <= 128 if coarser == Q6_K,Q5_K,Q5_1,Q5_0,Q4_K,IQ4_XS,IQ4_NL,Q4_1,Q4_0,Q3_K,Q2_K,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8
most_steps? <= 16 if coarser == FP6,FP8

# Nothing is rounded among integers, nor among complex numbers; F8_E8M0 holds scales.
max_diff <= 0 if coarser == BOOL,U8,I8,U16,I16,U32,I32,U64,I64,F8_E8M0,C64

# A cosine does not see a tensor that is too large or too small as a whole.  MXFP4 has no level
# between three quarters of the largest number that its scale may leave and that.  Where every float was
# seen to be the rounding of the other, it holds what a half of 1e-6 loses, an epsilon for one.
norm_ratio >= 0.97 if unproven == none
norm_ratio <= 1.03 if unproven == none
norm_ratio >= 0.999999 if coarser == F64,F32
norm_ratio <= 1.000001 if coarser == F64,F32
norm_ratio >= 0.999 if unproven == F16
norm_ratio <= 1.001 if unproven == F16
norm_ratio >= 0.996 if coarser == BF16,Q8_0,Q8_1,Q8_K,Q6_K,INT7,INT8
norm_ratio <= 1.004 if coarser == BF16,Q8_0,Q8_1,Q8_K,Q6_K,INT7,INT8
norm_ratio >= 0.97 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,APR_Q8,Q5_K,Q5_0,Q5_1,Q4_K,IQ4_XS,F8_E4M3FNUZ,F8_E5M2FNUZ,INT5,FP6
norm_ratio >= 0.95 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,INT4,NF4,FP8
norm_ratio <= 1.03 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,APR_Q8,Q5_K,Q5_0,Q5_1,Q4_K,IQ4_XS,F8_E4M3FNUZ,F8_E5M2FNUZ,INT5,FP6
norm_ratio <= 1.05 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,INT4,NF4,FP8
norm_ratio >= 0.94 if coarser == NVFP4,F4,Q3_K,TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY
norm_ratio <= 1.06 if coarser == NVFP4,F4,Q3_K,TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY
norm_ratio >= 0.75 if coarser == MXFP4,FP4
norm_ratio <= 1.08 if coarser == MXFP4,FP4
norm_ratio >= 0.90 if coarser == IQ3_S,IQ3_XXS,Q2_K,IQ2_S,IQ2_XS,IQ2_XXS,INT3
norm_ratio <= 1.15 if coarser == IQ3_S,IQ3_XXS,Q2_K,IQ2_S,IQ2_XS,IQ2_XXS
norm_ratio >= 0.80 if coarser == IQ1_M,IQ1_S,INT2
norm_ratio >= 0.6 if coarser == INT1
norm_ratio >= 0.99 if coarser == INT6
norm_ratio <= 1.28 if coarser == IQ1_M,IQ1_S
norm_ratio <= 1.5 if coarser == INT1
norm_ratio <= 1.2 if coarser == INT2
norm_ratio <= 1.1 if coarser == INT3
norm_ratio <= 1.01 if coarser == INT6

# Nor does a band of norms see a small one.  Beyond what chance makes of so many numbers, rounding to
# the nearest leaves the slope of the coarser side on the finer one at 1, and fits of least squares,
# weighted or not, make it less by up to the mean square of the rounding; no quantizer makes it more,
# but of numbers that come from a lattice of their own.  FP4 cuts off what is beyond its scale.
scale_bias? <= 0.25 if coarser == Q8_0,Q8_1,Q8_K,Q6_K,Q5_K,Q5_0,Q4_K,IQ4_XS,IQ4_NL,Q4_0,Q3_K,Q2_K
scale_bias? <= 0.5 if coarser == MXFP4,NF4
scale_bias? <= 1.5 if coarser == NVFP4,Q5_1,FP4
scale_bias? <= 2.5 if coarser == Q4_1
scale_bias? <= 3.5 if coarser == APR_Q4
scale_bias? <= 1 if coarser == INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,FP6,FP8
scale_bias? >= -3 if coarser == Q8_0,Q8_1,Q8_K,Q6_K,Q5_K,Q5_1,Q5_0,Q4_K,IQ4_XS,IQ4_NL,Q4_1,Q4_0,APR_Q4,Q3_K,Q2_K,INT1,INT2,INT3,INT4,INT5,INT6,INT7,INT8,NF4

# The row that was scaled the most.
worst_row_gain? >= 0.9999 if coarser == F64,F32
worst_row_gain? <= 1.0001 if coarser == F64,F32
worst_row_gain? >= 0.998 if coarser == F16
worst_row_gain? <= 1.002 if coarser == F16
worst_row_gain? >= 0.99 if coarser == BF16
worst_row_gain? <= 1.01 if coarser == BF16
worst_row_gain? >= 0.97 if coarser == Q8_0,Q8_1,Q8_K,Q6_K,Q5_K,INT6,INT7,INT8
worst_row_gain? <= 1.03 if coarser == Q8_0,Q8_1,Q8_K,Q6_K,Q5_K,INT6,INT7,INT8
worst_row_gain? >= 0.93 if coarser == Q4_K,IQ4_XS,Q5_0,Q5_1,INT5,FP6,FP8
worst_row_gain? <= 1.07 if coarser == Q4_K,IQ4_XS,Q5_0,Q5_1,INT5,FP6,FP8
worst_row_gain? >= 0.89 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,Q3_K,Q2_K
worst_row_gain? >= 0.7 if coarser == INT2
worst_row_gain? >= 0.8 if coarser == INT3
worst_row_gain? >= 0.85 if coarser == INT4,NF4
worst_row_gain? <= 1.11 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,Q3_K,Q2_K
worst_row_gain? <= 1.3 if coarser == INT2
worst_row_gain? <= 1.2 if coarser == INT3
worst_row_gain? <= 1.15 if coarser == INT4,NF4

# The worst row, with three times the distance that the whole may have.
worst_row_cosine? >= 0.999999999 if coarser == F64,F32
worst_row_cosine? >= 0.9999997 if coarser == F16
worst_row_cosine? >= 0.99997 if coarser == BF16
worst_row_cosine? >= 0.997 if coarser == Q8_0,Q8_1,Q8_K,INT8
worst_row_cosine? >= 0.9955 if coarser == Q6_K,INT7
worst_row_cosine? >= 0.98 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,Q5_K,Q5_0,Q5_1,F8_E4M3FNUZ,F8_E5M2FNUZ,INT5,INT6,FP6,FP8
worst_row_cosine? >= 0.96 if coarser == Q4_K,IQ4_NL,IQ4_XS,APR_Q8
worst_row_cosine? >= 0.93 if coarser == Q4_0,Q4_1,APR_Q4,NF4
worst_row_cosine? >= 0.91 if coarser == MXFP4,NVFP4,F4,FP4
worst_row_cosine? >= 0.85 if coarser == Q3_K
worst_row_cosine? >= 0.76 if coarser == IQ3_S,IQ3_XXS,INT3
worst_row_cosine? >= 0.61 if coarser == Q2_K
worst_row_cosine? >= 0.46 if coarser == IQ2_S,IQ2_XS,IQ2_XXS,INT2
worst_row_cosine? >= 0.10 if coarser == IQ1_M,IQ1_S,INT1
worst_row_cosine? >= 0.97 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0,TERNARY
worst_row_cosine? >= 0.87 if coarser == INT4

# No NaN, not even where both sides have one.
nan_a? == 0
nan_b? == 0

# Records of other kinds: --repeat, and tensor-heads.
differing? == 0
right? == 1

# Two tensors of zeros have no cosine, but are equal.
allow undefined if max_diff == 0
