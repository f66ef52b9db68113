# exact: every number of one side is that of the other, whatever the element types.
max_diff <= 0
identical_share == 1

# Infinities of one sign at one place are equal, NaN never is; a tensor of zeros has no cosine.
allow nonfinite if identical_share == 1
allow undefined if max_diff == 0
