/* SPDX-License-Identifier: MIT */
/*
 * Debug keys: what each shows is printed whatever the log level is, and only so many lines of it,
 * as no guest runs on this CPU meanwhile. Domains are looked at one after the other, with a
 * reference; registers of a vcpu that runs are those of its last entry.
 */
#include <tarn/console.h>
#include <tarn/debug_keys.h>
#include <tarn/domain.h>
#include <tarn/pcpu.h>

#include <public/tarn.h>

#define LINES_MAX 400u
#define PORTS_MAX 64u /* of one domain */
#define GRANTS_MAX 64u

struct dump {
    u32 lines; /* printed */
    u32 only;  /* domid, or ~0: all */
};

/* Whether there is room for another line. */
static bool room(struct dump *s)
{
    if (s->lines == LINES_MAX) {
        log_always("  (that is enough)");
    }
    return s->lines++ < LINES_MAX;
}

static void show_domains(struct dump *s, void (*show)(struct dump *, struct domain *))
{
    struct domain *d;

    for (u32 from = 0; s->lines <= LINES_MAX && (d = domain_get_from(from));) {
        from = d->domid + 1u;
        if (s->only == ~0u || s->only == d->domid) {
            show(s, d);
        }
        domain_put(d);
    }
}

static const char *vcpu_state(const struct vcpu *v)
{
    u32 flags = READ_ONCE(v->pause_flags);

    return (flags & VPF_DOWN)      ? "down"
           : (flags & VPF_PAUSED)  ? "paused"
           : v->polling            ? "polling"
           : (flags & VPF_BLOCKED) ? "blocked"
           : v->unit.running       ? "running"
           : v->unit.throttled     ? "throttled"
                                   : "waiting";
}

static void show_memory(struct dump *s, struct domain *d)
{
    static const char *const dying[] = { "", ", dying", ", dead" };

    if (room(s)) {
        log_always("domain %u (%s): %u pages of at most %u, %u references, %u vcpus%s%s%s",
                   d->domid, d->name, d->tot_pages, d->max_pages, d->refcnt, d->max_vcpus,
                   d->pause_count ? ", paused" : "", d->is_shut_down ? ", shut down" : "",
                   dying[d->dying]);
    }
}

static void show_vcpus(struct dump *s, struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpu[i];

        if (v && !(v->pause_flags & VPF_DOWN) && room(s)) {
            const struct cpu_user_regs *r = &v->arch.regs;

            log_always("d%uv%u %s on cpu %u: rip %04x:%016lx rsp %016lx flags %lx rax %lx cr3 %lx",
                       d->domid, i, vcpu_state(v), v->unit.cpu, r->cs, r->rip, r->rsp, r->rflags,
                       r->rax, v->arch.cr3);
        }
    }
}

static void show_port(const struct tarn_port *p)
{
    static const char *const names[] = { "closed", "unbound", "channel", "pirq", "virq", "ipi" };
    char other[32] = "";

    if (p->status == EVTCHNSTAT_interdomain) {
        fmt_snprintf(other, sizeof(other), " to d%u %u", p->remote_domid, p->remote_port);
    } else if (p->status == EVTCHNSTAT_unbound) {
        fmt_snprintf(other, sizeof(other), " for d%u", p->remote_domid);
    } else if (p->status == EVTCHNSTAT_virq) {
        fmt_snprintf(other, sizeof(other), " %u", p->virq);
    }
    log_always(
        "  %u %s%s, v%u prio %u %c%c%c, sent %llu = %llu coalesced + %llu masked + %llu delivered",
        p->port, names[p->status], other, p->vcpu, p->priority,
        p->flags & TARN_PORT_pending ? 'P' : '-', p->flags & TARN_PORT_masked ? 'M' : '-',
        p->flags & TARN_PORT_linked ? 'L' : '-', (unsigned long long)p->sent,
        (unsigned long long)p->coalesced, (unsigned long long)p->masked,
        (unsigned long long)p->delivered);
}

static void show_ports(struct dump *s, struct domain *d)
{
    struct tarn_port p = { .domid = d->domid };

    if (room(s)) {
        log_always("domain %u (%s): %u event channels, %s", d->domid, d->name, d->evtchn.nr_used,
                   d->evtchn.fifo ? "FIFO" : "two-level");
    }
    for (u32 shown = 0; shown < PORTS_MAX && evtchn_look(d, &p) && room(s); shown++, p.port++) {
        show_port(&p);
    }
}

static void show_grants(struct dump *s, struct domain *d)
{
    u32 frames = atomic_load(&d->grants.nr_frames), shown = 0;

    if (room(s)) {
        log_always(
            "domain %u (%s): %u of at most %u grant frames, room for %u of at most %u handles",
            d->domid, d->name, frames, d->grants.max_frames, d->grants.nr_handles,
            d->grants.max_handles);
    }
    for (u32 ref = 0; ref < frames * GRANTS_PER_FRAME && shown < GRANTS_MAX; ref++) {
        char text[128];

        if (grant_describe(d, ref, text, sizeof(text)) && room(s)) {
            log_always("  %s", text);
            shown++;
        }
    }
}

static void show_all(struct dump *s, struct domain *d)
{
    show_memory(s, d);
    show_vcpus(s, d);
    show_ports(s, d);
    show_grants(s, d);
}

static void help(void)
{
    log_always("debug keys:");
    log_always("  * everything below");
    log_always("  0 domain 0: memory, vcpus, event channels");
    log_always("  d registers of the vcpus");
    log_always("  e event channels");
    log_always("  g grants that are in use");
    log_always("  h this list");
    log_always("  q domains and their memory");
    log_always("  r run queues");
}

void debug_keys(u8 key)
{
    struct dump s = { 0, key == '0' ? 0 : ~0u };

    switch (key) {
    case '*':
        sched_dump();
        show_domains(&s, show_all);
        break;
    case '0':
        show_domains(&s, show_all);
        break;
    case 'd':
        show_domains(&s, show_vcpus);
        break;
    case 'e':
        show_domains(&s, show_ports);
        break;
    case 'g':
        show_domains(&s, show_grants);
        break;
    case 'h':
        help();
        break;
    case 'q':
        show_domains(&s, show_memory);
        break;
    case 'r':
        sched_dump();
        break;
    default:
        log_always("debug key 0x%02x does nothing; 'h' is the list", key);
    }
}
