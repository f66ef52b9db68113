# A new format is one line here, and one below where it needs a library.
plugin_LTLIBRARIES = \
	plugins/apr.la \
	plugins/aprt.la \
	plugins/gguf.la \
	plugins/npy.la \
	plugins/npz.la \
	plugins/safetensors.la

plugins_apr_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_aprt_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_gguf_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_npy_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_npz_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_safetensors_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_apr_la_SOURCES = plugins/apr.c plugins/apr-expand.c plugins/apr-expand.h plugins/bytes.h
plugins_aprt_la_SOURCES = plugins/aprt.c plugins/bytes.h
plugins_gguf_la_SOURCES = plugins/gguf.c plugins/gguf-swap.c plugins/gguf-swap.h plugins/bytes.h
plugins_npy_la_SOURCES = plugins/npy.c plugins/npy-header.c plugins/npy-header.h plugins/npy-order.c plugins/npy-order.h plugins/bytes.h
plugins_npz_la_SOURCES = plugins/npz.c plugins/zip-read.c plugins/zip-read.h plugins/npy-header.c plugins/npy-header.h plugins/npy-order.c plugins/npy-order.h \
	plugins/bytes.h
plugins_safetensors_la_SOURCES = plugins/safetensors.c plugins/bytes.h lib/tree/json-memory.c lib/tree/json-memory.h \
	lib/tree/json-check.c lib/tree/json-check.h

plugins_apr_la_LIBADD = $(ZLIB_LIBS) $(ZSTD_LIBS)
plugins_npz_la_LIBADD = $(ZLIB_LIBS)
plugins_safetensors_la_LIBADD = $(YAJL_LIBS)

# A plugin exports one symbol, named after its file.
PLUGIN_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -export-symbols-regex '^tensor_format_'
