# Records to a verdict.
JUDGE_SOURCES = \
	lib/judge/artifact.c \
	lib/judge/artifact.h \
	lib/judge/canonical.c \
	lib/judge/canonical.h \
	lib/judge/contract.c \
	lib/judge/contract.h \
	lib/judge/court.c \
	lib/judge/court.h \
	lib/judge/discharge-write.c \
	lib/judge/discharge.c \
	lib/judge/discharge.h \
	lib/judge/drift.c \
	lib/judge/drift.h \
	lib/judge/evidence.c \
	lib/judge/evidence.h \
	lib/judge/field.c \
	lib/judge/field.h \
	lib/judge/profile.c \
	lib/judge/profile.h \
	lib/judge/report.c \
	lib/judge/report.h \
	lib/judge/rule.c \
	lib/judge/rule.h \
	lib/judge/ruling.c \
	lib/judge/schema.c \
	lib/judge/schema.h \
	lib/judge/shares.c \
	lib/judge/shares.h \
	lib/judge/signature.c \
	lib/judge/signature.h \
	lib/judge/reports/drift.c \
	lib/judge/reports/github.c \
	lib/judge/reports/heat-map.c \
	lib/judge/reports/heat-map.h \
	lib/judge/reports/html.c \
	lib/judge/reports/json.c \
	lib/judge/reports/junit.c \
	lib/judge/reports/markdown.c \
	lib/judge/reports/parts.c \
	lib/judge/reports/parts.h \
	lib/judge/reports/sarif.c \
	lib/judge/reports/tap.c \
	lib/judge/reports/text.c
libtensorutils_la_SOURCES += $(JUDGE_SOURCES)

# The profiles of verdict are compiled in, and installed to be read and copied.
PROFILES = lib/judge/profiles/auto.profile lib/judge/profiles/exact.profile lib/judge/profiles/same-type.profile
profiledir = $(pkgdatadir)/profiles
dist_profile_DATA = $(PROFILES)
nodist_libtensorutils_la_SOURCES += lib/judge/profiles.c
CLEANFILES += lib/judge/profiles.c
lib/judge/profiles.c: $(PROFILES)
	$(AM_V_GEN){ \
	    echo '#include "judge/profile.h"'; \
	    echo 'const struct tu_profile tu_profiles[] = {'; \
	    for profile in $(PROFILES); do \
	        echo "{\"`basename $$profile .profile`\","; \
	        sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' "$(srcdir)/$$profile"; \
	        echo '},'; \
	    done; \
	    echo '{0}};'; \
	} > $@.new && mv $@.new $@
