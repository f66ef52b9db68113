# same-type: where both sides have one element type nothing had to be rounded, and every number is
# equal; where the types differ, the coarser one says how much was lost, as in the profile auto.
include auto
identical_share == 1 if same_type == 1

allow nonfinite if identical_share == 1
