# Tests.  A .bats file and a program of tests/unit are one line each; both print TAP.
BATS_TESTS = \
	tests/attn-gpu.bats \
	tests/attn.bats \
	tests/byte-order.bats \
	tests/cache.bats \
	tests/cat.bats \
	tests/compat.bats \
	tests/contract.bats \
	tests/convert.bats \
	tests/cos.bats \
	tests/decode.bats \
	tests/dequant.bats \
	tests/every-filter.bats \
	tests/evidence.bats \
	tests/examples.bats \
	tests/fault.bats \
	tests/gate.bats \
	tests/golden.bats \
	tests/hash.bats \
	tests/heads.bats \
	tests/hostile.bats \
	tests/ls.bats \
	tests/matmul.bats \
	tests/metrics.bats \
	tests/map.bats \
	tests/npy.bats \
	tests/oracle.bats \
	tests/parts.bats \
	tests/pipeline.bats \
	tests/plugin.bats \
	tests/profile.bats \
	tests/quant.bats \
	tests/rand.bats \
	tests/report.bats \
	tests/runtime.bats \
	tests/save.bats \
	tests/scales.bats \
	tests/stream.bats \
	tests/verdict.bats

UNIT_TESTS = \
	tests/unit/attention \
	tests/unit/compare \
	tests/unit/cpus \
	tests/unit/decode \
	tests/unit/detail \
	tests/unit/dot \
	tests/unit/dtype \
	tests/unit/gpu \
	tests/unit/oracle \
	tests/unit/pack \
	tests/unit/pool \
	tests/unit/rule \
	tests/unit/shelf \
	tests/unit/steps \
	tests/unit/stream \
	tests/unit/text \
	tests/unit/value \
	tests/unit/yaml

check_PROGRAMS += $(UNIT_TESTS)
tests_unit_attention_LDADD = libattention.la $(LDADD)
tests_unit_gpu_LDADD = libattention.la $(LDADD)
check_DATA = tests/environment
TESTS += $(BATS_TESTS) $(UNIT_TESTS)
TEST_EXTENSIONS = .bats
BATS_LOG_COMPILER = $(BATS)
AM_BATS_LOG_FLAGS = --tap --print-output-on-failure
# Without TU_GPU, the stand-in is the CUDA driver.
STAND_IN = test -n "$$TU_GPU" || { LD_LIBRARY_PATH='$(abs_top_builddir)/tests/ptxsim'; export LD_LIBRARY_PATH; };
AM_TESTS_ENVIRONMENT = BATS_LIB_PATH='$(srcdir)/tests'; TU_TEST_ENVIRONMENT='$(abs_top_builddir)/tests/environment'; export BATS_LIB_PATH TU_TEST_ENVIRONMENT; $(STAND_IN)

# Makers and checkers: they run in their folder and need nothing but bash and python3.
EXTRA_DIST += $(BATS_TESTS) \
	tests/.shellcheckrc \
	tests/blocks.py \
	tests/cuda-resources \
	tests/cut-everywhere \
	tests/decode.sha256 \
	tests/dot.bits \
	tests/evidence.schema.json \
	tests/formats.py \
	tests/golden-check \
	tests/helpers.bash \
	tests/junit.xsd \
	tests/liar.c \
	tests/make-blocks \
	tests/make-families \
	tests/make-hostile-results \
	tests/make-mislaid \
	tests/make-model \
	tests/make-results \
	tests/make-samples \
	tests/make-sparse \
	tests/make-tiny-llama \
	tests/reference_attention.py \
	tests/reference_compare.py \
	tests/reference_decode.py \
	tests/reference_matmul.py \
	tests/reference_random.py \
	tests/samples_apr.py \
	tests/samples_gguf.py \
	tests/samples_npy.py \
	tests/samples_safetensors.py \
	tests/samples_stream.py \
	tests/sarif.schema.json \
	tests/seal \
	tests/show-stream \
	tests/unit/tap.h \
	tests/verdict.schema.json \
	tests/walk-samples

# What runs over the stand-in otherwise, on the device of this machine, with the machine code for it and
# with PTX; a long cache and a long prefill against the processor; and how long the device takes for them.
# Sizes are for a device: over the stand-in, make check-gpu GPU_KEYS=300 GPU_QUERIES=40 GPU_RUNS=2.
GPU_KEYS = 131072
GPU_QUERIES = 4096
GPU_RUNS = 20
GPU_HEADS = heads=28,kv-heads=4,head-dim=128
check-gpu: all
	filters/tensor-attn-gpu --list-devices --table
	TU_GPU=1 $(MAKE) check TESTS='tests/attn-gpu.bats tests/unit/gpu'
	TU_GPU=1 CUDA_FORCE_PTX_JIT=1 $(MAKE) check TESTS=tests/unit/gpu
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
