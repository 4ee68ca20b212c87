# sluice: every target there is. Built things go to $(BUILD); nothing else is written, except by
# `make install` and `make update-golden`.
#
#   make              the compiler (build/sluicec), the client (build/sluicify), the runtime archives
#   make deps         install what is missing (Debian packages, with sudo when not root)
#   make demo         all of it once: build, compile examples/agent.rules, serve, call, show the audit
#   make check        set-up, then every test; SAN=1 for the AddressSanitizer and UBSan build of them
#   make soak         a broker under 100,000 mixed calls (CALLS=), or for HOURS=; make crashes (CRASHES=)
#   make install      PREFIX=/usr/local DESTDIR=

SAN     ?=
BUILD   ?= build$(if $(SAN),/san)
PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  ?= /usr/bin/python3
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
RE2C    ?= re2c
BISON   ?= bison
MUSL_CC ?= musl-gcc
WERROR  ?=

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := 0.1.0

# ---- flags --------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes -Wold-style-definition -Wvla -Wformat=2 -Wundef -Wpointer-arith \
            -Wwrite-strings $(WERROR)
, := ,
SANITIZE := $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
# COVERED=1 is `make coverage`'s own. Counters lie in a file that every process maps, those too that
# run confined, end by a signal or are replaced by exec; each program has its own.
COVER    := $(if $(COVERED),-fprofile-instr-generate=$(abspath $(BUILD))/counts/%m%c.profraw -fcoverage-mapping -mllvm -runtime-counter-relocation)
CFLAGS   ?= -O2 -g
COMMON   := -std=gnu11 -I. -DSLUICE_VERSION='"$(VERSION)"' $(WARNINGS)
HOST     := $(COMMON) $(CFLAGS) -fstack-protector-strong $(SANITIZE) $(COVER) $(if $(COVERED),-DSLUICE_COVERED) -MMD -MP
# The broker and the client: static, position-independent, small. Kernel headers come last so that
# none of glibc's shadow musl's (-idirafter).
MULTIARCH := $(shell $(CC) -print-multiarch)
RUNTIME  := $(COMMON) -Os -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections \
            -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident \
            -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH) -MMD -MP
LIBRARIES := -lfa -lseccomp -lpcre2-8

# ---- sources ------------------------------------------------------------------------------------

