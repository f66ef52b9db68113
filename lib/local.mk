noinst_LTLIBRARIES = libtensorutils.la libkernels-baseline.la

libtensorutils_la_SOURCES = \
	lib/compare/apr-diff.c lib/compare/apr-diff.h \
	lib/base/arena.c lib/base/arena.h \
	lib/judge/artifact.c lib/judge/artifact.h \
	lib/map/maps.c lib/map/maps.h \
	lib/compare/apr-buckets.c lib/compare/apr-buckets.h \
	lib/base/buffer.c lib/base/buffer.h \
	lib/compare/cache.c lib/compare/cache.h \
	lib/tool/main.c lib/tool/main.h \
	lib/compare/sums.c lib/compare/sums.h \
	lib/judge/contract.c lib/judge/contract.h \
	lib/compute/convert.c lib/compute/convert.h \
	lib/base/processors.c lib/base/processors.h \
	lib/tensor/elements.c lib/tensor/elements.h \
	lib/compare/full.c lib/compare/full.h \
	lib/base/digest.c lib/base/digest.h \
	lib/judge/drift.c lib/judge/drift.h \
	lib/tensor/dtype.c lib/tensor/dtype.h \
	lib/base/error.c lib/base/error.h \
	lib/judge/evidence.c lib/judge/evidence.h \
	lib/compare/ask-oracle.c lib/compare/ask-oracle.h \
	lib/model/feed.c lib/model/feed.h \
	lib/judge/field.c lib/judge/field.h \
	lib/compare/fingerprint.c lib/compare/fingerprint.h \
	lib/model/parts.c lib/model/parts.h \
	lib/judge/heat-map.c lib/judge/heat-map.h \
	lib/base/json.c lib/base/json.h \
	lib/base/json-memory.c lib/base/json-memory.h \
	lib/base/json-check.c lib/base/json-check.h \
	lib/judge/court.c lib/judge/court.h \
	lib/kernels/kernels.c lib/kernels/kernels.h \
	lib/compute/layout.c lib/compute/layout.h \
	lib/map/language.c lib/map/language.h \
	lib/model/model.c lib/model/model.h \
	lib/model/operand.c lib/model/operand.h \
	lib/compare/oracle.c lib/compare/oracle.h \
	lib/tool/output.c lib/tool/output.h \
	lib/base/msgpack.c lib/base/msgpack.h \
	lib/compare/pair.c lib/compare/pair.h \
	lib/compare/matching.c lib/compare/matching.h \
	lib/compare/operands.c lib/compare/operands.h \
	lib/map/partner.c lib/map/partner.h \
	lib/model/plugin.c lib/model/plugin.h \
	lib/base/pipeline.c lib/base/pipeline.h \
	lib/tensor/scope.c lib/tensor/scope.h \
	lib/judge/profile.c lib/judge/profile.h \
	lib/base/random.c lib/base/random.h \
	lib/map/apply.c lib/map/apply.h \
	lib/judge/report-github.c \
	lib/judge/report-html.c \
	lib/judge/report-json.c \
	lib/judge/report-junit.c \
	lib/judge/report-markdown.c \
	lib/judge/report-sarif.c \
	lib/judge/report-tap.c \
	lib/judge/report-text.c \
	lib/judge/report.c lib/judge/report.h \
	lib/judge/rule.c lib/judge/rule.h \
	lib/compare/sample.c lib/compare/sample.h \
	lib/model/save.c lib/model/save.h \
	lib/compute/scales.c lib/compute/scales.h \
	lib/model/select.c lib/model/select.h \
	lib/compare/store.c lib/compare/store.h \
	lib/compare/side.c lib/compare/side.h \
	lib/base/source.c lib/base/source.h \
	lib/stream/reader.c lib/stream/reader.h \
	lib/base/text.c lib/base/text.h \
	lib/tool/bench.c lib/tool/bench.h \
	lib/model/tsr.c lib/model/tsr.h \
	lib/base/value.c lib/base/value.h \
	lib/map/view.c lib/map/view.h \
	lib/base/yaml.c lib/base/yaml.h
libtensorutils_la_CFLAGS = $(AM_CFLAGS) $(MSGPACK_CFLAGS) $(YAJL_CFLAGS) $(YAML_CFLAGS) $(ZLIB_CFLAGS) $(CRYPTO_CFLAGS) $(XXHASH_CFLAGS)
libtensorutils_la_LIBADD = libkernels-baseline.la $(MSGPACK_LIBS) $(YAJL_LIBS) $(YAML_LIBS) $(ZLIB_LIBS) \
	$(CRYPTO_LIBS) $(XXHASH_LIBS)

# The profiles of verdict are compiled in, and installed to be read and copied.
PROFILES = lib/judge/profiles/auto.profile lib/judge/profiles/exact.profile lib/judge/profiles/same-type.profile
profiledir = $(pkgdatadir)/profiles
dist_profile_DATA = $(PROFILES)
nodist_libtensorutils_la_SOURCES = lib/judge/profiles.c
CLEANFILES += lib/judge/profiles.c
lib/judge/profiles.c: $(PROFILES)
	$(AM_V_GEN){ \
	    echo '#include "judge/profile.h"'; \
	    echo 'const struct tu_profile tu_profiles[] = {'; \
	    for profile in $(PROFILES); do \
	        echo "{\"`basename $$profile .profile`\","; \
	        sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' "$(srcdir)/$$profile"; \
	        echo '},'; \
	    done; \
	    echo '{0}};'; \
	} > $@.new && mv $@.new $@

