noinst_LTLIBRARIES = libtensorutils.la libkernels-baseline.la
libtensorutils_la_SOURCES =
nodist_libtensorutils_la_SOURCES =
libtensorutils_la_CFLAGS = $(AM_CFLAGS) $(MSGPACK_CFLAGS) $(YAJL_CFLAGS) $(YAML_CFLAGS) $(ZLIB_CFLAGS) $(CRYPTO_CFLAGS) $(XXHASH_CFLAGS)
libtensorutils_la_LIBADD = libkernels-baseline.la $(MSGPACK_LIBS) $(YAJL_LIBS) $(YAML_LIBS) $(ZLIB_LIBS) \
	$(CRYPTO_LIBS) $(XXHASH_LIBS)

# What a plugin outside this tree needs.
pkginclude_HEADERS = lib/tensorutils/dtype.h lib/tensorutils/format.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/tensorutils.pc

EXTRA_DIST += lib/WINGS
include lib/kernels/local.mk
include lib/base/local.mk
include lib/tree/local.mk
include lib/tensor/local.mk
include lib/stream/local.mk
include lib/model/local.mk
include lib/map/local.mk
include lib/compute/local.mk
include lib/trace/local.mk
include lib/compare/local.mk
include lib/judge/local.mk
include lib/hunt/local.mk
include lib/tool/local.mk
