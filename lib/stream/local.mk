# The wire.
STREAM_SOURCES = \
	lib/stream/reader.c \
	lib/stream/reader.h
libtensorutils_la_SOURCES += $(STREAM_SOURCES)
