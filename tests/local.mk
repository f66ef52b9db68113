# Tests.  A .bats file and a program of tests/unit are one line each; both print TAP.  Those that take
# longest come first, so that in the end no core waits for another.  PLAIN_TESTS have nothing that
# sanitizers could see: they look at the tree and its pages, or hold numbers of many runs against each
# other, of code that other tests run.
PLAIN_TESTS = \
	tests/filters/gate.bats \
	tests/judge/profile.bats \
	tests/house.bats \
	tests/filters/examples.bats \
	tests/suite/assertions.bats \
	tests/suite/doorstep.bats \
	tests/suite/golden.bats

BATS_TESTS = \
	tests/formats/dumps.bats \
	tests/formats/hostile.bats \
	tests/filters/matmul.bats \
	tests/filters/cache.bats \
	tests/formats/stream.bats \
	tests/filters/attn-gpu.bats \
	tests/filters/every-filter.bats \
	tests/filters/oracle.bats \
	tests/filters/map.bats \
	tests/filters/bisect.bats \
	tests/filters/shards.bats \
	tests/filters/splice.bats \
	tests/filters/sweep.bats \
	tests/filters/origin.bats \
	tests/filters/dump.bats \
	tests/filters/completion.bats \
	tests/filters/hunt.bats \
	tests/filters/cos.bats \
	tests/filters/attn.bats \
	tests/formats/byte-order.bats \
	tests/filters/cat.bats \
	tests/filters/compat.bats \
	tests/judge/contract.bats \
	tests/formats/convert.bats \
	tests/formats/decode.bats \
	tests/filters/dequant.bats \
	tests/judge/discharge.bats \
	tests/judge/evidence.bats \
	tests/filters/facts.bats \
	tests/filters/fault.bats \
	tests/filters/hash.bats \
	tests/filters/heads.bats \
	tests/filters/ls.bats \
	tests/filters/metrics.bats \
	tests/formats/lookalikes.bats \
	tests/formats/npy.bats \
	tests/formats/parts.bats \
	tests/filters/pipeline.bats \
	tests/formats/plugin.bats \
	tests/filters/quant.bats \
	tests/filters/rand.bats \
	tests/filters/reading.bats \
	tests/judge/report.bats \
	tests/judge/signature.bats \
	tests/suite/runtime.bats \
	tests/filters/save.bats \
	tests/filters/packs.bats \
	tests/filters/scales.bats \
	tests/filters/stat.bats \
	tests/filters/trace.bats \
	tests/filters/trace-dumps.bats \
	tests/filters/verdict.bats

UNIT_TESTS = \
	tests/unit/compute/attention \
	tests/unit/compare/sums \
	tests/unit/base/processors \
	tests/unit/tensor/elements \
	tests/unit/compare/full \
	tests/unit/kernels/distances \
	tests/unit/kernels/dot \
	tests/unit/tensor/dtype \
	tests/unit/compute/gpu \
	tests/unit/hunt/decide \
	tests/unit/compute/repeat \
	tests/unit/compute/stat \
	tests/unit/compare/oracle \
	tests/unit/compare/hypotheses \
	tests/unit/compare/pair \
	tests/unit/tree/msgpack \
	tests/unit/base/path \
	tests/unit/base/pipeline \
	tests/unit/judge/auto \
	tests/unit/judge/court \
	tests/unit/judge/rule \
	tests/unit/map/language \
	tests/unit/map/apply \
	tests/unit/map/coverage \
	tests/unit/map/view \
	tests/unit/map/view-blocks \
	tests/unit/model/model \
	tests/unit/compare/store \
	tests/unit/kernels/steps \
	tests/unit/stream/reader \
	tests/unit/base/text \
	tests/unit/trace/trace \
	tests/unit/tree/value \
	tests/unit/tree/yaml

check_PROGRAMS += $(UNIT_TESTS)
tests_unit_compute_attention_LDADD = libattention.la $(LDADD)
tests_unit_compute_gpu_LDADD = libattention.la $(LDADD)
# Looked for when tests run: what was not there when configure ran may be now.  Checked before they do.
BATS = bats
check_DATA = tests/environment tools-are-there
tools-are-there:
	@BATS='$(BATS)' sh $(srcdir)/tests/tools/need-tools
