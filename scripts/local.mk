# For users of the tools; the others are for work on them.
dist_bin_SCRIPTS = scripts/gate-power scripts/tensor-bisect scripts/tensor-sweep
# For programs of others.
dist_pkgdata_DATA = scripts/tensorutils_dump.py

# Completion: one file, and a link to it of each tool's name.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = scripts/completion/tensorutils.bash
install-data-hook:
	for tool in $(notdir $(bin_PROGRAMS) $(dist_bin_SCRIPTS)); do \
		$(LN_S) -f tensorutils.bash "$(DESTDIR)$(bashcompletiondir)/$$tool" || exit 1; \
	done
uninstall-hook:
	for tool in $(notdir $(bin_PROGRAMS) $(dist_bin_SCRIPTS)); do rm -f "$(DESTDIR)$(bashcompletiondir)/$$tool"; done

EXTRA_DIST += scripts/bench scripts/build scripts/build-sanitized scripts/check scripts/demo scripts/fuzz \
	scripts/gen-iq-grids scripts/mutate scripts/setup .ci/run

# Loops and yardsticks for scripts/bench: make bench-kernels.  Built for the tests, too, so that no change of the
# library leaves it behind.
check_PROGRAMS += scripts/bench-kernels
scripts_bench_kernels_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS)
scripts_bench_kernels_LDADD = libattention.la $(LDADD)
bench-kernels: scripts/bench-kernels
.PHONY: bench-kernels
