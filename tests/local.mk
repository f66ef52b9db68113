# Tests.  A .bats file and a program of tests/unit are one line each; both print TAP.
BATS_TESTS = \
	tests/pipeline.bats

UNIT_TESTS =

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(BATS_TESTS) $(UNIT_TESTS)
TEST_EXTENSIONS = .bats
BATS_LOG_COMPILER = $(BATS)
AM_BATS_LOG_FLAGS = --tap
AM_TESTS_ENVIRONMENT = BATS_LIB_PATH='$(srcdir)/tests'; TU_TEST_ENVIRONMENT='$(abs_top_builddir)/tests/environment'; export BATS_LIB_PATH TU_TEST_ENVIRONMENT;

EXTRA_DIST += $(BATS_TESTS) tests/helpers.bash
