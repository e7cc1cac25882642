/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of one body: from page number to entry, a radix tree of 64 that
 * starts small.
 *
 * body.root is page 0's entry itself (a file of one page costs no node), or
 * names a node: a twig (8 entries, height 0), a leaf (64 entries, height 1),
 * or an inner node of 64 children (height 2 and up). A child is a record
 * index; 0 is nothing; NODE_BAD stands for pages that a rebuild found lost.
 *
 * Locks. Every call but map_take() and map_prune() needs the file's rwlock,
 * for reading at least: nodes of height 1 and up go only under it held for
 * writing. What can be replaced under readers is the root while it covers only
 * pages 0 to 63 (the page itself, a twig): that happens under the group lock
 * of these pages, so who holds it sees slots that stay. Knows arena and entry
 * words, nothing of pool and codec.
 */
#ifndef SRC_STORE_MAP_H
#define SRC_STORE_MAP_H

#include "store/entry.h"
#include "store/store.h"

#define GROUP_SHIFT 6
#define GROUP_PAGES (1u << GROUP_SHIFT) /* entries of a leaf */
#define TWIG_PAGES 8u
#define MAP_HEIGHT_MAX 9 /* 2^54 pages; a file has less than 2^51 */
#define MAP_END UINT64_MAX
#define NODE_BAD UINT32_MAX

static inline uint64_t root_of_node(uint32_t ix, unsigned height)
{
	return entry_make(ENTRY_NODE, (uint64_t)height << 32 | ix);
}

static inline bool root_is_node(uint64_t root)
{
	return entry_kind(root) == ENTRY_NODE;
}

static inline uint32_t root_ix(uint64_t root)
{
	return (uint32_t)entry_payload(root);
}

static inline unsigned root_height(uint64_t root)
{
	return (unsigned)(entry_payload(root) >> 32);
}

static inline enum arena_table node_table(unsigned height)
{
	return height ? TABLE_LEAVES : TABLE_TWIGS;
}

/* Entries or children of a node. */
static inline unsigned node_words(unsigned height)
{
	return height ? GROUP_PAGES : TWIG_PAGES;
}

/* Pages below a node. */
static inline uint64_t node_pages(unsigned height)
{
	return height ? UINT64_C(1) << (GROUP_SHIFT * height) : TWIG_PAGES;
}

static inline _Atomic uint64_t *node_at(const struct arena *arena, uint32_t ix,
					unsigned height)
{
	return table_at(arena, node_table(height), ix);
}

/*
 * The slots of @page and its neighbours up to the end of their node; how many
 * in @ret_n. NULL: nothing is there yet. Needs the group's lock. Slots for
 * which map_is_lost() must not be stored to.
 */
_Atomic uint64_t *map_slots(const struct arena *arena, struct body *body,
			    uint64_t page, unsigned *ret_n);
/* True for the shared slots that stand for lost pages. */
bool map_is_lost(const _Atomic uint64_t *slots);

/*
 * Make slots for pages [@first, @first + @n), all in one group. Needs no group
 * lock; takes @zero, the lock of the file's group 0, when the root must grow.
 * -ENOSPC: nothing that was there has changed.
 */
int map_ensure(struct arena *arena, struct body *body, uint64_t first,
	       unsigned n, struct lock *zero) MUST_CHECK;

/* First page at or after @page that may have a slot; MAP_END: none. */
uint64_t map_next(const struct arena *arena, const struct body *body,
		  uint64_t page);

/* --- taking away: the file's rwlock is held for writing --- */

#define TAKEN_NODES (2 * 63 * (MAP_HEIGHT_MAX - 1) + 1)
#define TAKEN_WORDS (2 * GROUP_PAGES)

/* Subtrees and single entries that no body reaches any more. */
struct map_taken {
	unsigned n_nodes, n_words;
	struct {
		uint32_t ix;
		uint32_t height;
	} node[TAKEN_NODES];
	uint64_t word[TAKEN_WORDS];
};

/*
 * Cut pages [@first, @end) out of the map, whatever they hold, in a time that
 * depends on the map's height only. Nodes left empty go; a map left with
 * nothing but page 0 is that page's entry again. Cannot fail.
 */
void map_take(struct arena *arena, struct body *body, uint64_t first,
	      uint64_t end, struct map_taken *taken);

/* Free nodes without any entry below them in [@first, @end). */
void map_prune(struct arena *arena, struct body *body, uint64_t first,
	       uint64_t end);

typedef void map_visit(void *arg, uint64_t word);
/* Give every entry that was taken to @visit and free the nodes. No lock. */
void map_free_taken(struct arena *arena, struct map_taken *taken,
		    map_visit *visit, void *arg);

#endif
