# auto: what rounding to the coarser element type of the pair explains, and no more.
#
# The floors lie one step below what ggml's quantizers reach on weights with heavy tails and without
# an importance matrix; the bands around 1 leave room for quantizers that keep the norm and for
# those that keep the least error.  Ternary and binary types hold models that were trained as such:
# ordinary weights lose far more in them, and fail.

cosine_similarity >= 0.999999999999 if coarser == F64
cosine_similarity >= 0.9999999999 if coarser == F32
cosine_similarity >= 0.9999999 if coarser == F16
cosine_similarity >= 0.99999 if coarser == BF16
cosine_similarity >= 0.9999 if coarser == Q8_0,Q8_1,Q8_K
cosine_similarity >= 0.9995 if coarser == Q6_K
cosine_similarity >= 0.999 if coarser == F8_E4M3
cosine_similarity >= 0.998 if coarser == Q5_K
cosine_similarity >= 0.997 if coarser == Q5_0,Q5_1,F8_E5M2,F6_E2M3
cosine_similarity >= 0.996 if coarser == F6_E3M2
cosine_similarity >= 0.995 if coarser == APR_Q8
cosine_similarity >= 0.994 if coarser == Q4_K
cosine_similarity >= 0.993 if coarser == IQ4_NL,IQ4_XS
cosine_similarity >= 0.990 if coarser == Q4_0,Q4_1
cosine_similarity >= 0.988 if coarser == APR_Q4
cosine_similarity >= 0.985 if coarser == MXFP4,NVFP4,F4
cosine_similarity >= 0.975 if coarser == Q3_K
cosine_similarity >= 0.96 if coarser == IQ3_S,IQ3_XXS
cosine_similarity >= 0.93 if coarser == Q2_K
cosine_similarity >= 0.90 if coarser == IQ2_S,IQ2_XS,IQ2_XXS
cosine_similarity >= 0.82 if coarser == IQ1_M,IQ1_S
cosine_similarity >= 0.99 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0

# Nothing is rounded among integers; F8_E8M0 holds scales.
max_diff <= 0 if coarser == BOOL,U8,I8,U16,I16,U32,I32,U64,I64,F8_E8M0

# A cosine does not see a tensor that is too large or too small as a whole.
norm_ratio >= 0.999999 if coarser == F64,F32
norm_ratio <= 1.000001 if coarser == F64,F32
norm_ratio >= 0.999 if coarser == F16
norm_ratio <= 1.001 if coarser == F16
norm_ratio >= 0.996 if coarser == BF16,Q8_0,Q8_1,Q8_K,Q6_K
norm_ratio <= 1.004 if coarser == BF16,Q8_0,Q8_1,Q8_K,Q6_K
norm_ratio >= 0.98 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,APR_Q8,Q5_K,Q5_0,Q5_1,Q4_K,Q4_0,Q4_1,IQ4_NL,IQ4_XS,APR_Q4
norm_ratio <= 1.02 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,APR_Q8,Q5_K,Q5_0,Q5_1,Q4_K,Q4_0,Q4_1,IQ4_NL,IQ4_XS,APR_Q4
norm_ratio >= 0.95 if coarser == MXFP4,NVFP4,F4,Q3_K,TQ1_0,TQ2_0,Q1_0,Q2_0
norm_ratio <= 1.05 if coarser == MXFP4,NVFP4,F4,Q3_K,TQ1_0,TQ2_0,Q1_0,Q2_0
norm_ratio >= 0.90 if coarser == IQ3_S,IQ3_XXS,Q2_K,IQ2_S,IQ2_XS,IQ2_XXS
norm_ratio <= 1.15 if coarser == IQ3_S,IQ3_XXS,Q2_K,IQ2_S,IQ2_XS,IQ2_XXS
norm_ratio >= 0.80 if coarser == IQ1_M,IQ1_S
norm_ratio <= 1.28 if coarser == IQ1_M,IQ1_S

# The mean square error against the one that the steps of the blocks predict.  Of whole tensors it is
# at most 1.11; less is no fault: numbers that had been rounded before, many zeros, outliers and small
# numbers all make it so.
noise_ratio? <= 1.3 if coarser != MXFP4,NVFP4,IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S
noise_ratio? <= 1.6 if coarser == MXFP4,NVFP4,IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S

