# SPDX-License-Identifier: MIT
# tarn's one Makefile; `make help` lists the targets.
#   O=build  CROSS_COMPILE=  LLVM=1 (clang)  DEBUG=1 (frame pointers)  V=1 (show commands)
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SECONDEXPANSION:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/sh
O ?= build
PYTHON ?= /usr/bin/python3

# The one-command targets first install what is missing, before anything else is looked at.
deps := $(if $(filter check,$(MAKECMDGOALS)),check,$(if $(filter debug,$(MAKECMDGOALS)),debug,\
	$(if $(filter run run-iso iso oracle linux,$(MAKECMDGOALS)),build)))
ifneq ($(if $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),,$(deps)),)
ignored := $(shell tools/install-deps.sh $(deps) >&2)
ifneq ($(.SHELLSTATUS),0)
$(error something needed is missing, see above)
endif
endif

# Tools
CROSS_COMPILE ?=
ifneq ($(LLVM),)
CC := clang$(if $(CROSS_COMPILE), --target=$(patsubst %-,%,$(notdir $(CROSS_COMPILE))))
CC_FLAGS := -fdirect-access-external-data -fno-unroll-loops -Wno-unknown-warning-option
LD := ld.lld
else
CC := $(CROSS_COMPILE)gcc
CC_FLAGS :=
LD := $(CROSS_COMPILE)ld
endif
NM := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
NASM ?= nasm
AWK ?= awk
HOSTCC ?= gcc
XEN_HEADERS ?= /usr/include/xen
CC_INCLUDE = $(eval CC_INCLUDE := $$(shell $(CC) -print-file-name=include))$(CC_INCLUDE)
comma := ,
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' '$(1)' '$(2)')

# Flags
WARN := -Wall -Wextra -Wconversion -Wshadow -Werror
XEN_ABI := -D__XEN_INTERFACE_VERSION__=0x00041100 -D__XEN_TOOLS__
FRAME_POINTER ?= $(if $(DEBUG),-fno-omit-frame-pointer -fno-optimize-sibling-calls)
FREESTANDING = -std=gnu11 -O2 -g $(WARN) -ffreestanding -nostdinc -isystem $(CC_INCLUDE) -isystem $(O)/abi \
	$(XEN_ABI) -mno-red-zone -fno-strict-aliasing -fno-common -fno-asynchronous-unwind-tables $(CC_FLAGS)
HV_CFLAGS = $(FREESTANDING) -I$(O) -Iinclude -Iarch/x86/include -fpie -include tarn/hidden.h -mgeneral-regs-only -Wno-override-init \
	-fstack-protector-strong -mstack-protector-guard=global $(FRAME_POINTER) $(EXTRA_CFLAGS)
HV_LDFLAGS := -nostdlib -static -no-pie -z max-page-size=4096 -z noexecstack --build-id=none --orphan-handling=error
NASMFLAGS := -f elf64 -g -F dwarf -w+error
UNIT_CFLAGS := -std=gnu11 -g -O1 $(filter-out -Wconversion,$(WARN)) -fsanitize=address,undefined -fno-sanitize-recover=all \
	-Iinclude -Iarch/x86/include $(XEN_ABI)
include $(wildcard guests/lib/guest.mk)

