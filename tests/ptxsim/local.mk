# A stand-in for the CUDA driver, for tests on machines without a GPU; README says more.  It is a shared
# object, whose name the loader looks for, and is linked as such without libtool.
check_PROGRAMS += tests/ptxsim/libcuda.so.1 \
	tests/ptxsim/check \
	tests/ptxsim/run \
	tests/ptxsim/unit

tests_ptxsim_libcuda_so_1_SOURCES = \
	tests/ptxsim/alu-integer.c \
	tests/ptxsim/alu.c tests/ptxsim/alu.h \
	tests/ptxsim/convert.c \
	tests/ptxsim/decode-control.c \
	tests/ptxsim/decode.c tests/ptxsim/decode.h \
	tests/ptxsim/device.c \
	tests/ptxsim/driver-code.c \
	tests/ptxsim/driver-memory.c \
	tests/ptxsim/driver.c tests/ptxsim/driver.h \
	tests/ptxsim/exec.c \
	tests/ptxsim/host.h \
	tests/ptxsim/lanes.c \
	tests/ptxsim/lex.c \
	tests/ptxsim/link.c \
	tests/ptxsim/memory.c \
	tests/ptxsim/numbers.c \
	tests/ptxsim/parse.c tests/ptxsim/parse.h \
	tests/ptxsim/ptxsim.h \
	tests/ptxsim/stats.c \
	tests/ptxsim/stream.c
# Registers are read as floats and as integers.
tests_ptxsim_libcuda_so_1_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -fno-strict-aliasing
tests_ptxsim_libcuda_so_1_LINK = $(CC) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) -shared \
	-Wl,-soname,libcuda.so.1 -o $@

tests_ptxsim_libcuda_so_1_LDADD =

tests_ptxsim_check_SOURCES = tests/ptxsim/check.c tests/ptxsim/calls.h
tests_ptxsim_run_SOURCES = tests/ptxsim/run.c tests/ptxsim/calls.h
tests_ptxsim_unit_SOURCES = tests/ptxsim/unit.c tests/ptxsim/calls.h

BATS_TESTS += tests/ptxsim/ptxsim.bats

EXTRA_DIST += tests/ptxsim/README \
	tests/ptxsim/faults.cu \
	tests/ptxsim/kernels.cu \
	tests/ptxsim/kernels.h