COMPILER_SOURCES := $(sort $(wildcard compiler/*/*.c))
FRONT_SOURCES    := $(patsubst grammar/%.y,$(BUILD)/grammar/%.tab.c,$(wildcard grammar/*.y)) \
                    $(patsubst grammar/%.re,$(BUILD)/grammar/%.c,$(wildcard grammar/*.re))
RUNTIME_SOURCES  := $(sort $(wildcard runtime/shared/*.c runtime/broker/*.c runtime/worker/*.c))
CLIENT_SOURCES   := $(sort $(wildcard runtime/client/*.c))
UNIT_SOURCES     := $(sort $(wildcard tests/unit/*.c))
EXAMPLES         := $(sort $(wildcard examples/*.rules))

COMPILER_OBJECTS := $(COMPILER_SOURCES:%.c=$(BUILD)/host/%.o) \
                    $(FRONT_SOURCES:$(BUILD)/%.c=$(BUILD)/host/%.o)
# engine = pcre2 needs PCRE2 and therefore glibc: that one file is in the glibc archive alone.
MUSL_RUNTIME     := $(filter-out runtime/broker/pcre2.c,$(RUNTIME_SOURCES))
MUSL_OBJECTS     := $(MUSL_RUNTIME:%.c=$(BUILD)/musl/%.o)
GLIBC_OBJECTS    := $(RUNTIME_SOURCES:%.c=$(BUILD)/glibc/%.o)
HOST_RUNTIME     := $(filter-out runtime/broker/main.c,$(RUNTIME_SOURCES))
HOST_OBJECTS     := $(HOST_RUNTIME:%.c=$(BUILD)/host/%.o)
CLIENT_MAIN      := runtime/client/main.c
CLIENT_OBJECTS   := $(CLIENT_SOURCES:%.c=$(BUILD)/musl/%.o)
UNIT_TESTS       := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/tests/unit/%)
LIB              := $(BUILD)/lib/sluice

# ---- what is built ------------------------------------------------------------------------------

.PHONY: all
all: $(if $(wildcard compiler/main.c),$(BUILD)/sluicec) $(if $(wildcard runtime/client/main.c),$(BUILD)/sluicify) $(LIB)/libruntime-musl.a $(LIB)/libruntime-glibc.a \
     $(LIB)/verify-musl.o $(LIB)/verify-glibc.o $(LIB)/.sources $(BUILD)/libsluicify.a $(if $(SAN),$(BUILD)/sluicify-sanitized $(LIB)/sanitized.o) $(if $(COVERED),$(BUILD)/sluicify-sanitized)

$(BUILD)/sluicec: $(BUILD)/host/compiler/main.o $(BUILD)/libcompiler.a
	$(CC) $(SANITIZE) $(COVER) -o $@ $^ $(LIBRARIES)

$(BUILD)/libcompiler.a: $(COMPILER_OBJECTS)
	@rm -f $@
	ar rcsD $@ $^

$(LIB)/libruntime-musl.a: $(MUSL_OBJECTS)
	@mkdir -p $(@D); rm -f $@
	ar rcsD $@ $^

$(LIB)/libruntime-glibc.a: $(GLIBC_OBJECTS) $(if $(COVERED),$(BUILD)/glibc/counts.o)
	@mkdir -p $(@D); rm -f $@
	ar rcsD $@ $(filter-out $(if $(COVERED),%/broker/main.o),$^)
# What clang links with a program that counts, joined to the broker's main.
$(BUILD)/glibc/counts.o: $(BUILD)/glibc/runtime/broker/main.o
	ld -r -u __llvm_profile_runtime -o $@ $< $(shell $(CC) -print-runtime-dir)/libclang_rt.profile-$(shell uname -m).a

# What every compile links with its own matchers, to try them.
$(LIB)/verify-musl.o: $(BUILD)/musl/runtime/verify/verify.o
	install -D -m 644 $< $@
$(LIB)/verify-glibc.o: $(BUILD)/glibc/runtime/verify/verify.o
	install -D -m 644 $< $@

$(BUILD)/libruntime-host.a: $(HOST_OBJECTS) $(patsubst %.c,$(BUILD)/host/%.o,$(filter-out $(CLIENT_MAIN),$(CLIENT_SOURCES)))
	@rm -f $@
	ar rcsD $@ $^

# With SAN=1 the brokers of the tests have the sanitizers in them, and these settings.
$(LIB)/sanitized.o: $(BUILD)/glibc/tests/sanitizer/options.o
	install -D -m 644 $< $@

# The runtime's sources travel with the compiler: --cc and --target build it for other machines.
$(LIB)/.sources: $(RUNTIME_SOURCES) runtime/verify/verify.c $(wildcard runtime/*/*.h) $(wildcard runtime/*/*.def)
	@mkdir -p $(LIB)
	rm -rf $(LIB)/runtime
	for file in $^; do install -D -m 644 $$file $(LIB)/$$file; done
	touch $@

# musl-gcc makes no static PIE by itself; this is its link by hand (rcrt1.o relocates itself).
MUSL_LIB := $(dir $(shell $(MUSL_CC) -print-file-name=rcrt1.o 2>/dev/null))
GCC_LIB  := $(shell $(CC) -print-file-name=crtbeginS.o)
MUSL_LINK = $(CC) -static-pie -nostdlib -nostartfiles -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--build-id=none,--no-dynamic-linker -s \
            -o $@ /usr/lib/$(shell uname -m)-linux-musl/rcrt1.o /usr/lib/$(shell uname -m)-linux-musl/crti.o $(GCC_LIB) \
            $(1) /usr/lib/$(shell uname -m)-linux-musl/libc.a -lgcc -lgcc_eh $(shell $(CC) -print-file-name=crtendS.o) \
            /usr/lib/$(shell uname -m)-linux-musl/crtn.o

$(BUILD)/sluicify: $(CLIENT_OBJECTS) $(LIB)/libruntime-musl.a
	$(call MUSL_LINK,$^)

# The same program for the sanitizers, which need glibc: with SAN=1 the client's tests run this one.
$(BUILD)/sluicify-sanitized: $(CLIENT_SOURCES:%.c=$(BUILD)/host/%.o) $(BUILD)/libruntime-host.a
	$(CC) $(SANITIZE) $(COVER) -o $@ $^

# libsluicify, for other programs: one object in which nothing but sluicify_* is visible.
LIBRARY_SOURCES := runtime/client/sluicify.c $(sort $(wildcard runtime/shared/*.c))
$(BUILD)/libsluicify.a: $(LIBRARY_SOURCES:%.c=$(BUILD)/library/%.o)
	ld -r -o $(BUILD)/library/libsluicify.o $^
	objcopy --wildcard --keep-global-symbol='sluicify_*' $(BUILD)/library/libsluicify.o
	@rm -f $@
	ar rcsD $@ $(BUILD)/library/libsluicify.o
$(BUILD)/library/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HOST) -fPIC -MT $@ -c -o $@ $<

$(BUILD)/host/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HOST) -I$(BUILD) -MT $@ -c -o $@ $<
# What re2c and bison write is theirs to lint.
$(BUILD)/host/grammar/%.o: $(BUILD)/grammar/%.c
	@mkdir -p $(@D)
	$(CC) $(HOST) -w -I$(BUILD) -MT $@ -c -o $@ $<
$(BUILD)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(MUSL_CC) $(RUNTIME) -MT $@ -c -o $@ $<
$(BUILD)/glibc/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(RUNTIME) $(if $(SAN),$(SANITIZE) -g,-D_FORTIFY_SOURCE=2) $(if $(findstring /verify/,$@),,$(COVER)) -MT $@ -c -o $@ $<

$(BUILD)/grammar/%.tab.c $(BUILD)/grammar/%.tab.h: grammar/%.y
	@mkdir -p $(@D)
	$(BISON) -Wall -Werror --no-lines -o $(BUILD)/grammar/$*.tab.c --defines=$(BUILD)/grammar/$*.tab.h $<
$(BUILD)/grammar/%.c: grammar/%.re
	@mkdir -p $(@D)
	$(RE2C) -W -Werror --no-version --no-generation-date -i -o $@ $<
# What the analyses know about programs, as string literals: one source line is one line of text.
$(BUILD)/grammar/programs.inc: compiler/analysis/programs.txt
	@mkdir -p $(@D)
	sed -e '/^#/d; /^$$/d' -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< > $@
$(BUILD)/host/compiler/analysis/programs.o: $(BUILD)/grammar/programs.inc
# Whatever includes the parser's header needs it made first.
$(COMPILER_OBJECTS): | $(patsubst grammar/%.y,$(BUILD)/grammar/%.tab.h,$(wildcard grammar/*.y))

# ---- tests --------------------------------------------------------------------------------------

$(BUILD)/tests/%: tests/%.c $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a
	@mkdir -p $(@D)
	$(CC) $(HOST) -I$(BUILD) -MF $@.d -o $@ $< $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a $(BUILD)/libcompiler.a -lcmocka $(LIBRARIES)

.PHONY: check unit end-to-end
check:
	$(MAKE) deps
	$(MAKE) WERROR=-Werror all
	$(MAKE) WERROR=-Werror unit
	$(MAKE) WERROR=-Werror replay
	$(MAKE) end-to-end

# What a confined call costs against a bare spawn, interleaved in one run.
$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a
	@mkdir -p $(@D)
	$(CC) $(HOST) -I$(BUILD) -MF $@.d -o $@ $< $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a $(BUILD)/libcompiler.a $(LIBRARIES)

# Programs that the benchmarks let brokers run: static, so that they cost least themselves.
$(BUILD)/tests/bench/static-%: tests/bench/%.c
	@mkdir -p $(@D)
	$(MUSL_CC) -std=gnu11 -Wall -Wextra $(WERROR) -O2 -static -s -o $@ $<
$(BUILD)/tests/bench/load $(BUILD)/tests/bench/bare $(BUILD)/tests/bench/start: tests/bench/caller.h

# All figures: calls, matching, capture, memory, the compiler, others. Under five minutes on two
# processors, with nothing else running. BENCH= picks sections; charts go to docs/bench/.
BENCH_PROGRAMS := $(addprefix $(BUILD)/tests/bench/,load bare start static-true static-flood neighbours)
.PHONY: bench bench-deps
bench: all $(BENCH_PROGRAMS)
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)

# What the same job is compared with, as far as Debian has it. Nobody else needs these.
bench-deps:
	$(MAKE) deps PACKAGES="git sudo opendoas openssh-server openssh-client bubblewrap systemd"

# What compiling and matching cost, from ten rules to ten thousand.
.PHONY: bench-compile
bench-compile: all
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/compile.py --large

# What check and diff cost, for 1,000 rules and for rules that are too much.
.PHONY: bench-analysis
bench-analysis: all
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/analysis.py

.PHONY: bench-capture
bench-capture: $(BUILD)/tests/bench/capture
	$(BUILD)/tests/bench/capture

.PHONY: bench-spawn
bench-spawn: $(BUILD)/tests/bench/spawn
	$(BUILD)/tests/bench/spawn

# ---- fuzzing: docs/testing.md ----

FUZZ_TARGETS  := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SUPPORT  := tests/fuzz/support.c $(sort $(wildcard tests/fuzz/with_*.c))
FUZZ_CC       ?= clang-14
FUZZ_FLAGS    := $(COMMON) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                 -fsanitize=fuzzer-no-link -fno-sanitize-recover=all -MMD -MP -I$(BUILD)
FUZZ_TESTED   := $(COMPILER_SOURCES) $(HOST_RUNTIME) $(filter-out $(CLIENT_MAIN),$(CLIENT_SOURCES))
FUZZ_OBJECTS  := $(FUZZ_TESTED:%.c=$(BUILD)/fuzz/%.o) \
                 $(FRONT_SOURCES:$(BUILD)/%.c=$(BUILD)/fuzz/%.o)
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz-run/%)
SECONDS       ?= 60

# The corpora, each file once, without a fuzzer.
$(BUILD)/tests/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(FUZZ_SUPPORT) $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a
	@mkdir -p $(@D)
	$(CC) $(HOST) -I$(BUILD) -MF $@.d -o $@ $(filter %.c,$^) $(filter %/libdecide.a,$^) $(BUILD)/libcompiler.a $(BUILD)/libruntime-host.a $(BUILD)/libcompiler.a $(LIBRARIES)

# What is generated from the rules of the target "decide", by a C compiler with its flags.
define DECIDE
	rm -rf $(@D)/decided
	$(BUILD)/sluicec --emit $(@D)/decided tests/fuzz/decide/decide.rules
	for file in $(@D)/decided/patterns/[at]*.re; do \
	    $(RE2C) -I $(@D)/decided/patterns -8 --encoding-policy fail -W -Wno-match-empty-string -Werror -i --no-version --no-generation-date --case-ranges -o $${file%.re}.c $$file; \
	done
	for file in $(@D)/decided/[!ls]*.c $(@D)/decided/patterns/*.c; do $(1) -Iruntime/include -I$(@D)/decided -c -o $${file%.c}.o $$file; done
	rm -f $@
	ar rcsD $@ $(@D)/decided/*.o $(@D)/decided/patterns/*.o
endef
$(BUILD)/tests/fuzz/libdecide.a: tests/fuzz/decide/decide.rules $(BUILD)/sluicec
	@mkdir -p $(@D)
	$(call DECIDE,$(CC) $(HOST))
$(BUILD)/fuzz/libdecide.a: tests/fuzz/decide/decide.rules $(BUILD)/sluicec
	@mkdir -p $(@D)
	$(call DECIDE,$(FUZZ_CC) $(FUZZ_FLAGS))
$(BUILD)/tests/fuzz/decide: $(BUILD)/tests/fuzz/libdecide.a
$(BUILD)/fuzz/fuzz-run/decide: $(BUILD)/fuzz/libdecide.a

# gcc -fanalyzer, clang, clang-tidy and cppcheck: what they find is explained, or fixed.
.PHONY: analyse
analyse: all
	$(PYTHON) tests/analysers/analyse.py $(BUILD)

.PHONY: replay fuzz
replay: $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/%)
	@for target in $(FUZZ_TARGETS); do $(BUILD)/tests/fuzz/$$target tests/fuzz/corpus/$$target || exit 1; done

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -c -o $@ $<
$(BUILD)/fuzz/grammar/%.o: $(BUILD)/grammar/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -w -c -o $@ $<
$(FUZZ_OBJECTS): | $(patsubst grammar/%.y,$(BUILD)/grammar/%.tab.h,$(wildcard grammar/*.y)) $(BUILD)/grammar/programs.inc
$(BUILD)/fuzz/libtested.a: $(FUZZ_OBJECTS)
	@rm -f $@
	@ar rcsD $@ $^
$(BUILD)/fuzz/fuzz-run/%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/tests/fuzz/libfuzzer.o $(FUZZ_SUPPORT:%.c=$(BUILD)/fuzz/%.o) $(BUILD)/fuzz/libtested.a
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $(filter-out %.a,$^) $(filter %.a,$^) $(BUILD)/fuzz/libtested.a $(LIBRARIES)

# Each target for SECONDS, from what earlier runs found and the repository's corpus; new inputs and
# findings stay in $(BUILD)/fuzz/scratch.
fuzz: $(FUZZ_PROGRAMS)
	@for target in $(FUZZ_TARGETS); do tests/fuzz/run.sh $(abspath $(BUILD))/fuzz $$target $(SECONDS); done

.PHONY: bench-neighbours
bench-neighbours: all $(BUILD)/tests/bench/neighbours
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/neighbours.py

# Which lines and branches the tests run, by folder; the whole of it as HTML in $(BUILD)/coverage/html.
.PHONY: coverage
COVERAGE := BUILD=$(BUILD)/coverage COVERED=1 CC=clang-14 CFLAGS='-O1 -g'
coverage:
	rm -rf $(BUILD)/coverage/counts
	mkdir -m 1777 -p $(BUILD)/coverage/counts
	$(MAKE) $(COVERAGE) all
	-$(MAKE) $(COVERAGE) unit
	-$(MAKE) $(COVERAGE) replay
	-$(MAKE) $(COVERAGE) end-to-end
	$(PYTHON) tests/coverage.py $(BUILD)/coverage

unit: $(UNIT_TESTS)
	@for test in $(UNIT_TESTS); do echo "== $$test"; $$test; done

# Programs of C that the end-to-end tests run.
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/emit/*.c tests/confinement/*.c tests/soak/*.c))

# Those that try to get out of their confinement are static: they need nothing but themselves.
$(BUILD)/tests/confinement/%: tests/confinement/%.c tests/confinement/attempt.h
	@mkdir -p $(@D)
	$(MUSL_CC) -std=gnu11 -Wall -Wextra $(WERROR) -O1 -static -I. -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH) -o $@ $<

# What a soak's calls run is started a hundred thousand times.
$(BUILD)/tests/soak/payload: tests/soak/payload.c
	@mkdir -p $(@D)
	$(MUSL_CC) -std=gnu11 -Wall -Wextra $(WERROR) -O1 -static -o $@ $<

# A broker under CALLS mixed calls, or for HOURS: it must end as it began. CRASHES: killed that often.
.PHONY: soak crashes
soak: all $(BUILD)/tests/soak/load $(BUILD)/tests/soak/payload
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/soak/soak.py $(if $(CALLS),--calls $(CALLS)) $(if $(HOURS),--hours $(HOURS))
crashes: all $(BUILD)/tests/soak/load $(BUILD)/tests/soak/payload
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/soak/crashes.py $(if $(CRASHES),--crashes $(CRASHES))

# Under another kernel, in a virtual machine (qemu-system-x86): what this host's does not have. KERNEL is
# a folder with boot/vmlinuz-* and lib/modules, such as Debian's linux-image-amd64 unpacked.
KERNEL ?= /
GUEST_TESTS ?= tests/confinement/test_cgroups.py
.PHONY: guest
guest: all $(BUILD)/tests/confinement/guest_init $(BUILD)/tests/confinement/escape_runner $(BUILD)/tests/unit/test_cgroup
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/confinement/guest.py $(KERNEL) $(GUEST_TESTS)

# An area at a time: each has helpers of its own (conftest.py, wire.py) that share no names with others'.
end-to-end: all $(TEST_PROGRAMS) $(BUILD)/faults/runtime/libruntime-musl.a $(BUILD)/faults/preload.so $(BUILD)/cost/runtime/libruntime-musl.a
	@failed=; for area in $(sort $(dir $(wildcard tests/*/test_*.py))); do \
	    echo "== $$area"; \
	    SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $$area || \
	        failed="$$failed $$area"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