.PHONY: tools-are-there
if SANITIZED
TESTS += $(BATS_TESTS) $(UNIT_TESTS)
else
TESTS += $(PLAIN_TESTS) $(BATS_TESTS) $(UNIT_TESTS)
endif
TEST_EXTENSIONS = .bats
BATS_LOG_COMPILER = $(BATS)
# Tests with the tag "sweep" go through more types, seeds, sizes or threads of what other tests run once: sanitizers
# see nothing new in them.  scripts/check --no-sweeps leaves them out.
BATS_SELECTION =
AM_BATS_LOG_FLAGS = --tap --print-output-on-failure $(BATS_SELECTION)
# Without TU_GPU, the stand-in is the CUDA driver.
STAND_IN = test -n "$$TU_GPU" || { LD_LIBRARY_PATH='$(abs_top_builddir)/tests/ptxsim'; export LD_LIBRARY_PATH; };
AM_TESTS_ENVIRONMENT = BATS_LIB_PATH='$(srcdir)/tests'; TU_TEST_ENVIRONMENT='$(abs_top_builddir)/tests/environment'; export BATS_LIB_PATH TU_TEST_ENVIRONMENT; $(STAND_IN)

# Makers and checkers: they run in their folder and need nothing but bash and python3.
EXTRA_DIST += $(PLAIN_TESTS) $(BATS_TESTS) \
	tests/.shellcheckrc \
	tests/tools/blocks.py \
	tests/cross-check \
	tests/cuda-resources \
	tests/tools/cut-everywhere \
	tests/reference/decode.sha256 \
	tests/reference/dot.bits \
	tests/judge/evidence.schema.json \
	tests/tools/formats.py \
	tests/tools/house \
	tests/reference/golden-check \
	tests/helpers.bash \
	tests/judge/junit.xsd \
	tests/formats/liar.c \
	tests/tools/make-blocks \
	tests/tools/make-facts \
	tests/tools/make-families \
	tests/tools/make-hostile-results \
	tests/tools/make-mislaid \
	tests/tools/make-model \
	tests/tools/make-packs \
	tests/tools/make-results \
	tests/tools/make-samples \
	tests/tools/make-sparse \
	tests/tools/make-tiny-llama \
	tests/tools/make-traceable \
	tests/tools/torch-llama \
	tests/tools/run-tutorial \
	tests/tools/need-tools \
	tests/reference/reference_attention.py \
	tests/reference/reference_compare.py \
	tests/reference/reference_decode.py \
	tests/reference/reference_matmul.py \
	tests/reference/reference_random.py \
	tests/reference/reference_stat.py \
	tests/reference/reference_trace.py \
	tests/tools/samples_apr.py \
	tests/tools/samples_aprt.py \
	tests/tools/samples_gguf.py \
	tests/tools/samples_npy.py \
	tests/tools/samples_safetensors.py \
	tests/tools/samples_stream.py \
	tests/judge/sarif.schema.json \
	tests/tools/seal \
	tests/tools/show-stream \
	tests/tools/sweep-families \
	tests/unit/map/views.h \
	tests/unit/compare/oracles.h \
	tests/unit/tap.h \
	tests/judge/verdict.schema.json \
	tests/tools/walk-samples

# What runs over the stand-in otherwise, on the device of this machine, with the machine code for it and
# with PTX; a long cache and a long prefill against the processor; and how long the device takes for them.
# Sizes are for a device: over the stand-in, make check-gpu GPU_KEYS=300 GPU_QUERIES=40 GPU_RUNS=2.
GPU_KEYS = 131072
GPU_QUERIES = 4096
GPU_RUNS = 20
GPU_HEADS = heads=28,kv-heads=4,head-dim=128
check-gpu: all
	filters/tensor-attn-gpu --list-devices --table
	TU_GPU=1 $(MAKE) check TESTS='tests/filters/attn-gpu.bats tests/unit/compute/gpu'
	TU_GPU=1 CUDA_FORCE_PTX_JIT=1 $(MAKE) check TESTS=tests/unit/compute/gpu
	{ filters/tensor-rand --attention $(GPU_HEADS),kv-len=$(GPU_KEYS),name=decode --type F16 && \
	    filters/tensor-rand --attention $(GPU_HEADS),kv-len=$(GPU_QUERIES),q-len=$(GPU_QUERIES),name=prefill --type F16; \
	} > check-gpu.tsr
	filters/tensor-attn --causal check-gpu.tsr > check-gpu-want.tsr
	filters/tensor-attn-gpu --causal check-gpu.tsr | filters/tensor-cos check-gpu-want.tsr - | \
	    filters/verdict --rule 'max_diff < 1e-5'
	filters/tensor-attn-gpu --causal --bench $(GPU_RUNS) --table check-gpu.tsr
	rm -f check-gpu.tsr check-gpu-want.tsr
.PHONY: check-gpu
CLEANFILES += check-gpu.tsr check-gpu-want.tsr

# Compiles the CUDA kernels for all architectures: minutes, and it needs nvcc.
cuda-resources:
	$(srcdir)/tests/cuda-resources
.PHONY: cuda-resources
