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
	lib/judge/drift.c \
	lib/judge/drift.h \
	lib/judge/evidence.c \
	lib/judge/evidence.h \
	lib/judge/field.c \
	lib/judge/field.h \
	lib/judge/heat-map.c \
	lib/judge/heat-map.h \
	lib/judge/profile.c \
	lib/judge/profile.h \
	lib/judge/report-github.c \
	lib/judge/report-html.c \
	lib/judge/report-json.c \
	lib/judge/report-junit.c \
	lib/judge/report-markdown.c \
	lib/judge/report-parts.c \
	lib/judge/report-parts.h \
	lib/judge/report-sarif.c \
	lib/judge/report-tap.c \
	lib/judge/report-text.c \
	lib/judge/report.c \
	lib/judge/report.h \
	lib/judge/rule.c \
	lib/judge/rule.h
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