# Writes what golden tests expect anew, from what the compiler says now. Review the diff.
.PHONY: update-golden
update-golden: all $(BUILD)/tests/unit/test_syscalls
	SLUICE_UPDATE_GOLDEN=1 SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/language tests/emit/test_sources.py
	SLUICE_UPDATE_GOLDEN=1 $(BUILD)/tests/unit/test_syscalls

# ---- faults --------------------------------------------------------------------------------------

# The runtime in which any call can be made to fail (tests/faults/inject.c), as a folder for sluicec's
# --runtime. UBSan's checks trap, so that what they find is a crash.
FAULTS := $(BUILD)/faults
FAULT_OBJECTS := $(MUSL_RUNTIME:%.c=$(FAULTS)/musl/%.o)
$(FAULTS)/musl/%.o: %.c tests/faults/calls.txt
	@mkdir -p $(@D)
	$(MUSL_CC) $(RUNTIME) -MT $@ -MF $(@:.o=.d) -g -fsanitize=undefined -fsanitize-undefined-trap-on-error -c -o $@.plain $<
	sed $(if $(filter %/kernel_call.c,$<),-e /kernel_call_words/d) -e 's/.*/& fault_&/' tests/faults/calls.txt > $@.names
	objcopy --redefine-syms=$@.names $@.plain $@
	@rm -f $@.plain $@.names
