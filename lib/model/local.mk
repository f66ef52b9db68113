# What a user names, opened and written.
MODEL_SOURCES = \
	lib/model/feed.c \
	lib/model/feed.h \
	lib/model/model.c \
	lib/model/model.h \
	lib/model/operand.c \
	lib/model/operand.h \
	lib/model/parts.c \
	lib/model/parts.h \
	lib/model/plugin.c \
	lib/model/plugin.h \
	lib/model/save.c \
	lib/model/save.h \
	lib/model/select.c \
	lib/model/select.h \
	lib/model/session.c \
	lib/model/session.h \
	lib/model/tsr.c \
	lib/model/tsr.h
libtensorutils_la_SOURCES += $(MODEL_SOURCES)
