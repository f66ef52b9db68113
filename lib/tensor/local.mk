# What a tensor is.
TENSOR_SOURCES = \
	lib/tensor/dtype.c \
	lib/tensor/dtype.h \
	lib/tensor/elements.c \
	lib/tensor/elements.h \
	lib/tensor/geometry.c \
	lib/tensor/geometry.h \
	lib/tensor/name.c \
	lib/tensor/name.h \
	lib/tensor/scope.c \
	lib/tensor/scope.h \
	lib/tensor/tensor.c \
	lib/tensor/tensor.h
libtensorutils_la_SOURCES += $(TENSOR_SOURCES)