$(FAULTS)/musl/inject.o: tests/faults/inject.c
	@mkdir -p $(@D)
	$(MUSL_CC) $(RUNTIME) -g -c -o $@ $<
$(FAULTS)/runtime/libruntime-musl.a: $(FAULT_OBJECTS) $(FAULTS)/musl/inject.o $(LIB)/verify-musl.o $(LIB)/.sources
	@mkdir -p $(@D)
	rm -rf $@ $(@D)/runtime
	cp -r $(LIB)/runtime $(@D)/runtime
	cp $(LIB)/verify-musl.o $(@D)/verify-musl.o
	ar rcsD $@ $(FAULT_OBJECTS) $(FAULTS)/musl/inject.o

# The same for the compiler: loaded before it, so that libraries' allocations count too.
$(FAULTS)/preload.so: tests/faults/preload.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Wall -Wextra $(WERROR) -O1 -g -fno-builtin -shared -fPIC -o $@ $<

# The runtime without children that wait beside their worker, which valgrind cannot follow: for counting
# the broker's instructions (tests/cost).
COUNTED := $(BUILD)/cost/runtime
$(COUNTED)/libruntime-musl.a: $(LIB)/libruntime-musl.a $(LIB)/verify-musl.o $(LIB)/.sources
	rm -rf $(@D)
	@mkdir -p $(@D)
	cp -r $(LIB)/. $(@D)
	$(MUSL_CC) $(RUNTIME) -DKERNEL_CALL_LEAVES_ERRNO=0 -c -o $(@D)/ahead.o runtime/worker/ahead.c
	ar rD $@ $(@D)/ahead.o

