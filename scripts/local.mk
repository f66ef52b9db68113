EXTRA_DIST += scripts/demo scripts/check scripts/setup scripts/gen-iq-grids
