# Two operands to one record a pair.
COMPARE_SOURCES = \
	lib/compare/apr/buckets.c \
	lib/compare/apr/buckets.h \
	lib/compare/apr/diff.c \
	lib/compare/apr/diff.h \
	lib/compare/cache/cache.c \
	lib/compare/cache/cache.h \
	lib/compare/cache/fingerprint.c \
	lib/compare/cache/fingerprint.h \
	lib/compare/cache/store.c \
	lib/compare/cache/store.h \
	lib/compare/conventions.c \
	lib/compare/conventions.h \
	lib/compare/experts.c \
	lib/compare/experts.h \
	lib/compare/matching.c \
	lib/compare/matching.h \
	lib/compare/metrics/distances.c \
	lib/compare/metrics/distances.h \
	lib/compare/metrics/full.c \
	lib/compare/metrics/full.h \
	lib/compare/metrics/logits.c \
	lib/compare/metrics/logits.h \
	lib/compare/metrics/rows.c \
	lib/compare/metrics/rows.h \
	lib/compare/metrics/scaled.c \
	lib/compare/metrics/scaled.h \
	lib/compare/metrics/sums.c \
	lib/compare/metrics/sums.h \
	lib/compare/operands.c \
	lib/compare/operands.h \
	lib/compare/oracle/ask.c \
	lib/compare/oracle/ask.h \
	lib/compare/oracle/bytes.c \
	lib/compare/oracle/candidate.c \
	lib/compare/oracle/candidate.h \
	lib/compare/oracle/columns.c \
	lib/compare/oracle/dimensions.c \
	lib/compare/oracle/factors.c \
	lib/compare/oracle/heads.c \
	lib/compare/oracle/hypotheses.c \
	lib/compare/oracle/hypotheses.h \
	lib/compare/oracle/low-rank.c \
	lib/compare/oracle/numbers.c \
	lib/compare/oracle/oracle.c \
	lib/compare/oracle/oracle.h \
	lib/compare/oracle/orders.c \
	lib/compare/oracle/others.c \
	lib/compare/oracle/sample.c \
	lib/compare/oracle/sample.h \
	lib/compare/origin.c \
	lib/compare/origin.h \
	lib/compare/pair.c \
	lib/compare/pair.h \
	lib/compare/plan.c \
	lib/compare/plan.h \
	lib/compare/record.c \
	lib/compare/record.h \
	lib/compare/result.h \
	lib/compare/side.c \
	lib/compare/side.h \
	lib/compare/tiles.c \
	lib/compare/tiles.h
libtensorutils_la_SOURCES += $(COMPARE_SOURCES) lib/compare/facts.c lib/compare/facts.h

# What results follow from: a cache of them is that of these sources and no others.
DEFINITION = $(KERNEL_TABLE_SOURCES) $(KERNEL_SOURCES) $(BASE_SOURCES) $(TREE_SOURCES) $(TENSOR_SOURCES) $(STREAM_SOURCES) \
	$(MODEL_SOURCES) $(MAP_SOURCES) $(COMPARE_SOURCES)
nodist_libtensorutils_la_SOURCES += lib/compare/definition.c
CLEANFILES += lib/compare/definition.c
lib/compare/definition.c: $(DEFINITION)
	$(AM_V_GEN){ \
	    echo '#include "compare/cache/cache.h"'; \
	    echo 'const char tu_definition[] ='; \
	    (cd $(srcdir) && cat $(DEFINITION)) | sha256sum | sed 's/ .*/";/; s/^/    "/'; \
	} > $@.new && mv $@.new $@
