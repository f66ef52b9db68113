# What knows no tensor.
BASE_SOURCES = \
	lib/base/arena.c \
	lib/base/arena.h \
	lib/base/buffer.c \
	lib/base/buffer.h \
	lib/base/clock.c \
	lib/base/clock.h \
	lib/base/digest.c \
	lib/base/digest.h \
	lib/base/error.c \
	lib/base/error.h \
	lib/base/file.c \
	lib/base/file.h \
	lib/base/install.c \
	lib/base/install.h \
	lib/base/list.h \
	lib/base/nearest.c \
	lib/base/nearest.h \
	lib/base/newfile.c \
	lib/base/newfile.h \
	lib/base/path.c \
	lib/base/path.h \
	lib/base/pipeline.c \
	lib/base/pipeline.h \
	lib/base/processors.c \
	lib/base/processors.h \
	lib/base/source.c \
	lib/base/source.h \
	lib/base/text.c \
	lib/base/text.h
libtensorutils_la_SOURCES += $(BASE_SOURCES)
