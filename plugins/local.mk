# A new format is one line here, and one below where it needs a library.
plugin_LTLIBRARIES = \
	plugins/apr.la \
	plugins/gguf.la \
	plugins/safetensors.la

plugins_apr_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_gguf_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_safetensors_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_apr_la_LIBADD = $(ZLIB_LIBS)
plugins_safetensors_la_LIBADD = $(YAJL_LIBS)

# A plugin exports one symbol, named after its file.
PLUGIN_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -export-symbols-regex '^tensor_format_'
