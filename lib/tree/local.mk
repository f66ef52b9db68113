# Trees of values, and their notations.
TREE_SOURCES = \
	lib/tree/cell.c \
	lib/tree/cell.h \
	lib/tree/json-check.c \
	lib/tree/json-check.h \
	lib/tree/json-memory.c \
	lib/tree/json-memory.h \
	lib/tree/json.c \
	lib/tree/json.h \
	lib/tree/msgpack.c \
	lib/tree/msgpack.h \
	lib/tree/value.c \
	lib/tree/value.h \
	lib/tree/yaml.c \
	lib/tree/yaml.h
libtensorutils_la_SOURCES += $(TREE_SOURCES)
