# What a tensor is.
TENSOR_SOURCES = \
	lib/tensor/dtype.c \
	lib/tensor/dtype.h \
	lib/tensor/elements.c \
	lib/tensor/elements.h \
	lib/tensor/scope.c \
	lib/tensor/scope.h
libtensorutils_la_SOURCES += $(TENSOR_SOURCES)
