# What a filter is made of.
TOOL_SOURCES = \
	lib/tool/bench.c \
	lib/tool/bench.h \
	lib/tool/main.c \
	lib/tool/main.h \
	lib/tool/output.c \
	lib/tool/output.h
libtensorutils_la_SOURCES += $(TOOL_SOURCES)
