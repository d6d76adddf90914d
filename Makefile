# cesid. `make` builds build/cesid; `make check` runs unit tests and lints that need no network;
# scripts/check runs everything. Variables: CC, SANITIZE (address,undefined or thread), BUILD,
# DESTDIR, PREFIX, V=1 to see commands.

PREFIX  ?= /usr/local
DESTDIR ?=
SANITIZE ?=
V ?=

comma := ,
ifeq ($(SANITIZE),)
BUILD ?= build
else
BUILD ?= build/$(subst $(comma),-,$(SANITIZE))
endif

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$@)')

VERSION := $(shell cat VERSION)
# A tarball brings its revision and its bundle of the page (scripts/dist).
REVISION := $(shell cat prebuilt/REVISION 2>/dev/null || git rev-parse --short=12 HEAD 2>/dev/null)

PACKAGES := libcurl libxml-2.0 libcjson libconfig sqlite3 libmariadb libcrypto libxcrypt
# CivetWeb has no .pc file.
LIBS := -lcivetweb $(shell pkg-config --libs $(PACKAGES)) -lpthread -lm
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wundef -Wno-missing-field-initializers -Werror
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I$(BUILD)/gen $(PACKAGE_CFLAGS)
CFLAGS ?= -O2 -g
BASE_CFLAGS := -std=gnu17 $(WARNINGS) -fno-omit-frame-pointer -fno-common -pthread

ifeq ($(SANITIZE),)
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE -D_FORTIFY_SOURCE=2
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
else
BASE_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -DCESID_DEBUG -fPIE
LDHARDEN := -fsanitize=$(SANITIZE) -pie
endif
ifdef DEBUG
BASE_CFLAGS += -DCESID_DEBUG
endif

ALL_CFLAGS = $(CPPFLAGS) $(CFLAGS) $(BASE_CFLAGS) $(HARDEN)
ALL_LDFLAGS = $(LDFLAGS) $(LDHARDEN) -pthread

