# A new filter is one line here.
bin_PROGRAMS += \
	filters/tensor-attn \
	filters/tensor-attn-gpu \
	filters/tensor-cat \
	filters/tensor-cos \
	filters/tensor-dequant \
	filters/tensor-fault \
	filters/tensor-hash \
	filters/tensor-heads \
	filters/tensor-ls \
	filters/tensor-matmul \
	filters/tensor-map \
	filters/tensor-origin \
	filters/tensor-quant \
	filters/tensor-rand \
	filters/tensor-save \
	filters/tensor-splice \
	filters/tensor-stat \
	filters/tensor-trace \
	filters/verdict

LDADD = libtensorutils.la

# A BLAS for those that multiply, and only for them.
filters_tensor_attn_LDADD = libattention.la $(LDADD)
filters_tensor_attn_gpu_LDADD = libattention.la $(LDADD)
filters_tensor_heads_LDADD = libattention.la $(LDADD)
filters_tensor_matmul_LDADD = libmatmul.la $(LDADD)
filters_tensor_origin_LDADD = libhunt.la $(LDADD)
filters_tensor_trace_LDADD = libtrace.la $(LDADD)
