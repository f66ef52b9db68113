# Names of layouts, and a tensor seen another way.
MAP_SOURCES = \
	lib/map/apply.c \
	lib/map/apply.h \
	lib/map/axes.c \
	lib/map/axes.h \
	lib/map/catalogue.c \
	lib/map/catalogue.h \
	lib/map/coverage.c \
	lib/map/coverage.h \
	lib/map/gather.c \
	lib/map/gather.h \
	lib/map/language.c \
	lib/map/language.h \
	lib/map/maps.c \
	lib/map/maps.h \
	lib/map/partner.c \
	lib/map/partner.h \
	lib/map/pattern.c \
	lib/map/pattern.h \
	lib/map/splice.c \
	lib/map/splice.h \
	lib/map/view.c \
	lib/map/view.h
libtensorutils_la_SOURCES += $(MAP_SOURCES)

# Maps: what names in one layout are in another.
mapdir = $(pkgdatadir)/maps
dist_map_DATA = \
	lib/map/maps/gemma.map \
	lib/map/maps/gemma2.map \
	lib/map/maps/gpt2.map \
	lib/map/maps/llama.map \
	lib/map/maps/phi2.map \
	lib/map/maps/phi3.map \
	lib/map/maps/qwen.map \
	lib/map/maps/trace-aprender.map \
	lib/map/maps/trace-llama.cpp.map \
	lib/map/maps/trace-llama.cpp-pairs.map \
	lib/map/maps/trace-transformers.map \
	lib/map/maps/trace-transformers-gemma.map
distclean-local:
	test . = '$(srcdir)' || rm -f lib/map/maps
.PHONY: distclean-local
