# Which operation of a network makes an error: what needs no BLAS is in the library.
HUNT_SOURCES = \
	lib/hunt/decide.c \
	lib/hunt/decide.h \
	lib/hunt/floors.c \
	lib/hunt/floors.h \
	lib/hunt/record.c \
	lib/hunt/record.h \
	lib/hunt/stages.c \
	lib/hunt/stages.h \
	lib/hunt/weights.c \
	lib/hunt/weights.h
libtensorutils_la_SOURCES += $(HUNT_SOURCES)

# The measuring, apart because only its filter needs a BLAS.
noinst_LTLIBRARIES += libhunt.la
libhunt_la_SOURCES = lib/hunt/measure.c lib/hunt/measure.h
libhunt_la_CFLAGS = $(AM_CFLAGS)
libhunt_la_LIBADD = libtrace.la
