# Which operation of a network makes an error: apart, because only its filter needs a BLAS.
noinst_LTLIBRARIES += libhunt.la
libhunt_la_SOURCES = \
	lib/hunt/decide.c lib/hunt/decide.h \
	lib/hunt/floors.c lib/hunt/floors.h \
	lib/hunt/measure.c lib/hunt/measure.h \
	lib/hunt/record.c lib/hunt/record.h \
	lib/hunt/stages.c lib/hunt/stages.h \
	lib/hunt/weights.c lib/hunt/weights.h
libhunt_la_CFLAGS = $(AM_CFLAGS)
libhunt_la_LIBADD = libtrace.la
