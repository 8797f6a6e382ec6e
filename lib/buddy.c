/* SPDX-License-Identifier: MIT */
/*
 * Buddy allocator. Every frame has a state: used, first of a free block, or within one. So a frame
 * that is freed twice is seen whatever block it is in by then. Free lists hang off the first
 * frames, one for each order and zone; a split gives away its upper half, and the highest zone
 * serves first. Owns order and state of all nodes, and the links of free ones; the caller locks.
 */
#include <tarn/buddy.h>
#include <tarn/lib.h>

#define FRAMES_16M (1u << 12)
#define FRAMES_4G (1u << 20)

static struct buddy_node *node(const struct buddy *b, u32 frame)
{
    return (struct buddy_node *)(void *)((u8 *)b->nodes + frame * b->stride);
}

static u32 zone_of(u32 frame)
{
    return frame < FRAMES_16M ? 0 : frame < FRAMES_4G ? 1 : 2;
}

static void push(struct buddy *b, u32 frame, u32 order)
{
    u32 *head = &b->head[zone_of(frame)][order];
    struct buddy_node *n = node(b, frame);

    n->order = (u8)order;
    n->state = BUDDY_FREE_HEAD;
    n->prev = BUDDY_NIL;
    n->next = *head;
    if (*head != BUDDY_NIL) {
        node(b, *head)->prev = frame;
    }
    *head = frame;
}

static void detach(struct buddy *b, u32 frame)
{
    struct buddy_node *n = node(b, frame);

    if (n->prev == BUDDY_NIL) {
        b->head[zone_of(frame)][n->order] = n->next;
    } else {
        node(b, n->prev)->next = n->next;
    }
    if (n->next != BUDDY_NIL) {
        node(b, n->next)->prev = n->prev;
    }
}

static bool is_free_block(const struct buddy *b, u32 frame, u32 order)
{
    const struct buddy_node *n = node(b, frame);

    return n->state == BUDDY_FREE_HEAD && n->order == order;
}

void buddy_init(struct buddy *b, void *nodes, size_t stride, u32 nr_frames)
{
    b->nodes = nodes;
    b->stride = stride;
    b->nr_frames = nr_frames;
    b->nr_free = 0;
    for (u32 zone = 0; zone < BUDDY_ZONES; zone++) {
        for (u32 order = 0; order < BUDDY_ORDERS; order++) {
            b->head[zone][order] = BUDDY_NIL;
        }
    }
}

void buddy_free_range(struct buddy *b, u32 first, u32 end)
{
    BUG_ON(first > end || end > b->nr_frames);
    while (first < end) {
        u32 fits = 31 - (u32)__builtin_clz(end - first);
        u32 aligned = first ? (u32)__builtin_ctz(first) : BUDDY_ORDERS - 1;
        u32 order = MIN(MIN(fits, aligned), BUDDY_ORDERS - 1u);

        buddy_free(b, first, order);
        first += 1u << order;
    }
}

/* A free block of at least `order`, or BUDDY_NIL: the smallest one in the highest zone that has
 * any. */
static u32 find(const struct buddy *b, u32 order)
{
    for (u32 zone = BUDDY_ZONES; zone-- > 0;) {
        for (u32 o = order; o < BUDDY_ORDERS; o++) {
            if (b->head[zone][o] != BUDDY_NIL) {
                return b->head[zone][o];
            }
        }
    }
    return BUDDY_NIL;
}

u32 buddy_alloc(struct buddy *b, u32 order)
{
    u32 frame = order < BUDDY_ORDERS ? find(b, order) : BUDDY_NIL;

    if (frame == BUDDY_NIL) {
        return BUDDY_NIL;
    }
    detach(b, frame);
    for (u32 o = node(b, frame)->order; o > order; o--) {
        push(b, frame, o - 1);
        frame += 1u << (o - 1);
    }
    for (u32 i = 0; i < 1u << order; i++) {
        node(b, frame + i)->state = BUDDY_USED;
    }
    b->nr_free -= 1u << order;
    return frame;
}

/* The frames' states become those of a free block's inside; the first one's is then set by push. */
static void mark_free(struct buddy *b, u32 frame, u32 order)
{
    for (u32 i = 0; i < 1u << order; i++) {
        struct buddy_node *n = node(b, frame + i);

        BUG_ON(n->state != BUDDY_USED);
        n->state = BUDDY_FREE_TAIL;
    }
    b->nr_free += 1u << order;
}

void buddy_free(struct buddy *b, u32 frame, u32 order)
{
    BUG_ON(order >= BUDDY_ORDERS || frame & ((1u << order) - 1));
    BUG_ON(frame >= b->nr_frames || b->nr_frames - frame < 1u << order);
    mark_free(b, frame, order);
    for (; order < BUDDY_ORDERS - 1; order++) {
        u32 other = frame ^ (1u << order);

        if (other >= b->nr_frames || !is_free_block(b, other, order)) {
            break;
        }
        detach(b, other);
        node(b, other)->state = BUDDY_FREE_TAIL;
        frame &= ~(1u << order);
    }
    push(b, frame, order);
}