# Sources
HV_DIRS := $(addprefix arch/x86/,boot pv mm cpu) kernel kernel/ops sched evtchn lib
HV_C := $(filter-out lib/wire.c,$(wildcard $(HV_DIRS:=/*.c)))
HV_ASM := $(wildcard $(HV_DIRS:=/*.asm))
HV_OBJ := $(HV_ASM:%.asm=$(O)/obj/%.asm.o) $(HV_C:%.c=$(O)/obj/%.o)
GUESTS := $(patsubst guests/%/,%,$(filter-out guests/lib/,$(dir $(wildcard guests/*/*.c))))
GUESTS := $(sort $(GUESTS))
GUEST_ELF := $(GUESTS:%=$(O)/guests/%.elf)
GUEST_LIB := $(patsubst %.c,%.o,$(patsubst %.asm,%.asm.o,$(wildcard guests/lib/*.asm guests/lib/*.c)))
# Guests use some of the hypervisor's pure helpers, the control domain more of them.
GUEST_CFLAGS_control := -Iinclude
guest_lib := $(patsubst %,$(O)/obj/guest-lib/%.o,number printf string)
control_lib := $(patsubst %,$(O)/obj/guest-lib/%.o,cpulist elf pv_layout str wire)
GUEST_EXTRA_control = $(control_lib)
UNIT := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/test_*.c))
IMAGE := $(O)/tarn.elf $(O)/tarn.elf32
# What runs at boot, a guest's too, on a fault of ours, or for the control domain only is compiled for size: the
# image has a limit (linker.ld).
COLD := $(addprefix arch/x86/,boot/% pv/build pv/cpuid pv/decode% pv/vcpu_arch mm/frames mm/paging $(addprefix cpu/,acpi apicid console \
	cpufeature panic pcpu power rtc smp tsc uart)) $(addprefix lib/,cmdline cpulist elf log_ring number options printf \
	pv_layout numa topology trace_ring) evtchn/look \
	$(addprefix kernel/,debug_keys destroy domain grant_table trace $(addprefix ops/,console_op cpu_policy domctl% evtchn_fifo exchange grant_copy grant_setup memory_op platform_op \
	reservation sysctl% tarn% tbuf_op version_op)) $(addprefix sched/,affinity bandwidth cpupool credit_dump credit_share credit_tree group member pool null rr rtds% sedf%)
$(filter $(COLD:%=$(O)/obj/%.o),$(HV_OBJ)): OPTIMISE := $(if $(LLVM),-Oz,-Os) -fno-jump-tables

.PHONY: all
all: $(IMAGE) $(GUEST_ELF) $$(ARCHIVE) $$(TARN) ## the hypervisor, all guests, the host's program

# Generated files. A change of compiler or flags rebuilds everything.
$(O)/abi/xen:
	$(Q)test -e $(XEN_HEADERS)/xen.h || { echo '$(XEN_HEADERS)/xen.h: not found: install libxen-dev' >&2; exit 1; }
	$(Q)mkdir -p $(@D) && ln -sfn $(XEN_HEADERS) $@

$(O)/gen/flags: FORCE
	$(Q)mkdir -p $(@D); echo '$(CC) $(HV_CFLAGS) $(GUEST_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(HV_CFLAGS) $(GUEST_CFLAGS)' >$@

$(O)/gen/version.h: FORCE
	$(Q)mkdir -p $(@D); v=$$(git describe --tags --always --dirty 2>/dev/null || echo 0.1); \
	echo "#define TARN_VERSION \"$$v\"" >$@.tmp; cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

$(O)/gen/offsets.inc: tools/offsets.c Makefile $(O)/gen/flags | $(O)/abi/xen
	$(call say,GEN,$@)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -MT $@ -MF $@.d -S -o $(@:.inc=.s) $<
	$(Q)$(AWK) '/\.ascii[ \t]+"->/ { sub(/.*->/, ""); gsub(/["$$]/, ""); print "%define " $$1 " " $$2 }' $(@:.inc=.s) >$@

# Compiling
$(O)/obj/%.o: %.c $(O)/gen/flags $(O)/gen/version.h | $(O)/abi/xen
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(OPTIMISE) -MMD -MP -c -o $@ $<

$(O)/obj/%.asm.o: %.asm $(O)/gen/offsets.inc
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(NASM) $(NASMFLAGS) -I$(O)/ -I$(<D)/ -Iarch/x86/include/ -MD $(@:.o=.d) -MP -o $@ $<

$(O)/obj/guests/%.o: guests/%.c $(O)/gen/flags | $(O)/abi/xen
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(FREESTANDING) -Iinclude/public $(GUEST_CFLAGS) $(GUEST_CFLAGS_$(firstword $(subst /, ,$*))) -MMD -MP -c -o $@ $<

$(guest_lib) $(control_lib): $(O)/obj/guest-lib/%.o: lib/%.c $(O)/gen/flags | $(O)/abi/xen
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(FREESTANDING) -Iinclude $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/obj/guests/%.asm.o: guests/%.asm
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(NASM) $(NASMFLAGS) -I$(<D)/ -Iguests/lib/ -MD $(@:.o=.d) -MP -o $@ $<

# Linking: once with an empty symbol table for the addresses, once with the full one. Text lies
# before the table, so that its addresses stay; the comparison makes sure.
link = $(LD) $(HV_LDFLAGS) -T linker.ld -Map=$(2).map -o $(2) $(HV_OBJ) $(1)
symtab = $(NM) -n $(1) | $(AWK) -f tools/symtab.awk >$(2)

$(O)/tarn.elf: $(HV_OBJ) linker.ld tools/symtab.awk
	$(call say,LD,$@)
	$(Q)$(AWK) -f tools/symtab.awk </dev/null >$(O)/gen/symtab0.asm
	$(Q)$(NASM) -f elf64 -o $(O)/gen/symtab0.o $(O)/gen/symtab0.asm
	$(Q)$(call link,$(O)/gen/symtab0.o,$(O)/gen/tarn.pass1)
	$(Q)$(call symtab,$(O)/gen/tarn.pass1,$(O)/gen/symtab.asm)
	$(Q)$(NASM) -f elf64 -o $(O)/gen/symtab.o $(O)/gen/symtab.asm
	$(Q)$(call link,$(O)/gen/symtab.o,$@)
	$(Q)$(call symtab,$@,$(O)/gen/symtab.check)
	$(Q)cmp $(O)/gen/symtab.asm $(O)/gen/symtab.check

# QEMU's -kernel takes only 32-bit ELF: the low halves of the addresses are the physical ones.
$(O)/tarn.elf32: $(O)/tarn.elf
	$(call say,OBJCOPY,$@)
	$(Q)$(OBJCOPY) -O elf32-i386 --strip-debug $< $@ 2>$(O)/gen/objcopy.log || { cat $(O)/gen/objcopy.log >&2; exit 1; }

guest_obj = $(patsubst %.c,%.o,$(patsubst %.asm,%.asm.o,$(wildcard guests/$(1)/*.asm guests/$(1)/*.c)))
$(O)/guests/%.elf: $$(addprefix $(O)/obj/,$$(GUEST_LIB) $$(call guest_obj,%)) $(guest_lib) $$(GUEST_EXTRA_%) guests/lib/guest.ld
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(LD) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

# What the control domain finds in its initrd: the guests and the domain files.
ARCHIVE := $(O)/control.tar
$(ARCHIVE): $(filter-out $(O)/guests/control.elf,$(GUEST_ELF)) $(wildcard guests/control/files/*)
	$(call say,TAR,$@)
	$(Q)tar --format=ustar --owner=0 --group=0 --mtime=@0 -cf $@ -C $(O)/guests \
		$(notdir $(filter %.elf,$^)) -C $(CURDIR)/guests/control/files $(notdir $(filter guests/control/files/%,$^))

# The host's program
TARN := $(O)/tools/tarn
tarn_obj := $(patsubst %.c,$(O)/host/%.o,$(wildcard tools/tarn/*.c) guests/control/placement.c $(addprefix lib/,printf.c str.c wire.c))
XML_CFLAGS ?= -I/usr/include/libxml2
XML_LIBS ?= -lxml2
HOST_CFLAGS = -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE $(HOST_EXTRA) -Iinclude -Iinclude/public $(XML_CFLAGS)
$(O)/gen/libxml2:
	$(Q)echo '#include <libxml/parser.h>' | $(HOSTCC) $(XML_CFLAGS) -E -x c - >/dev/null 2>&1 || { \
		echo 'libxml/parser.h: not found: install libxml2-dev, or set XML_CFLAGS and XML_LIBS' >&2; exit 1; }
	$(Q)mkdir -p $(@D) && touch $@

$(O)/host/%.o: %.c Makefile $(O)/gen/version.h | $(O)/gen/libxml2
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOST_CFLAGS) -I$(O) -MMD -MP -c -o $@ $<

$(TARN): $(tarn_obj)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOST_EXTRA) -o $@ $^ $(XML_LIBS)

.PHONY: tools install
tools: $(TARN) ## the host's program, tarn

# Its images lie under share/tarn as they do in the build folder.
PREFIX ?= /usr/local
install: all ## the host's program with man page, completion and images, into DESTDIR and PREFIX
	$(Q)install -D -m 755 $(TARN) $(DESTDIR)$(PREFIX)/bin/tarn
	$(Q)install -D -m 644 tools/tarn/tarn.1 $(DESTDIR)$(PREFIX)/share/man/man1/tarn.1
	$(Q)install -D -m 644 tools/tarn/tarn.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tarn
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tarn $(IMAGE) $(ARCHIVE)
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tarn/guests $(O)/guests/control.elf
	$(Q)test ! -e $(O)/tarn.iso || install -m 644 $(O)/tarn.iso $(DESTDIR)$(PREFIX)/share/tarn

# Tests on the host; a test's first lines name the sources that it links: /* sources: a.c b.c */
# Those with a line /* tsan */ are built and run once more, under the thread sanitizer.
host_sources = $(shell $(AWK) '/sources:/ { on = 1; sub(/.*sources:/, "") } on { end = sub(/\*\/.*/, ""); \
	gsub(/ \* /, ""); print } end { exit }' $(1))
host_obj = $(patsubst %.c,$(O)/unit/$(1)/%.o,$(2) $(call host_sources,$(2)) $(3))
host_flags = $(subst address$(comma)undefined,$(1),$(UNIT_CFLAGS)) -Wno-unknown-warning-option
HOST_C := tests/unit/host.c tests/unit/untraced.c
TSAN := $(patsubst tests/unit/%.c,$(O)/unit/%.tsan,$(shell grep -lx '/\* tsan \*/' tests/unit/test_*.c))
# Those with a line /* interleave */ run their sources in every interleaving: tests/unit/interleave.h.
INTERLEAVE := $(patsubst tests/unit/%.c,$(O)/unit/%,$(shell grep -lx '/\* interleave \*/' tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT += $(TSAN)
$(O)/unit/flags: FORCE
	$(Q)mkdir -p $(@D); echo '$(HOSTCC) $(UNIT_CFLAGS)' | cmp -s - $@ || echo '$(HOSTCC) $(UNIT_CFLAGS)' >$@

$(O)/unit/asan/%.o: %.c $(O)/unit/flags
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/unit/tsan/%.o: %.c $(O)/unit/flags
	$(call say,TSAN,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(call host_flags,thread) -MMD -MP -c -o $@ $<

$(O)/unit/fuzz/%.o: %.c $(O)/unit/flags
	$(call say,CLANG,$<)
	$(Q)mkdir -p $(@D) && clang $(call host_flags,fuzzer$(comma)address$(comma)undefined) -MMD -MP -c -o $@ $<

YIELD_CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(UNIT_CFLAGS)) -Wno-unknown-warning-option
$(O)/unit/yield/%.o: %.c $(O)/unit/flags
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(YIELD_CFLAGS) $(if $(findstring unit/interleave.c,$<),-O2,-fsanitize=thread) -MMD -MP -c -o $@ $<

$(INTERLEAVE): $(O)/unit/%: $$(call host_obj,yield,tests/unit/$$*.c)
	$(Q)$(HOSTCC) -o $@ $(filter %.o,$^) -lcmocka

$(filter-out $(TSAN) $(INTERLEAVE),$(UNIT)): $(O)/unit/%: $$(call host_obj,asan,tests/unit/$$*.c,$(HOST_C))
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka

$(TSAN): $(O)/unit/%.tsan: $$(call host_obj,tsan,tests/unit/$$*.c,$(HOST_C))
	$(Q)$(HOSTCC) $(call host_flags,thread) -o $@ $(filter %.o,$^) -lcmocka

# libFuzzer harnesses name their sources in the same way
$(O)/unit/fuzz/tools/tarn/%.o $(O)/unit/fuzz/tests/fuzz/fuzz_define.o: UNIT_CFLAGS += -D_GNU_SOURCE -Iinclude/public $(XML_CFLAGS)
$(FUZZ): $(O)/fuzz/%: $$(call host_obj,fuzz,tests/fuzz/$$*.c)
	$(Q)mkdir -p $(@D) && clang $(call host_flags,fuzzer$(comma)address$(comma)undefined) -o $@ $(filter %.o,$^) \
		$(if $(filter %/fuzz_define,$@),$(XML_LIBS))

.PHONY: docs
docs: all ## run the commands that pages show, and put what they print there; T= which pages
	$(Q)O=$(O) tools/doc-runs.py $(or $(T),docs/scheduling.md docs/pools.md docs/groups.md)

.PHONY: pictures
pictures: all ## trace a machine and draw docs/pictures
	$(Q)tools/pictures.sh $(O) docs/pictures

.PHONY: mutants
mutants: ## break a policy line by line: does its unit test notice? T= which, e.g. T=rr
	$(Q)HOSTCC='$(HOSTCC)' UNIT_CFLAGS='$(UNIT_CFLAGS)' tools/mutants.py $(or $(T),rr)

# The simulator of whole machines, tests/sim: the hypervisor's own scheduling files in virtual time. Optimised,
# for 4096 CPUs, and (shorter runs of) the same programs under the sanitizers.
SIM_MAINS := scenarios defects bandwidth scale torture
SIM_SOURCES := $(filter-out $(SIM_MAINS:%=tests/sim/%.c),$(wildcard tests/sim/*.c)) $(wildcard sched/*.c) \
	arch/x86/cpu/timer.c tests/unit/untraced.c $(addprefix lib/,printf.c str.c timer_heap.c topology.c)
SIM_CFLAGS := $(filter-out -O1 -fsanitize% -fno-sanitize%,$(UNIT_CFLAGS)) -O2 -fno-strict-aliasing
SIM := $(SIM_MAINS:%=$(O)/sim/%) $(patsubst %,$(O)/sim/%.asan,scenarios torture defects bandwidth)
UNIT += $(SIM)
sim_cpus = $(if $(filter scale,$(1)),4096,256)
sim_obj = $(patsubst %.c,$(2)/%.o,tests/sim/$(1).c $(SIM_SOURCES))

sim_cc = mkdir -p $(@D) && $(HOSTCC) $(SIM_CFLAGS) -DNR_CPUS=$(1) -MMD -MP -c -o $@ $<
$(O)/sim/256/%.o: %.c $(O)/unit/flags
	$(call say,SIM,$<)
	$(Q)$(call sim_cc,256)

$(O)/sim/4096/%.o: %.c $(O)/unit/flags
	$(call say,SIM,$<)
	$(Q)$(call sim_cc,4096)

$(SIM_MAINS:%=$(O)/sim/%): $(O)/sim/%: $$(call sim_obj,$$*,$(O)/sim/$$(call sim_cpus,$$*))
	$(Q)$(HOSTCC) $(SIM_CFLAGS) -o $@ $^

$(filter %.asan,$(SIM)): $(O)/sim/%.asan: $$(call sim_obj,$$*,$(O)/unit/asan)
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) -o $@ $^

.PHONY: sim torture-sim
sim: $(SIM_MAINS:%=$(O)/sim/%) ## scheduling on simulated machines: N=1500 scenarios of three kinds from SEED=1 on, known defects, bandwidth, 4096 CPUs
	$(Q)for p in scenarios defects bandwidth scale; do N='$(N)' SEED='$(SEED)' $(O)/sim/$$p || exit 1; done

torture-sim: $(O)/sim/torture ## OPS=1000000 random operations on pools, CPUs and domains of simulated machines, from SEED=1 on
	$(Q)OPS='$(OPS)' SEED='$(SEED)' $(O)/sim/torture

.PHONY: unit fuzz model qemu-check lint check oracle bench
fuzz: $(FUZZ) ## fuzz the parsers of foreign data (clang), SECONDS=60 each
	$(Q)for f in $(FUZZ); do echo "$$f"; $$f -max_total_time=$(or $(SECONDS),60) -verbosity=0 -print_final_stats=1 -artifact_prefix=$(O)/fuzz/ || exit 1; done

unit: $(UNIT) ## host unit tests under ASan and UBSan, those with threads under TSan, too
	$(Q)tools/run-unit.sh $(O) $(UNIT)

.PHONY: test-placement
test-placement: all $(O)/unit/test_placement $(O)/unit/test_placement_list ## libvirt's placement rules: the whole table, on the host and under QEMU
	$(Q)tools/run-unit.sh $(O) $(filter $(O)/unit/%,$^)
	$(Q)O=$(O) tools/run-pytest.sh -k test_placement

model: ## check the models of the event protocols with Spin, and that defects in them and in the code are found; T= which
	$(Q)O=$(O) HOSTCC='$(HOSTCC)' YIELD_CFLAGS='$(YIELD_CFLAGS)' $(PYTHON) tests/model/run.py $(T)

qemu-check: all iso ## boot tests under QEMU; T= pytest's arguments, e.g. T='-k maxcpus'
	$(Q)O=$(O) tools/run-pytest.sh $(T)

lint: $(HV_OBJ) $(O)/gen/version.h | $(O)/abi/xen ## format, headers alone, layers, globals, sizes
	$(Q)O=$(O) HV_CC='$(CC) $(HV_CFLAGS)' GUEST_CC='$(CC) $(FREESTANDING) -Iinclude/public $(GUEST_CFLAGS)' \
		OBJECTS='$(HV_OBJ)' $(PYTHON) tools/lint.py $(T)

check: all iso $(UNIT) | $(O)/abi/xen ## installs what is missing, then every test; with clang, its build, too
	$(Q)O=$(O) HV_CC='$(CC) $(HV_CFLAGS)' GUEST_CC='$(CC) $(FREESTANDING) -Iinclude/public $(GUEST_CFLAGS)' \
		HOSTCC='$(HOSTCC)' YIELD_CFLAGS='$(YIELD_CFLAGS)' OBJECTS='$(HV_OBJ)' UNIT='$(UNIT)' tools/check.sh

bench: all ## instructions that the hot paths take, beside those of Xen where it can be had
	$(Q)O=$(O) $(PYTHON) tools/bench.py

.PHONY: demo-isolation
demo-isolation: all ## whose CPU time is an emulator's work: two policies measured under load; a table, OUT/results/isolation.csv and .svg
	$(Q)O=$(O) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tools/demo-isolation.py

.PHONY: torture
torture: all ## random operations on pools under load, for long; T= what, e.g. T='-n 300 --smp 8 --seed 1,2'
	$(Q)TARN_BUILD=$(O) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/qemu/torture.py $(T)

# 100,000,000 events take 10 to 20 minutes by each protocol, on two CPUs that do nothing else.
.PHONY: soak
soak: all ## storms of events, for long: SENDS=100000000 events by both protocols, RACES=1000000 to sleep against wake-ups
	$(Q)TARN_BUILD=$(O) TARN_SENDS=$(or $(SENDS),100000000) TARN_RACES=$(or $(RACES),1000000) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -q -s tests/qemu/test_events.py -k 'storm or races' $(T)

# The policy's files are compiled as the hypervisor's, or nearly so.
COST := $(patsubst %.c,$(O)/cost/%.o,$(wildcard sched/credit*.c) lib/printf.c tests/unit/schedsim.c tools/sched_cost.c)
$(O)/cost/%.o: %.c
	$(Q)mkdir -p $(@D) && $(HOSTCC) -std=gnu11 -O2 -g $(XEN_ABI) -Iinclude -Iarch/x86/include -Itests/unit -DSIM_UNITS=520 \
		-DSIM_DOMS=520 -fno-strict-aliasing $(if $(filter sched/%,$<),-ffreestanding -mgeneral-regs-only \
		-fstack-protector-strong) -MMD -MP -c -o $@ $<

$(O)/cost/sched-cost: $(COST)
	$(Q)$(HOSTCC) -o $@ $^

.PHONY: cost
cost: $(IMAGE) $(O)/guests/bench.elf $(O)/cost/sched-cost ## instructions of a scheduling decision, by pcpus and vcpus; valgrind counts
	$(Q)O=$(O) $(PYTHON) tools/sched-cost.py

oracle: all ## boot our guests on Debian's Xen and compare what they print
	$(Q)O=$(O) $(PYTHON) tests/qemu/oracle.py $(T)

.PHONY: linux
linux: $(IMAGE) $(O)/guests/control.elf $(ARCHIVE) $(TARN) ## boot Debian's Linux as a guest and as domain 0; T= which, e.g. T='domu-4 --repeat 10'
	$(Q)O=$(O) $(PYTHON) tests/qemu/linux.py $(T)

# Running. GUEST=name boots that guest alone as dom0 with ARGS as its command line.
RUN_ENV = O='$(O)' GUEST='$(GUEST)' ARGS='$(ARGS)' SMP='$(SMP)' MEM='$(MEM)' CPU='$(CPU)' ACCEL='$(ACCEL)' \
	APPEND='$(APPEND)' QEMU='$(QEMU)' QEMU_ARGS='$(QEMU_ARGS)'
RUN_FILES := $(IMAGE) $(if $(GUEST),$(O)/guests/$(GUEST).elf,$(GUEST_ELF) $(ARCHIVE))
.PHONY: run iso run-iso debug install-deps
run: $(RUN_FILES) ## installs what is missing, builds, boots the demo and its shell; Ctrl-C leaves (GUEST= ARGS= SMP= MEM= CPU= APPEND=)
	$(Q)$(RUN_ENV) tools/run-qemu.sh kernel

run-iso: $(O)/tarn.iso ## the same from the ISO through GRUB
	$(Q)$(RUN_ENV) tools/run-qemu.sh iso

debug: $(RUN_FILES) ## QEMU stopped at its first instruction with gdb attached (tools/gdb/tarn.gdb)
	$(Q)$(RUN_ENV) tools/run-qemu.sh debug

iso: $(O)/tarn.iso ## bootable GRUB ISO of the demo
$(O)/tarn.iso: $(O)/tarn.elf $(GUEST_ELF) $(ARCHIVE) tools/demo.txt tools/make-iso.sh
	$(call say,ISO,$@)
	$(Q)O=$(O) APPEND='$(APPEND)' tools/make-iso.sh $@ tools/demo.txt

install-deps: ## install the Debian packages that building and testing need
	$(Q)tools/install-deps.sh check

# Housekeeping
STYLED = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
.PHONY: format help clean compile_commands.json FORCE
format: ## clang-format all C in place
	$(Q)clang-format -i $(STYLED)

entry = {"directory": "$(CURDIR)", "file": "$(2)", "command": "$(1) -c $(2)"}
compile_commands.json: $(O)/gen/version.h | $(O)/abi/xen ## for clangd and other tools
	$(file >$@,[)
	$(foreach f,$(HV_C) tools/offsets.c,$(file >>$@,$(call entry,$(CC) $(HV_CFLAGS),$(f))$(comma)))
	$(foreach f,$(wildcard guests/*/*.c),$(file >>$@,$(call entry,$(CC) $(FREESTANDING) -Iinclude/public $(GUEST_CFLAGS),$(f))$(comma)))
	$(foreach f,$(wildcard tests/unit/*.c),$(file >>$@,$(call entry,$(HOSTCC) $(UNIT_CFLAGS),$(f))$(comma)))
	$(Q)sed -i '$$s/,$$//' $@ && echo ']' >>$@

help: ## this list
	@$(AWK) -F ':.*## ' '/^[a-z_.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' Makefile
	@sed -n '3s/^# */  variables:             /p' Makefile

clean: ## remove what was built
	rm -rf $(O) compile_commands.json

FORCE:
.SECONDARY:
-include $(shell find $(O)/obj $(O)/host $(O)/unit $(O)/sim $(O)/cost $(O)/gen -name '*.d' 2>/dev/null)
