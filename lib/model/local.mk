# What a user names, opened and written.
MODEL_SOURCES = \
	lib/model/digest-list.c \
	lib/model/digest-list.h \
	lib/model/digests.c \
	lib/model/digests.h \
	lib/model/dumps.c \
	lib/model/dumps.h \
	lib/model/feed.c \
	lib/model/feed.h \
	lib/model/lookalike.c \
	lib/model/lookalike.h \
	lib/model/model.c \
	lib/model/model.h \
	lib/model/operand.c \
	lib/model/operand.h \
	lib/model/packs/codes.c \
	lib/model/packs/codes.h \
	lib/model/packs/form-flat.c \
	lib/model/packs/form-float.c \
	lib/model/packs/form-int.c \
	lib/model/packs/form.c \
	lib/model/packs/form.h \
	lib/model/packs/pack.c \
	lib/model/packs/pack.h \
	lib/model/packs/packs.c \
	lib/model/packs/packs.h \
	lib/model/packs/planes.c \
	lib/model/packs/planes.h \
	lib/model/packs/schemes.c \
	lib/model/parts.c \
	lib/model/parts.h \
	lib/model/plugin.c \
	lib/model/plugin.h \
	lib/model/select.c \
	lib/model/select.h \
	lib/model/session.c \
	lib/model/session.h \
	lib/model/shard-index.c \
	lib/model/shard-index.h \
	lib/model/share.c \
	lib/model/share.h \
	lib/model/source-record.c \
	lib/model/source-record.h \
	lib/model/tsr.c \
	lib/model/tsr.h \
	lib/model/write/older.c \
	lib/model/write/older.h \
	lib/model/write/save.c \
	lib/model/write/save.h \
	lib/model/write/shards.c \
	lib/model/write/shards.h
# What models say of themselves: nothing in a compare record follows from it.
FACTS_SOURCES = \
	lib/model/facts/config.c \
	lib/model/facts/config.h \
	lib/model/facts/desk.c \
	lib/model/facts/desk.h \
	lib/model/facts/facts.c \
	lib/model/facts/facts.h \
	lib/model/facts/gather.c \
	lib/model/facts/gather.h \
	lib/model/facts/gguf.c \
	lib/model/facts/lists.c \
	lib/model/facts/lists.h \
	lib/model/facts/params.c \
	lib/model/facts/pieces.c \
	lib/model/facts/pieces.h \
	lib/model/facts/position.c \
	lib/model/facts/sentencepiece.c \
	lib/model/facts/table.c \
	lib/model/facts/table.h \
	lib/model/facts/tokens.c
libtensorutils_la_SOURCES += $(MODEL_SOURCES) $(FACTS_SOURCES)
