# Fuzz targets; README says how they are run.  make check replays their seeds and what failed once.
check_PROGRAMS += tests/fuzz/replay

FUZZ_SOURCES = \
	tests/fuzz/check.c \
	tests/fuzz/contracts.c \
	tests/fuzz/decode.c \
	tests/fuzz/entry.c \
	tests/fuzz/expand.c \
	tests/fuzz/facts.c \
	tests/fuzz/formats.c \
	tests/fuzz/fuzz.h \
	tests/fuzz/maps.c \
	tests/fuzz/origin.c \
	tests/fuzz/stream.c \
	tests/fuzz/tools.c \
	tests/fuzz/words.c
# The formats are linked in, not loaded.
FUZZ_PLUGINS = \
	$(plugins_apr_la_SOURCES) \
	plugins/aprt.c \
	$(plugins_gguf_la_SOURCES) \
	plugins/npy.c \
	$(plugins_npz_la_SOURCES) \
	plugins/safetensors.c

# Compiled once, for both programs.
check_LTLIBRARIES = tests/fuzz/libtargets.la
tests_fuzz_libtargets_la_SOURCES = $(FUZZ_SOURCES) $(FUZZ_PLUGINS)
tests_fuzz_libtargets_la_CFLAGS = $(AM_CFLAGS) $(YAJL_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
FUZZ_LIBS = tests/fuzz/libtargets.la libtensorutils.la $(YAJL_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)

tests_fuzz_replay_SOURCES = tests/fuzz/standalone.c
tests_fuzz_replay_LDADD = $(FUZZ_LIBS)

BATS_TESTS += tests/fuzz/replay.bats

EXTRA_DIST += tests/fuzz/README tests/fuzz/make-seeds tests/fuzz/run tests/fuzz/found \
	tests/fuzz/apr.dict \
	tests/fuzz/aprt.dict \
	tests/fuzz/contract.dict \
	tests/fuzz/evidence.dict \
	tests/fuzz/facts.dict \
	tests/fuzz/gguf.dict \
	tests/fuzz/index.dict \
	tests/fuzz/json.dict \
	tests/fuzz/map.dict \
	tests/fuzz/npy.dict \
	tests/fuzz/npz.dict \
	tests/fuzz/origin.dict \
	tests/fuzz/pieces.dict \
	tests/fuzz/rule.dict \
	tests/fuzz/safetensors.dict \
	tests/fuzz/stream.dict \
	tests/fuzz/text.dict

FUZZ_SECONDS = 60
if FUZZER
EXTRA_PROGRAMS = tests/fuzz/fuzzer
tests_fuzz_fuzzer_SOURCES =
tests_fuzz_fuzzer_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzzer_LDADD = $(FUZZ_LIBS)
CLEANFILES += tests/fuzz/fuzzer
fuzz: tests/fuzz/fuzzer
	$(srcdir)/tests/fuzz/run tests/fuzz/fuzzer $(FUZZ_SECONDS)
else
fuzz:
	@echo 'fuzz: skipped: this build has no libFuzzer, which comes with clang (configure --enable-sanitizers CC=clang)'
endif
clean-local:
	rm -rf tests/fuzz/out
.PHONY: fuzz
