# The wire.
STREAM_SOURCES = \
	lib/stream/spool.c \
	lib/stream/spool.h \
	lib/stream/reader.c \
	lib/stream/reader.h \
	lib/stream/record.c \
	lib/stream/record.h \
	lib/stream/writer.c \
	lib/stream/writer.h
libtensorutils_la_SOURCES += $(STREAM_SOURCES)
