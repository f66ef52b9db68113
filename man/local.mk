# Pages: one a filter or an installed script, one a format, and those that stand for themselves.
dist_man_MANS = \
	man/gate-power.1 \
	man/tensor-attn-gpu.1 \
	man/tensor-attn.1 \
	man/tensor-bisect.1 \
	man/tensor-cat.1 \
	man/tensor-contract.5 \
	man/tensor-cos.1 \
	man/tensor-dequant.1 \
	man/tensor-facts.7 \
	man/tensor-fault.1 \
	man/tensor-format-apr.5 \
	man/tensor-format-aprt.5 \
	man/tensor-format-gguf.5 \
	man/tensor-format-npy.5 \
	man/tensor-format-safetensors.5 \
	man/tensor-format.3 \
	man/tensor-hash.1 \
	man/tensor-heads.1 \
	man/tensor-hunt.7 \
	man/tensor-ls.1 \
	man/tensor-matmul.1 \
	man/tensor-map.1 \
	man/tensor-maps.5 \
	man/tensor-origin.1 \
	man/tensor-performance.7 \
	man/tensor-quant.1 \
	man/tensor-rand.1 \
	man/tensor-save.1 \
	man/tensor-rules.5 \
	man/tensor-splice.1 \
	man/tensor-stat.1 \
	man/tensor-stream.5 \
	man/tensor-trace.1 \
	man/tensor-types.7 \
	man/tensorutils.7 \
	man/verdict.1
