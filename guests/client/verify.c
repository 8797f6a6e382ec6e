/* SPDX-License-Identifier: MIT */
/*
 * verify.c - data that tell which disk, part and version they are of, what version each part should
 * have, and whether it has. Parts that were never written, or whose write was lost, are not judged.
 */
#include "client.h"

static uint16_t versions[FRONTS_MAX][CHUNKS_MAX]; /* 0: not known */

static unsigned long parts_of(const struct front *f)
{
    return f->parts < CHUNKS_MAX ? f->parts : CHUNKS_MAX;
}

static uint16_t *version_of(const struct front *f, const struct slot *s)
{
    return &versions[f - fronts][s->part];
}

static uint64_t *words_of(const struct front *f, const struct slot *s)
{
    char *data = load_data(f, (unsigned int)(s - f->slots)) + s->first * SECTOR_SIZE;

    return (uint64_t *)(void *)data;
}

static uint64_t seed_of(const struct front *f, const struct slot *s)
{
    return ((uint64_t)(f - fronts) + 1) << 48 | (s->part + 1) << 20 | s->version;
}

static bool is_busy(const struct front *f, unsigned long part)
{
    for (unsigned int i = 0; i < load_depth(); i++) {
        if (f->slots[i].busy && f->slots[i].part == part) {
            return true;
        }
    }
    return false;
}

static void fill(const struct front *f, const struct slot *s)
{
    uint64_t *words = words_of(f, s), seed = seed_of(f, s);

    for (unsigned long i = 0; i < options.size / sizeof(*words); i++) {
        words[i] = s->write ? random_next(&seed) : 0;
    }
}

static bool is_right(const struct front *f, const struct slot *s)
{
    const uint64_t *words = words_of(f, s);
    uint64_t seed = seed_of(f, s);

    for (unsigned long i = 0; i < options.size / sizeof(*words); i++) {
        if (words[i] != random_next(&seed)) {
            printf("client: %s: part %lu version %u differs at byte %lu\n", f->folder, s->part,
                   s->version, i * sizeof(*words));
            return false;
        }
    }
    return true;
}

static bool pick_next(struct front *f, struct slot *s)
{
    while (f->sweep_at < parts_of(f) && !versions[f - fronts][f->sweep_at]) {
        f->sweep_at++;
    }
    s->part = f->sweep_at++;
    s->write = false;
    return s->part < parts_of(f);
}

static bool pick_any(struct front *f, struct slot *s)
{
    unsigned int tries = 0;

    do {
        s->part = random_next(&f->random) % parts_of(f);
    } while (is_busy(f, s->part) && ++tries < 100);
    s->write = !*version_of(f, s) || random_next(&f->random) % 2;
    return tries < 100;
}

bool verify_pick(struct front *f, struct slot *s)
{
    unsigned long room = load_pages() * PAGE_SECTORS - options.size / SECTOR_SIZE;

    if (!(f->sweeping ? pick_next(f, s) : pick_any(f, s))) {
        return false;
    }
    s->first = (unsigned int)(s->part * 3 % (room < PAGE_SECTORS ? room + 1 : PAGE_SECTORS));
    s->version = *version_of(f, s);
    if (s->write && !++s->version) {
        s->version = 1;
    }
    fill(f, s);
    return true;
}

bool verify_done(struct front *f, const struct slot *s, bool good)
{
    if (s->write) {
        *version_of(f, s) = good ? s->version : 0;
        return true;
    }
    return !good || is_right(f, s);
}

void verify_lost(const struct front *f, const struct slot *s)
{
    if (s->write) {
        *version_of(f, s) = 0;
    }
}

void verify_forget(const struct front *f)
{
    memset(versions[f - fronts], 0, sizeof(versions[0]));
}

bool verify_swept(const struct front *f)
{
    return !f->busy && f->sweep_at >= parts_of(f);
}
