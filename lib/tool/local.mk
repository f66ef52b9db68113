# What a filter is made of.
TOOL_SOURCES = \
	lib/tool/bench.c \
	lib/tool/bench.h \
	lib/tool/convert.c \
	lib/tool/convert.h \
	lib/tool/main.c \
	lib/tool/main.h \
	lib/tool/options.c \
	lib/tool/options.h \
	lib/tool/output.c \
	lib/tool/output.h \
	lib/tool/put-view.c \
	lib/tool/put-view.h \
	lib/tool/repeat.c \
	lib/tool/repeat.h
libtensorutils_la_SOURCES += $(TOOL_SOURCES)
