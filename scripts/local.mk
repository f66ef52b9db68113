EXTRA_DIST += scripts/build scripts/check scripts/demo scripts/fuzz scripts/gen-iq-grids scripts/setup .ci/run
