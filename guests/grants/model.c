/* SPDX-License-Identifier: MIT */
/* model.c - the reference model of grants; see model.h. */
#include "model.h"

static void domain_begin(struct model *m, unsigned int d, domid_t domid)
{
    static uint64_t page[MAX_LANES][NR_WORDS];
    struct model_domain *domain = &m->domains[d];

    memset(domain, 0, sizeof(*domain));
    domain->domid = domid;
    for (unsigned int i = 0; i < NR_GRANTED; i++) {
        page_fill(domain->pages[i], domid, m->lane, i);
    }
    for (unsigned int i = 0; i < NR_SLOTS; i++) {
        page_fill(page[m->lane], domid, m->lane, 0x100 + i);
        domain->slot_sums[i] = page_sum(page[m->lane]);
        domain->slots[i].what = (uint8_t)i;
    }
}

void model_begin(struct model *m, const struct driver_options *options)
{
    m->lane = options->lane;
    m->nr_domains = options->nr_domains;
    for (unsigned int d = 0; d < m->nr_domains; d++) {
        domain_begin(m, d, options->domids[d]);
    }
}

int64_t model_access(const struct model *m, unsigned int by, unsigned int from, unsigned int ref,
                     bool read_only)
{
    const struct model_grant *g = &m->domains[from].grants[ref];

    return g->on && g->to == by && (read_only || !g->read_only) ? GNTST_okay : GNTST_general_error;
}

uint16_t model_flags(const struct model *m, unsigned int domain, unsigned int ref)
{
    const struct model_grant *g = &m->domains[domain].grants[ref];

    return (uint16_t)(!g->on ? 0
                             : GTF_permit_access | (g->read_only ? GTF_readonly : 0) |
                                   (model_in_use(g) ? GTF_reading : 0) |
                                   (g->writers ? GTF_writing : 0));
}

void model_count(struct model *m, const struct model_mapping *map, unsigned int parts, int change)
{
    struct model_grant *g = &m->domains[map->from].grants[map->ref];
    uint16_t *count = map->read_only ? &g->readers : &g->writers;

    *count = (uint16_t)(*count + (int)parts * change);
}

uint64_t *model_page(struct model *m, const struct model_mapping *map)
{
    struct model_domain *from = &m->domains[map->from];

    return from->pages[from->grants[map->ref].page];
}

bool model_slot_sum(struct model *m, unsigned int domain, unsigned int slot, uint64_t *sum)
{
    struct model_domain *d = &m->domains[domain];
    unsigned int what = d->slots[slot].what;

    switch (d->slots[slot].state) {
    case SLOT_OWN:
        *sum = d->slot_sums[what];
        return true;
    case SLOT_MAPPED:
        *sum = page_sum(model_page(m, &d->mappings[what]));
        return true;
    default:
        return false;
    }
}

void model_die(struct model *m, unsigned int domain)
{
    struct model_domain *d = &m->domains[domain];

    for (unsigned int i = 0; i < MAX_MAPPINGS; i++) {
        struct model_mapping *map = &d->mappings[i];

        model_count(m, map, (unsigned int)map->host + map->device, -1);
        map->host = map->device = false;
    }
    d->dead = true;
}
