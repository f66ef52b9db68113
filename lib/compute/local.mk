# Numbers that are made.
COMPUTE_SOURCES = \
	lib/compute/convert-plan.c \
	lib/compute/convert-plan.h \
	lib/compute/convert.c \
	lib/compute/convert.h \
	lib/compute/fault/bytes.c \
	lib/compute/fault/columns.c \
	lib/compute/fault/fault.c \
	lib/compute/fault/fault.h \
	lib/compute/fault/low-rank.c \
	lib/compute/fault/numbers.c \
	lib/compute/fault/roles.c \
	lib/compute/fault/rows.c \
	lib/compute/fault/statements.c \
	lib/compute/fault/transpose.c \
	lib/compute/fault/victim.c \
	lib/compute/fault/victim.h \
	lib/compute/layout.c \
	lib/compute/layout.h \
	lib/compute/random.c \
	lib/compute/random.h \
	lib/compute/repeat.c \
	lib/compute/repeat.h \
	lib/compute/stat/findings.c \
	lib/compute/stat/health.c \
	lib/compute/stat/health.h \
	lib/compute/stat/put.c \
	lib/compute/stat/series.c \
	lib/compute/stat/series.h \
	lib/compute/stat/sketch.c \
	lib/compute/stat/sketch.h \
	lib/compute/stat/stat.c \
	lib/compute/stat/stat.h \
	lib/compute/stat/walk.c \
	lib/compute/stat/walk.h
libtensorutils_la_SOURCES += $(COMPUTE_SOURCES)

# Attention, apart because only its filters need a BLAS.
noinst_LTLIBRARIES += libattention.la
libattention_la_SOURCES = \
	lib/compute/attention/attention.c lib/compute/attention/attention.h \
	lib/compute/attention/exact.c \
	lib/compute/attention/gpu-plan.c lib/compute/attention/gpu-run.h \
	lib/compute/attention/gpu.c lib/compute/attention/gpu.h \
	lib/compute/attention/heads-variants.c lib/compute/attention/heads-variants.h \
	lib/compute/attention/heads.c lib/compute/attention/heads.h \
	lib/compute/attention/qkv.c lib/compute/attention/qkv.h \
	lib/compute/blas.c lib/compute/blas.h \
	lib/compute/gpu.c lib/compute/gpu.h \
	lib/tool/attention.c lib/tool/attention.h
libattention_la_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS) $(ZLIB_CFLAGS)
libattention_la_CPPFLAGS = $(AM_CPPFLAGS) $(TU_CUDA_CPPFLAGS)
libattention_la_LIBADD = libtensorutils.la $(OPENBLAS_LIBS) $(ZLIB_LIBS)

# What needs a BLAS, which programs that multiply link beside the rest.
noinst_LTLIBRARIES += libmatmul.la
libmatmul_la_SOURCES = \
	lib/compute/blas.c lib/compute/blas.h \
	lib/compute/matmul/explain.c lib/compute/matmul/explain.h \
	lib/compute/matmul/matmul.c lib/compute/matmul/matmul.h \
	lib/compute/matmul/repeat.c lib/compute/matmul/repeat.h \
	lib/compute/matmul/task.c lib/compute/matmul/task.h \
	lib/compute/matmul/x.c lib/compute/matmul/x.h
libmatmul_la_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS)
libmatmul_la_LIBADD = $(OPENBLAS_LIBS)

# The CUDA kernels, inside of the library: for each type of cache as PTX, and as machine code for some
# architectures.
CUDA_KERNEL_FILES = \
	lib/compute/cuda/args.h \
	lib/compute/cuda/attention.cu \
	lib/compute/cuda/device.h \
	lib/compute/cuda/few.h \
	lib/compute/cuda/rows.h \
	lib/compute/cuda/tile.h
EXTRA_DIST += $(CUDA_KERNEL_FILES)
# The makefile says whether there are some, of which architectures, and by which compiler.  By variables:
# automake would take a rule of these names for one instead of its own.
CUDA_EMBEDDING = lib/compute/cuda/libattention_la-embed.lo
CUDA_USERS = lib/compute/attention/libattention_la-gpu.lo $(CUDA_EMBEDDING)
$(CUDA_USERS): Makefile
if CUDA_KERNELS
CUDA_PTX = lib/compute/cuda/attention-f32.ptx lib/compute/cuda/attention-f16.ptx lib/compute/cuda/attention-bf16.ptx
CUDA_IMAGES = lib/compute/cuda/attention-f32.ptx.gz lib/compute/cuda/attention-f16.ptx.gz lib/compute/cuda/attention-bf16.ptx.gz \
	$(TU_CUDA_IMAGES)
libattention_la_SOURCES += lib/compute/cuda/embed.c
$(CUDA_EMBEDDING): $(CUDA_IMAGES)
# nvcc writes the number of its own version of PTX, which drivers older than it refuse.  That of the first
# devices that the kernels run on is enough, which nvcc's assembler can tell, but for a hint.
$(CUDA_PTX): $(CUDA_KERNEL_FILES) Makefile
	$(AM_V_GEN)$(MKDIR_P) lib/compute/cuda && base=$@ && base=$${base%.ptx} && \
	$(TU_CUDA_COMPILE) -DTU_TYPE=$${base##*-} $(TU_CUDA_FLAGS) -o $$base-new.ptx $(srcdir)/lib/compute/cuda/attention.cu && \
	sed -e 's/^\.version .*/.version 6.3/' -e '/\.pragma "used_bytes_mask/d' $$base-new.ptx > $$base-old.ptx && \
	if test -n "$(TU_CUDA_ASSEMBLE)" && \
	    $(TU_CUDA_ASSEMBLE) -arch=sm_75 -Xptxas -O0 -o $$base.cubin $$base-old.ptx > /dev/null 2>&1; then \
	    mv $$base-old.ptx $@; \
	else \
	    mv $$base-new.ptx $@; \
	fi && rm -f $$base-new.ptx $$base-old.ptx $$base.cubin
$(CUDA_IMAGES): $(CUDA_PTX)
	$(AM_V_GEN)image=$@ && image=$${image%.gz} && case $$image in *.cubin) \
	    base=$${image%.cubin} && $(TU_CUDA_ASSEMBLE) -arch=sm_$${base##*-} -o $$image $${base%-*}.ptx;; esac && \
	gzip -9 -n -c $$image > $@.new && mv $@.new $@ && case $$image in *.cubin) rm -f $$image;; esac
CLEANFILES += $(CUDA_PTX) $(CUDA_IMAGES) lib/compute/cuda/*.cubin
endif