# The same of the row where it is largest.  Measured with rows of 32 and more elements (256 for K
# types), up to 40000 of them, normal, with tails of Student's t of 4, 3 and 2 degrees, with outlying
# columns and with zeros: at most 1.72 for Q8_0, 1.60 for Q6_K, 1.50 for Q3_K, 1.09 for Q5_K, Q4_K and
# Q2_K, 1.17 for IQ4_XS, 1.56 for IQ4_NL, 2.12 for Q4_0 and Q5_0, 2.72 for Q4_1.  MXFP4 has 6.
worst_row_noise_ratio? <= 2.5 if coarser == Q8_0,Q8_1,Q8_K,Q6_K,Q3_K
worst_row_noise_ratio? <= 1.6 if coarser == Q5_K,Q4_K,Q2_K
worst_row_noise_ratio? <= 2.2 if coarser == IQ4_NL,IQ4_XS
worst_row_noise_ratio? <= 3 if coarser == Q5_0,Q4_0,APR_Q4
worst_row_noise_ratio? <= 4 if coarser == Q5_1,Q4_1
worst_row_noise_ratio? <= 8 if coarser == MXFP4,NVFP4,IQ1_S,IQ1_M,IQ2_XXS,IQ2_XS,IQ2_S,IQ3_XXS,IQ3_S

# The row that was scaled the most.  In the same rows: 0.995 to 1.005 for Q8_0 and Q6_K, 0.983 to 1.006
# for Q5_K, 0.981 to 1.008 for Q4_K, 0.987 to 1.010 for IQ4_XS, 0.960 to 1.034 for Q5_0, 0.922 to 1.072
# for Q4_0, Q4_1 and IQ4_NL, 0.941 to 1.041 for Q3_K and Q2_K.
worst_row_gain? >= 0.9999 if coarser == F64,F32
worst_row_gain? <= 1.0001 if coarser == F64,F32
worst_row_gain? >= 0.998 if coarser == F16
worst_row_gain? <= 1.002 if coarser == F16
worst_row_gain? >= 0.99 if coarser == BF16
worst_row_gain? <= 1.01 if coarser == BF16
worst_row_gain? >= 0.985 if coarser == Q8_0,Q8_1,Q8_K,Q6_K
worst_row_gain? <= 1.015 if coarser == Q8_0,Q8_1,Q8_K,Q6_K
worst_row_gain? >= 0.97 if coarser == Q5_K
worst_row_gain? <= 1.03 if coarser == Q5_K
worst_row_gain? >= 0.95 if coarser == Q4_K,IQ4_XS
worst_row_gain? <= 1.05 if coarser == Q4_K,IQ4_XS
worst_row_gain? >= 0.93 if coarser == Q5_0,Q5_1
worst_row_gain? <= 1.07 if coarser == Q5_0,Q5_1
worst_row_gain? >= 0.89 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,Q3_K,Q2_K
worst_row_gain? <= 1.11 if coarser == Q4_0,Q4_1,IQ4_NL,APR_Q4,Q3_K,Q2_K

# The worst row, with three times the distance that the whole may have.
worst_row_cosine? >= 0.999999999 if coarser == F64,F32
worst_row_cosine? >= 0.9999997 if coarser == F16
worst_row_cosine? >= 0.99997 if coarser == BF16
worst_row_cosine? >= 0.9997 if coarser == Q8_0,Q8_1,Q8_K
worst_row_cosine? >= 0.9985 if coarser == Q6_K
worst_row_cosine? >= 0.99 if coarser == F8_E4M3,F8_E5M2,F6_E2M3,F6_E3M2,Q5_K,Q5_0,Q5_1
worst_row_cosine? >= 0.98 if coarser == Q4_K,IQ4_NL,IQ4_XS,APR_Q8
worst_row_cosine? >= 0.96 if coarser == Q4_0,Q4_1,APR_Q4
worst_row_cosine? >= 0.95 if coarser == MXFP4,NVFP4,F4
worst_row_cosine? >= 0.92 if coarser == Q3_K
worst_row_cosine? >= 0.88 if coarser == IQ3_S,IQ3_XXS
worst_row_cosine? >= 0.79 if coarser == Q2_K
worst_row_cosine? >= 0.70 if coarser == IQ2_S,IQ2_XS,IQ2_XXS
worst_row_cosine? >= 0.46 if coarser == IQ1_M,IQ1_S
worst_row_cosine? >= 0.97 if coarser == TQ1_0,TQ2_0,Q1_0,Q2_0

# No NaN, not even where both sides have one.
nan_a? == 0
nan_b? == 0

# Records of other kinds: --repeat, and tensor-heads.
differing? == 0
right? == 1

# Two tensors of zeros have no cosine, but are equal.
allow undefined if max_diff == 0
