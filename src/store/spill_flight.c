/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of pages that are on their way to disk: open addressing, and no gaps
 * left behind.
 */
#include "base/check.h"
#include "store/spill_state.h"

/* Never 0: no page is UINT32_MAX. */
static uint64_t key_of(uint32_t file, uint32_t page)
{
	debug_invariant(page < UINT32_MAX);
	return ((uint64_t)file << 32 | page) + 1;
}

static unsigned home_of(uint64_t key)
{
	_Static_assert(FLIGHT_SLOTS == 1u << 13, "13 bits of hash");
	return (unsigned)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 51);
}

static unsigned after(unsigned slot)
{
	return (slot + 1) & (FLIGHT_SLOTS - 1);
}

/* Where @key is, or the free slot where it would go. */
static unsigned find(const struct flight *flight, uint64_t key)
{
	unsigned slot = home_of(key);

	while (flight->key[slot] && flight->key[slot] != key)
		slot = after(slot);
	return slot;
}

bool flight_has(const struct flight *flight, uint32_t file, uint32_t page)
{
	return flight->key[find(flight, key_of(file, page))] != 0;
}

void flight_add(struct flight *flight, uint32_t file, uint32_t page)
{
	uint64_t key = key_of(file, page);
	unsigned slot = find(flight, key);

	invariant(flight->n < FLIGHT_MOST && !flight->key[slot]);
	flight->key[slot] = key;
	flight->n++;
}

/* How far @slot is behind @from, round the end. */
static unsigned distance(unsigned from, unsigned slot)
{
	return (slot - from) & (FLIGHT_SLOTS - 1);
}

void flight_remove(struct flight *flight, uint32_t file, uint32_t page)
{
	unsigned hole = find(flight, key_of(file, page));
	unsigned slot = hole;

	invariant(flight->key[hole]);
	/* Whoever would be looked for across the hole moves into it. */
	for (;;) {
		uint64_t key;

		slot = after(slot);
		key = flight->key[slot];
		if (!key)
			break;
		if (distance(home_of(key), slot) < distance(hole, slot))
			continue;
		flight->key[hole] = key;
		hole = slot;
	}
	flight->key[hole] = 0;
	flight->n--;
}