# Every fault in turn (tests/faults); `make check` runs a sample.
.PHONY: faults mutate
faults: all $(FAULTS)/runtime/libruntime-musl.a $(FAULTS)/preload.so
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/faults/runtime.py
	SLUICE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/faults/compiler.py

# Breaks the code in one place at a time, in a copy, and shows that a test fails for each.
mutate:
	$(PYTHON) tests/mutation/mutate.py

# ---- the rest -----------------------------------------------------------------------------------

# To build and to try it; and besides that for `make check`: helpers, and programs that examples and
# documents speak of.
TO_BUILD := gcc make libc6-dev binutils re2c bison libpcre2-dev libseccomp-dev libaugeas-dev musl-tools git
PACKAGES := $(TO_BUILD) libcmocka-dev graphviz python3 python3-pytest python3-pytest-xdist jq logrotate \
            strace valgrind gh systemd

.PHONY: deps clean demo install
demo:
	$(MAKE) deps PACKAGES="$(TO_BUILD)"
	$(MAKE) all
	examples/demo.sh $(BUILD)

# The compiler finds its runtime in ../lib/sluice from its own folder, here and where it is installed.
install: all
	install -D -m 755 $(BUILD)/sluicec $(DESTDIR)$(PREFIX)/bin/sluicec
	install -D -m 755 $(BUILD)/sluicify $(DESTDIR)$(PREFIX)/bin/sluicify
	install -D -m 644 $(BUILD)/libsluicify.a $(DESTDIR)$(PREFIX)/lib/libsluicify.a
	install -D -m 644 runtime/client/sluicify.h $(DESTDIR)$(PREFIX)/include/sluicify.h
	cd $(LIB) && find . -type f ! -name '.*' -exec install -D -m 644 {} $(DESTDIR)$(PREFIX)/lib/sluice/{} \;
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/sluice/LICENSE
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/sluice/README.md
	for page in docs/*.md; do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/doc/sluice/$$(basename $$page); done

deps:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	    echo "installing (Debian packages):" $$missing; \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