# What results follow from: a cache of them is that of these sources and no others.
DEFINITION = $(libtensorutils_la_SOURCES) $(KERNEL_SOURCES) filters/tensor-cos.c
nodist_libtensorutils_la_SOURCES += lib/compare/definition.c
CLEANFILES += lib/compare/definition.c
lib/compare/definition.c: $(DEFINITION)
	$(AM_V_GEN){ \
	    echo '#include "compare/cache.h"'; \
	    echo 'const char tu_definition[] ='; \
	    (cd $(srcdir) && cat $(DEFINITION)) | sha256sum | sed 's/ .*/";/; s/^/    "/'; \
	} > $@.new && mv $@.new $@

# Attention, apart because only its filters need a BLAS.
noinst_LTLIBRARIES += libattention.la
libattention_la_SOURCES = \
	lib/tool/attention.c lib/tool/attention.h \
	lib/compute/attention-gpu.c lib/compute/attention-gpu.h \
	lib/compute/attention-exact.c \
	lib/compute/attention.c lib/compute/attention.h \
	lib/compute/blas.c lib/compute/blas.h \
	lib/compute/gpu.c lib/compute/gpu.h \
	lib/compute/heads.c lib/compute/heads.h \
	lib/compute/qkv.c lib/compute/qkv.h
libattention_la_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS) $(ZLIB_CFLAGS)
libattention_la_CPPFLAGS = $(AM_CPPFLAGS) $(TU_CUDA_CPPFLAGS)
libattention_la_LIBADD = libtensorutils.la $(OPENBLAS_LIBS) $(ZLIB_LIBS)

# The hot loops, once for each instruction set; lib/kernels/kernels.h says how.
KERNEL_SOURCES = \
	lib/kernels/attend.c \
	lib/kernels/bits.h \
	lib/kernels/codes.h \
	lib/kernels/decode.c \
	lib/kernels/full.c \
	lib/kernels/dot.c \
	lib/kernels/doubles.h \
	lib/kernels/encode.c \
	lib/kernels/iq-grids.inc \
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
libkernels_avx2_la_CFLAGS = $(KERNEL_CFLAGS) -DTU_ISA=avx2 -mavx2 -mfma -mf16c -mbmi2

libkernels_avx512_la_SOURCES = $(KERNEL_SOURCES)
AVX512_CFLAGS = $(KERNEL_CFLAGS) -mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl \
	-mavx512vbmi
libkernels_avx512_la_CFLAGS = $(AVX512_CFLAGS) -DTU_ISA=avx512 -mprefer-vector-width=256

# What gains from vectors of 512 bits where the units have as many; the rest is that of avx512.
libkernels_avx512wide_la_SOURCES = \
	lib/kernels/full.c \
	lib/kernels/doubles.h \
	lib/kernels/reduce.c \
	lib/kernels/table.c
libkernels_avx512wide_la_CFLAGS = $(AVX512_CFLAGS) -DTU_ISA=avx512wide -DTU_BASE=avx512 -DTU_WIDE \
	-mprefer-vector-width=512
endif

# What needs a BLAS, which programs that multiply link beside the rest.
noinst_LTLIBRARIES += libmatmul.la
libmatmul_la_SOURCES = lib/compute/blas.c lib/compute/blas.h lib/compute/matmul.c lib/compute/matmul.h
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
if CUDA_KERNELS
CUDA_PTX = lib/compute/cuda/attention-f32.ptx lib/compute/cuda/attention-f16.ptx lib/compute/cuda/attention-bf16.ptx
CUDA_IMAGES = lib/compute/cuda/attention-f32.ptx.gz lib/compute/cuda/attention-f16.ptx.gz lib/compute/cuda/attention-bf16.ptx.gz \
	$(TU_CUDA_IMAGES)
libattention_la_SOURCES += lib/compute/cuda/embed.c
# By a variable: automake would take a rule of that name for one instead of its own.
CUDA_EMBEDDING = lib/compute/cuda/libattention_la-embed.lo
# The makefile says of which architectures there are some.
$(CUDA_EMBEDDING): $(CUDA_IMAGES) Makefile
# nvcc writes the number of its own version of PTX, which drivers older than it refuse.  That of the first
# devices that the kernels run on is enough, which nvcc's assembler can tell, but for a hint.
$(CUDA_PTX): $(CUDA_KERNEL_FILES)
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

# What a plugin outside this tree needs.
pkginclude_HEADERS = lib/tensorutils/dtype.h lib/tensorutils/format.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/tensorutils.pc

# Maps: what names in one layout are in another.
mapdir = $(pkgdatadir)/maps
dist_map_DATA = \
	lib/map/maps/gemma.map \
	lib/map/maps/gemma2.map \
	lib/map/maps/gpt2.map \
	lib/map/maps/llama.map \
	lib/map/maps/phi2.map \
	lib/map/maps/phi3.map \
	lib/map/maps/qwen.map
distclean-local:
	test . = '$(srcdir)' || rm -f lib/map/maps
.PHONY: distclean-local
