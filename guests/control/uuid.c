/* SPDX-License-Identifier: MIT */
/*
 * uuid.c - see uuid.h. Owns the state of its random numbers, which need to differ and not to be
 * secret.
 */
#include "uuid.h"

void uuid_make(uint8_t uuid[16])
{
    static uint64_t state;

    for (size_t i = 0; i < 16; i++) {
        state += rdtsc() ^ clock_now();
        state = (state ^ state >> 29) * 0xbf58476d1ce4e5b9UL;
        uuid[i] = (uint8_t)(state >> 32);
    }
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* version 4: random */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

domid_t uuid_owner(const uint8_t uuid[16])
{
    struct xen_domctl_getdomaininfo *list = NULL;
    long n = domain_infos(&list);
    domid_t owner = DOMID_INVALID;

    for (long i = 0; i < n && owner == DOMID_INVALID; i++) {
        if (memcmp(list[i].handle, uuid, sizeof(list[i].handle)) == 0) {
            owner = list[i].domain;
        }
    }
    if (n >= 0) {
        release(list);
    }
    return owner;
}

void uuid_path(const uint8_t uuid[16], char path[VM_PATH_SIZE])
{
    char text[UUID_SIZE];

    uuid_format(uuid, text);
    fmt_snprintf(path, VM_PATH_SIZE, "/vm/%s", text);
}

long uuid_renew(const struct domain *d)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setdomainhandle, .domain = d->domid };
    struct xen_domctl_getdomaininfo info;
    char old[VM_PATH_SIZE], fresh[VM_PATH_SIZE];
    long rc = domain_info(d->domid, &info);

    uuid_make(op.u.setdomainhandle.handle);
    rc = rc ? rc : domctl(&op);
    if (rc) {
        return rc;
    }
    uuid_path(info.handle, old);
    uuid_path(op.u.setdomainhandle.handle, fresh);
    store_remove(old);
    rc = store_printf(d->name, "%s/name", fresh);
    rc = rc ? rc : store_printf(fresh + 4, "%s/uuid", fresh);
    return rc ? rc : store_printf(fresh, "/local/domain/%u/vm", d->domid);
}
