/* SPDX-License-Identifier: MIT */
/* What the credit scheduler shows of a CPU: who runs, who waits, with how much credit. Pure; the
 * caller holds the pool's lock. */
#include "credit.h"

/* A line that is as long as it would be, however much of it there was room for. */
struct line {
    char *buf;
    size_t size, n;
};

static void add_unit(struct line *l, const char *before, const struct sched_unit *u)
{
    static const char *const names[] = { "BOOST", "UNDER", "OVER" };
    s64 credit = priv(u)->credit;
    s64 tenths = (credit < 0 ? -credit : credit) / 100000;

    l->n += (size_t)fmt_snprintf(
        l->n < l->size ? l->buf + l->n : NULL, l->n < l->size ? l->size - l->n : 0,
        "%sd%uv%u %s %s%lld.%lldms", before, u->dom->id, u->id, names[priv(u)->pri],
        credit < 0 ? "-" : "", (long long)tenths / 10, (long long)tenths % 10);
    if (u->dom->master) {
        l->n += (size_t)fmt_snprintf(l->n < l->size ? l->buf + l->n : NULL,
                                     l->n < l->size ? l->size - l->n : 0, " of d%u",
                                     u->dom->master->id);
    }
}

static void add_parked(struct line *l, struct credit_pool *cp, u32 cpu)
{
    const char *before = "; out of budget ";

    for (struct credit_node *n = NULL; (n = credit_next_node(cp, NULL, n));) {
        for (struct list *pos = n->dom->parked.next; n->leaf && pos != &n->dom->parked;
             pos = pos->next) {
            const struct sched_unit *u = unit_of(waiting_unit(pos));

            if (u->cpu == cpu) {
                add_unit(l, before, u);
                before = ", ";
            }
        }
    }
}

/* Who runs, who waits in the order of the queue, and which of those parked were there last. */
int credit_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size)
{
    const struct run_queue *q = queue_of(p, cpu);
    const char *before = "; waiting ";
    struct line line = { buf, size, 0 };

    if (q->current) {
        add_unit(&line, "", q->current);
    } else {
        line.n = (size_t)fmt_snprintf(buf, size, "idle");
    }
    list_for_each(l, &q->waiting) {
        add_unit(&line, before, unit_of(waiting_unit(l)));
        before = ", ";
    }
    add_parked(&line, pool_priv(p), cpu);
    return (int)line.n;
}
