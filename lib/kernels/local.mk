# The hot loops: the table of them, and then the loops once for each instruction set.
KERNEL_TABLE_SOURCES = \
	lib/kernels/kernels.c \
	lib/kernels/kernels.h
libtensorutils_la_SOURCES += $(KERNEL_TABLE_SOURCES)

# The hot loops, once for each instruction set; lib/kernels/kernels.h says how.
KERNEL_SOURCES = \
	lib/kernels/attend.c \
	lib/kernels/bits.h \
	lib/kernels/codes.h \
	lib/kernels/decode.c \
	lib/kernels/distances.c \
	lib/kernels/full.c \
	lib/kernels/dot.c \
	lib/kernels/doubles.h \
	lib/kernels/floats.h \
	lib/kernels/lanes.h \
	lib/kernels/encode-k.c \
	lib/kernels/encode.c \
	lib/kernels/encode.h \
	lib/kernels/iq-grids.inc \
	lib/kernels/made.c \
	lib/kernels/made.h \
	lib/kernels/reduce.c \
	lib/kernels/steps.c \
	lib/kernels/table.c
# table.c declares them all; a header that did would say it a second time.
KERNEL_CFLAGS = $(AM_CFLAGS) -Wno-missing-prototypes $(TU_KERNEL_CFLAGS)

libkernels_baseline_la_SOURCES = $(KERNEL_SOURCES)
libkernels_baseline_la_CFLAGS = $(KERNEL_CFLAGS) -DTU_ISA=baseline

if X86_KERNELS
noinst_LTLIBRARIES += libkernels-avx2.la libkernels-avx512.la libkernels-avx512wide.la
libtensorutils_la_LIBADD += libkernels-avx2.la libkernels-avx512.la libkernels-avx512wide.la

libkernels_avx2_la_SOURCES = $(KERNEL_SOURCES)
libkernels_avx2_la_CFLAGS = $(KERNEL_CFLAGS) $(TU_VECTOR_CFLAGS) -DTU_ISA=avx2 -mavx2 -mfma -mf16c -mbmi2

libkernels_avx512_la_SOURCES = $(KERNEL_SOURCES)
AVX512_CFLAGS = $(KERNEL_CFLAGS) $(TU_VECTOR_CFLAGS) -mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw \
	-mavx512dq -mavx512vl -mavx512vbmi
libkernels_avx512_la_CFLAGS = $(AVX512_CFLAGS) -DTU_ISA=avx512 -mprefer-vector-width=256

# What gains from vectors of 512 bits where the units have as many; the rest is that of avx512.
libkernels_avx512wide_la_SOURCES = \
	lib/kernels/full.c \
	lib/kernels/doubles.h \
	lib/kernels/lanes.h \
	lib/kernels/reduce.c \
	lib/kernels/table.c
libkernels_avx512wide_la_CFLAGS = $(AVX512_CFLAGS) -DTU_ISA=avx512wide -DTU_BASE=avx512 -DTU_WIDE \
	-mprefer-vector-width=512
endif
