# What knows no tensor.
BASE_SOURCES = \
	lib/base/arena.c \
	lib/base/arena.h \
	lib/base/buffer.c \
	lib/base/buffer.h \
	lib/base/digest.c \
	lib/base/digest.h \
	lib/base/error.c \
	lib/base/error.h \
	lib/base/json-check.c \
	lib/base/json-check.h \
	lib/base/json-memory.c \
	lib/base/json-memory.h \
	lib/base/json.c \
	lib/base/json.h \
	lib/base/msgpack.c \
	lib/base/msgpack.h \
	lib/base/pipeline.c \
	lib/base/pipeline.h \
	lib/base/processors.c \
	lib/base/processors.h \
	lib/base/random.c \
	lib/base/random.h \
	lib/base/source.c \
	lib/base/source.h \
	lib/base/text.c \
	lib/base/text.h \
	lib/base/value.c \
	lib/base/value.h \
	lib/base/yaml.c \
	lib/base/yaml.h
libtensorutils_la_SOURCES += $(BASE_SOURCES)
