# A model's forward pass: what needs no BLAS is in the library.
TRACE_SOURCES = \
	lib/trace/arch.c \
	lib/trace/arch.h \
	lib/trace/config.c \
	lib/trace/config.h \
	lib/trace/rope.c \
	lib/trace/rope.h \
	lib/trace/tokens.c \
	lib/trace/tokens.h \
	lib/trace/values.c \
	lib/trace/values.h
libtensorutils_la_SOURCES += $(TRACE_SOURCES)

# The pass itself, apart because only its filter needs a BLAS.
noinst_LTLIBRARIES += libtrace.la
libtrace_la_SOURCES = \
	lib/trace/pass/attention.c \
	lib/trace/decode.c lib/trace/decode.h \
	lib/trace/pass/experts.c \
	lib/trace/pass/feed-forward.c \
	lib/trace/forward.c lib/trace/forward.h \
	lib/trace/keys.c lib/trace/keys.h \
	lib/trace/model.c lib/trace/model.h \
	lib/trace/pass/pass.c lib/trace/pass/pass.h \
	lib/trace/record.c lib/trace/record.h \
	lib/trace/recorded.c lib/trace/recorded.h \
	lib/trace/stage.h \
	lib/trace/weights.c lib/trace/weights.h
libtrace_la_CFLAGS = $(AM_CFLAGS)
libtrace_la_LIBADD = libmatmul.la libattention.la
