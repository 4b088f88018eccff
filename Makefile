# strobe: one Makefile, everything it makes is under $(B). `make help` lists the targets.
B       ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
V       ?=
Q       := $(if $(V),,@)
comma   := ,

VERSION := $(shell cat agent/VERSION)
PKGS    := libwebsockets libprotobuf-c jansson zlib libzstd openssl libdw libelf liblzma libbpf

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wcast-qual -Wwrite-strings \
	-Wpointer-arith -Wformat=2 -Wdouble-promotion -Wimplicit-fallthrough
# Warnings are errors for developers, not for packagers: make WERROR=
WERROR ?= -Werror
CPPFLAGS += -D_GNU_SOURCE -DSTROBE_VERSION='"$(VERSION)"' -Iagent -I. -I$(B)/gen
CFLAGS   += -std=c17 -g -fno-common $(WARN) $(WERROR)
ifdef SAN
CFLAGS   += -O1 -fsanitize=$(SAN) -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=$(SAN)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
CFLAGS   += -O2 -fstack-protector-strong -fPIE
LDFLAGS  += -pie -Wl,-z,relro,-z,now
endif
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -liberty -lpthread -lm

collector_names := $(sort $(basename $(notdir $(wildcard collectors/*.c))))
gen_c  := $(B)/gen/registry.c $(B)/gen/strobe.pb-c.c $(B)/gen/assets.c $(B)/gen/pages.c \
	$(B)/gen/offcpu_bpf.c
lib_c  := $(filter-out agent/main.c,$(wildcard agent/*/*.c)) $(wildcard collectors/*.c collectors/*/*.c)
lib_o  := $(lib_c:%.c=$(B)/%.o) $(gen_c:.c=.o)
lib    := $(B)/libstrobe.a
UNIT   ?= $(patsubst tests/test_%.c,%,$(wildcard tests/test_*.c))
tests  := $(UNIT:%=$(B)/tests/test_%)
tools   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/tool_*.c))
benches := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c tests/bench/tool_*.c))
ui_src := $(shell find ui -path ui/node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: static all run check check-all check-unit check-long check-tsan check-asan check-aarch64 check-guest lint bench peers fuzz \
	fuzz-selftest deps deps-check install clean help ui
.DELETE_ON_ERROR:
.SUFFIXES:

all: $(B)/strobe ## build build/strobe

$(B)/strobe: $(B)/agent/main.o $(lib)
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(lib) $(LDLIBS)

$(lib): $(lib_o)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(lib_o)

$(B)/%.o: %.c $(B)/gen/strobe.pb-c.h
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Generated C is not held to our warnings.
$(B)/gen/%.o: $(B)/gen/%.c
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(filter-out $(WARN) $(WERROR),$(CFLAGS)) -MMD -MP -c -o $@ $<

$(B)/gen/strobe.pb-c.c $(B)/gen/strobe.pb-c.h &: proto/strobe.proto
	@echo "  PROTOC  $<"
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=proto --c_out=$(B)/gen strobe.proto

$(B)/gen/registry.c: $(wildcard collectors/*.c) Makefile
	@echo "  GEN     $@"
	@mkdir -p $(@D)
	$(Q){ echo '#include "collectors/collector.h"'; \
	  for n in $(collector_names); do echo "extern const struct collector collector_$$n;"; done; \
	  echo 'const struct collector *const collectors[] = {'; \
	  for n in $(collector_names); do echo "	&collector_$$n,"; done; \
	  echo '	0'; \
	  echo '};'; echo 'const size_t n_collectors = $(words $(collector_names));'; } > $@

# The dashboard: built by npm, packed into one C file (pre-gzipped, with ETags).
$(B)/ui/.built: $(ui_src) proto/strobe.proto
	@echo "  UI      $(B)/ui"
	$(Q)ui/build.sh $(abspath $(B))
	@touch $@

$(B)/gen/assets.c: $(B)/ui/.built agent/serve/embed.sh
	@echo "  GEN     $@"
	@mkdir -p $(@D)
	$(Q)agent/serve/embed.sh $(B)/ui/dist $@

# The pages of exported flame graphs: the dashboard's own as one file, and a plain one for what is no time.
$(B)/gen/pages.c: $(B)/ui/.built agent/export/count.html agent/export/embed.sh
	@echo "  GEN     $@"
	@mkdir -p $(@D)
	$(Q)agent/export/embed.sh $@ flame_page $$(ls $(B)/ui/dist-flame/flame.html 2>/dev/null || echo agent/export/count.html) \
		count_page agent/export/count.html

# What runs in the kernel, where clang can make it.
$(B)/gen/offcpu_bpf.c: $(wildcard agent/profile/bpf/*)
	@echo "  BPF     agent/profile/bpf/offcpu.c"
	@mkdir -p $(@D)
	$(Q)agent/profile/bpf/embed.sh agent/profile/bpf/offcpu.c offcpu_bpf $@

ui: $(B)/ui/.built

$(B)/tests/%: tests/%.c $(lib)
	@echo "  TEST    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests $(filter-out -Wpedantic -Wconversion -Wsign-conversion -Wundef,$(CFLAGS)) $(LDFLAGS) -MMD -MP -o $@ $< $(lib) $(LDLIBS) \
		$$(pkg-config --libs check)

$(B)/bench/%: tests/bench/%.c $(lib)
	@echo "  BENCH   $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(lib) $(LDLIBS)

# ---- fuzzing: clang's libFuzzer on a build of its own ------------------------------------------
F           := build/fuzz
FUZZ_CC     ?= clang
fuzz_flags  := -std=c17 -g -O1 -fno-common -fno-omit-frame-pointer -fno-sanitize-recover=undefined \
	-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=float-cast-overflow
fuzz_lib_c  := $(lib_c) $(gen_c)
fuzz_lib_o  := $(addprefix $(F)/,$(addsuffix .o,$(basename $(fuzz_lib_c))))
fuzzers     := $(patsubst tests/fuzz/fuzz_%.c,$(F)/%,$(wildcard tests/fuzz/fuzz_*.c))
# Faults put into copies of product code, each to be found by the fuzzer of that name.
planted     := softnet frame interrupts column block

$(F)/%.o: %.c $(B)/gen/strobe.pb-c.h
	@echo "  FUZZCC  $<"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(filter-out -D_FORTIFY_SOURCE%,$(CPPFLAGS)) $(fuzz_flags) -fsanitize=fuzzer-no-link \
		-MMD -MP -c -o $@ $<

$(F)/libstrobe.a: $(fuzz_lib_o)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(fuzz_lib_o)

$(F)/%: tests/fuzz/fuzz_%.c $(F)/libstrobe.a
	@echo "  FUZZ    $@"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(filter-out -D_FORTIFY_SOURCE%,$(CPPFLAGS)) -Itests -Itests/fuzz $(fuzz_flags) \
		-fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< $(F)/libstrobe.a $(LDLIBS)

planted_fuzzers := $(addprefix $(F)/planted/,$(planted))

$(F)/planted/%.c: tests/fuzz/plant.sh $(lib_c)
	@mkdir -p $(@D)
	$(Q)tests/fuzz/plant.sh $* >$@

$(F)/planted/%: $(F)/planted/%.c tests/fuzz/fuzz_%.c $(F)/libstrobe.a
	@echo "  FUZZ    $@"
	$(Q)$(FUZZ_CC) $(filter-out -D_FORTIFY_SOURCE%,$(CPPFLAGS)) -Itests -Itests/fuzz $(fuzz_flags) \
		-fsanitize=fuzzer -o $@ $(filter %.c,$^) $(F)/libstrobe.a $(LDLIBS)

fuzz-selftest: $(planted_fuzzers) ## the fuzzers must find faults planted in copies of the code
	$(Q)tests/fuzz/selftest.sh $^

fuzz: $(fuzzers) ## fuzz every parser and decoder, FUZZ_SECONDS (30) each
	$(Q)tests/fuzz/run.sh $(fuzzers)

# ---- what a machine needs; `make run` and `make check` call these -----------------------------
deps_build := gcc libc6-dev pkg-config libwebsockets-dev libssl-dev libcap-dev libprotobuf-c-dev \
	protobuf-c-compiler protobuf-compiler libjansson-dev zlib1g-dev libzstd-dev libdw-dev libelf-dev \
	liblzma-dev libbz2-dev libiberty-dev libbpf-dev clang gzip ca-certificates
deps_check := $(deps_build) check libsubunit-dev libclang-rt-14-dev clang-format clang-tidy chromium \
	fonts-dejavu-core golang-go linux-perf sysstat pcp iproute2 util-linux procps curl socat strace zstd openssh-server \
	openssh-client
deps_guest := qemu-system-x86 busybox-static cpio
deps_aarch64 := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static

deps: ## install what building needs (Debian packages; says what first)
	$(Q).ci/deps $(deps_build)

deps-check: ## install what the tests need besides
	$(Q).ci/deps $(deps_check)

# As many compilers at once as there are CPUs, unless make was told how many.
jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))

# Two makes: pkg-config answers only after the packages are there.
run: deps ## install what is needed, build, start the agent and print its URL
	$(Q)$(MAKE) --no-print-directory $(jobs) all
	$(Q)exec $(B)/strobe run $(ARGS)

check: deps-check ## install what is needed, build, run every test
	$(Q)$(MAKE) --no-print-directory $(jobs) check-all

# The tests' Node is the one that built the page: the host's, or a newer one under $(B)/node.
test_env = B=$(abspath $(B)) STROBE=$(abspath $(B)/strobe) PATH=$(abspath $(B))/node/node_modules/.bin:$$PATH

# Every C test, and every executable script below tests/ (but benchmarks and the runner) is a test. Scripts
# wait more than they compute and take longest, those in a browser above all: they come first. The
# fuzzers draw the same inputs each time here: new ones are for make fuzz and make check-long.
script_tests := $(sort $(shell find tests -type f -perm -u+x \( -name '*.sh' -o -name '*.mjs' \) \
	! -path 'tests/run.sh' ! -path 'tests/bench/*' ! -path 'tests/fuzz/*' \
	! -path 'tests/vm/*' 2>/dev/null))
in_order     := $(filter tests/e2e/%,$(script_tests)) $(filter-out tests/e2e/%,$(script_tests)) $(tests) \
	tests/fuzz/selftest.sh tests/fuzz/run.sh

check-all: all $(tests) $(tools) $(fuzzers) $(planted_fuzzers)
	$(Q)$(test_env) TEST_TRIES=2 TEST_LOGS=$(abspath $(B))/test-logs RUN_JOBS=$${RUN_JOBS:-$$(($$(nproc) + 1))} \
		FUZZ_SEED=1 FUZZ_JOBS=$$((3 * $$(nproc))) FUZZERS='$(fuzzers)' PLANTED='$(planted_fuzzers)' tests/run.sh $(in_order)

check-unit: $(tests) $(tools) ## the C unit tests alone, or those of UNIT="log query"
	$(Q)$(test_env) tests/run.sh $(tests)

# KILLS, RING_LONG, DEPTH_SECONDS: see the tests. About an hour; a test may take all of it.
long_tests := ring_kill ring_power ring_damage keeper time

check-long: all $(long_tests:%=$(B)/tests/test_%) $(tools) $(fuzzers) ## the long forms: 500 kills, power loss, thousands of random histories, fuzzing
	$(Q)$(test_env) KILLS=$${KILLS:-500} RING_LONG=1 DEPTH_SECONDS=5 TEST_TIMEOUT=6000 \
		FUZZ_SECONDS=$${FUZZ_SECONDS:-60} FUZZ_JOBS=$$(nproc) FUZZERS='$(fuzzers)' tests/run.sh \
		$(long_tests:%=$(B)/tests/test_%) tests/protocol/kill.test.mjs tests/unwind_depth.mjs tests/fuzz/run.sh

# What several threads of the agent share.
threaded := log log_file mirror query sampler blocking supervise process process_host process_lock \
	interface jobs wire ring_kill history query_blocks keeper space profiler profiles

check-tsan: ## the C tests of what threads share, under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory SAN=thread UNIT='$(threaded)' check-unit

check-asan: ## the C unit tests under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined check-unit

check-aarch64: ## C tests and the agent built for arm64, under qemu (fetches arm64 libraries)
	$(Q)MAKE='$(MAKE)' B=$(B) AARCH64=build/aarch64 UNIT='$(if $(filter-out file,$(origin UNIT)),$(UNIT))' \
		DEPS='$(deps_aarch64)' tests/vm/aarch64.sh

check-guest: $(B)/strobe-static ## CPUs that go, come back and are new, modules that are loaded, in an emulated machine (fetches Debian's kernel)
	$(Q)STROBE_STATIC=$(B)/strobe-static GUEST=$(B)/guest DEPS='$(deps_guest)' tests/vm/guest.sh

lint: ## formatting and static checks of C and TypeScript
	$(Q)clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')
	$(Q)ui/check.sh $(abspath $(B)) types lint

bench: all $(benches) ## the budgets: one line "bench NAME VALUE UNIT budget BUDGET pass|fail" each
	$(Q)$(test_env) tests/bench/run.sh

peers: all ## strobe beside the other agents that are installed
	$(Q)$(test_env) tests/bench/peers

# The linker's notes on getaddrinfo and getpwnam concern names that the agent does not look up.
$(B)/strobe-static: $(B)/agent/main.o $(lib)
	@echo "  LINK    $@"
	$(Q)$(CC) -static -Wl,-z,relro -o $@ $< $(lib) -lwebsockets -lprotobuf-c -ljansson -lssl -lcrypto \
		-lcap -lbpf -ldw -lelf -llzma -lbz2 -lz -lzstd -liberty -lpthread -lm 2>&1 | grep -v -e 'in function' -e 'statically linked applications' || true
	$(Q)strip $@

static: $(B)/strobe-static ## one binary without libraries, for a host where nothing is installed

install: all ## install to $(DESTDIR)$(PREFIX)
	install -D -m 0755 $(B)/strobe $(DESTDIR)$(PREFIX)/bin/strobe

clean: ## remove build folders
	rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B) -path $(B)/aarch64 -prune -o -name '*.d' -type f -print 2>/dev/null)