# The rooms, lowest layer first. scripts/check-layers reads this line.
LAYERS := base core io domain service http
ROOM_SOURCES := $(foreach layer,$(LAYERS),$(wildcard src/$(layer)/*.c))
ROOM_OBJECTS := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(ROOM_SOURCES))
MAIN_OBJECTS := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/*.c))
ASSETS_OBJECT := $(BUILD)/obj/gen/assets.o

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))

.PHONY: FORCE all check unit programs dashboard install install-configuration uninstall dist deb clean distclean fake fuzz fuzz-targets bench bench-programs compile-commands
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/cesid

programs: all $(UNIT_TESTS)

$(BUILD)/libcesid.a: $(ROOM_OBJECTS)
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/cesid: $(MAIN_OBJECTS) $(BUILD)/libcesid.a $(ASSETS_OBJECT)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(MAIN_OBJECTS) $(ASSETS_OBJECT) $(BUILD)/libcesid.a $(LIBS)

$(BUILD)/obj/%.o: src/%.c | $(BUILD)/gen/version.h
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Rewritten only when it changes, so that a commit alone rebuilds two files at most. Two makes may run
# side by side.
$(BUILD)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@printf '#define CESID_VERSION "%s"\n#define CESID_REVISION "%s"\n' \
	    '$(VERSION)' '$(or $(REVISION),release)' > $@.$$$$ && \
	    { cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@; }
FORCE:

# The dashboard: one bundle, hashed names, compressed, as C arrays (see src/dashboard/build.mjs).
# Without npm's packages that of the tarball is taken.
ifeq ($(and $(wildcard prebuilt/assets.c),$(if $(wildcard node_modules),,yes)),yes)
$(BUILD)/gen/assets.c: prebuilt/assets.c
	$(call say,COPY)
	@mkdir -p $(@D)
	$(Q)cp $< $@
else
DASHBOARD_SOURCES := $(shell find src/dashboard -type f -not -path '*/node_modules/*' 2>/dev/null)
$(BUILD)/gen/assets.c: $(DASHBOARD_SOURCES) package-lock.json | node_modules/.package-lock.json
	$(call say,BUNDLE)
	@mkdir -p $(@D)
	$(Q)node src/dashboard/build.mjs $@
endif

node_modules/.package-lock.json: package-lock.json
	$(call say,NPM)
	$(Q)npm ci --no-audit --no-fund --loglevel=error
	@touch $@

dashboard: $(BUILD)/gen/assets.c

# Unit tests: one program a file, against all rooms but main.
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libcesid.a
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< \
	    $(BUILD)/libcesid.a $(LIBS) -lcmocka

unit: $(UNIT_TESTS)
	$(Q)scripts/run-unit $(BUILD)/unit

# Load on the hub: build/bench/hub is run by hand, build/stress/hub by scripts/check.
$(BUILD)/bench/% $(BUILD)/stress/%: $(BUILD)/libcesid.a
	$(call say,LOAD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ \
	    tests/$(notdir $(@D))/$*.c $(BUILD)/libcesid.a $(LIBS)
$(BUILD)/bench/hub: tests/bench/hub.c tests/load/house.h
$(BUILD)/stress/hub: tests/stress/hub.c tests/load/house.h

# cesid without metrics and logging, for tests/bench/requests.mjs.
BARE := log_write log_enabled metrics_series metrics_series_add metrics_series_observe
$(BUILD)/bench/cesid-bare: tests/bench/bare.c $(MAIN_OBJECTS) $(BUILD)/libcesid.a $(ASSETS_OBJECT)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(BARE)) -o $@ $^ $(LIBS)

# All of tests/bench, against the last run on this machine (build/bench/results.json).
bench-programs: all fake $(BUILD)/bench/hub $(BUILD)/bench/cesid-bare
bench: bench-programs
	$(Q)node tests/bench/run.mjs

# Fuzz targets: everything anew with clang and its instruments, as build/fuzz/fuzz_*. They run by
# scripts/run-fuzz.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,address,undefined \
	    BUILD=$(BUILD)/fuzz fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)

$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/libcesid.a
	$(call say,FUZZ)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $(BUILD)/obj/fuzz_$*.d $(ALL_LDFLAGS) \
	    -fsanitize=fuzzer -o $@ $< $(BUILD)/libcesid.a $(LIBS) -lcmocka

# The fake supervisord of the tests (tests/fake): a program of its own, it shares nothing with cesid.
FAKE := $(BUILD)/fake/fake-supervisord
FAKE_OBJECTS := $(patsubst tests/fake/%.c,$(BUILD)/obj/fake/%.o,$(wildcard tests/fake/*.c))
fake: $(FAKE)

$(FAKE): $(FAKE_OBJECTS)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(FAKE_OBJECTS) $(shell pkg-config --libs libxml-2.0) -lm

$(BUILD)/obj/fake/%.o: tests/fake/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

check: unit
	$(Q)scripts/check-layers $(BUILD)

# Where things go. The samples name the places of a package; what is installed names these.
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/cesid
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
RUNDIR ?= /run

# settle FROM, TO, MODE
define settle
	$(Q)sed $(4) -e 's|/usr/sbin/cesid|$(SBINDIR)/cesid|g' \
	    -e 's@/etc/\(cesid\|default/cesid\)@$(SYSCONFDIR)/\1@g' \
	    -e 's@/var/\(lib\|log\)/cesid@$(LOCALSTATEDIR)/\1/cesid@g' \
	    -e 's|/run/cesid|$(RUNDIR)/cesid|g' $(1) > $(DESTDIR)$(2).new
	$(Q)chmod $(3) $(DESTDIR)$(2).new && mv $(DESTDIR)$(2).new $(DESTDIR)$(2)
endef

MANUALS := $(wildcard man/*.[1-8])
SAMPLES := conf/nginx.conf conf/stunnel.conf conf/prometheus.yml conf/prometheus-alerts.yml \
           conf/grafana-dashboard.json

# A configuration that is there stays as it is. The one that is installed differs from the defaults
# in what a service needs: a user of its own and a log file.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(COMPLETIONDIR) \
	    $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/init.d $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -d -m 750 $(DESTDIR)$(SYSCONFDIR)/cesid
	install -m 755 $(BUILD)/cesid $(DESTDIR)$(SBINDIR)/cesid
	$(Q)for page in $(MANUALS); do \
	    install -d $(DESTDIR)$(MANDIR)/man$${page##*.} && \
	    install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/ || exit 1; done
	install -m 644 conf/cesid.bash-completion $(DESTDIR)$(COMPLETIONDIR)/cesid
	install -m 644 $(wildcard $(SAMPLES)) $(DESTDIR)$(DOCDIR)/examples/
	$(call settle,conf/cesid.init,$(SYSCONFDIR)/init.d/cesid,755)
	$(call settle,conf/cesid.service,$(UNITDIR)/cesid.service,644)
	$(call settle,conf/cesid.logrotate,$(SYSCONFDIR)/logrotate.d/cesid,644)
	$(Q)[ -e $(DESTDIR)$(SYSCONFDIR)/cesid/nodes.conf ] || \
	    install -m 640 conf/nodes.conf $(DESTDIR)$(SYSCONFDIR)/cesid/nodes.conf
	$(Q)[ ! -e $(DESTDIR)$(SYSCONFDIR)/cesid/cesid.conf ] || exit 0; \
	    $(MAKE) --no-print-directory install-configuration

install-configuration:
	$(call settle,conf/cesid.conf,$(SYSCONFDIR)/cesid/cesid.conf,640,$(strip \
	    -e '/^server:/,/^}/s|user = ""; \{5\}|user = "cesid";|' \
	    -e '/^log:/,/^}/s|file = ""; *|file = "/var/log/cesid/cesid.log"; |'))

# The configuration stays: it may hold what somebody wrote.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/cesid $(DESTDIR)$(COMPLETIONDIR)/cesid \
	    $(DESTDIR)$(UNITDIR)/cesid.service $(DESTDIR)$(SYSCONFDIR)/init.d/cesid \
	    $(DESTDIR)$(SYSCONFDIR)/logrotate.d/cesid
	$(Q)for page in $(MANUALS); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	rm -rf $(DESTDIR)$(DOCDIR)

# A source tarball, and Debian's packages of it: build/cesid-VERSION.tar.gz, build/deb/*.deb.
dist:
	$(Q)scripts/dist $(BUILD)

deb:
	$(Q)scripts/deb $(BUILD)

clean:
	rm -rf $(BUILD)

distclean: clean
	rm -rf build node_modules

-include $(shell find $(BUILD)/obj $(BUILD)/unit -name '*.d' 2>/dev/null)
