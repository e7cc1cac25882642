/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A breadth-first walk over all states of a small model, for slot-life*.c.
 *
 * A state is an array of bytes without padding: it is compared and hashed as
 * it is. The list of states found is also the queue of those to look at.
 */
#ifndef TESTS_MODEL_SLOT_LIFE_EXPLORE_H
#define TESTS_MODEL_SLOT_LIFE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum outcome { MOVED, BLOCKED, AT_END, BROKEN };

struct seen {
	size_t state_bytes;
	uint8_t *states;
	size_t nr, room;
	uint32_t *table; /* index + 1 */
	size_t table_size;
};

static inline const void *seen_at(const struct seen *seen, size_t ix)
{
	return seen->states + ix * seen->state_bytes;
}

static inline uint64_t seen_hash(const struct seen *seen, const uint8_t *state)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < seen->state_bytes; i++)
		h = (h ^ state[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

static inline void seen_grow(struct seen *seen)
{
	seen->room = seen->room ? seen->room * 2 : 1024;
	seen->states = realloc(seen->states, seen->room * seen->state_bytes);
	free(seen->table);
	seen->table_size = seen->room * 2;
	seen->table = calloc(seen->table_size, sizeof(*seen->table));
	if (!seen->states || !seen->table)
		abort();
	for (size_t i = 0; i < seen->nr; i++) {
		size_t at =
			seen_hash(seen, seen_at(seen, i)) % seen->table_size;

		while (seen->table[at])
			at = (at + 1) % seen->table_size;
		seen->table[at] = (uint32_t)i + 1;
	}
}

static inline void seen_add(struct seen *seen, const void *state)
{
	size_t at;

	if (seen->nr == seen->room)
		seen_grow(seen);
	at = seen_hash(seen, state) % seen->table_size;
	for (; seen->table[at]; at = (at + 1) % seen->table_size)
		if (memcmp(seen_at(seen, seen->table[at] - 1), state,
			   seen->state_bytes) == 0)
			return;
	memcpy(seen->states + seen->nr * seen->state_bytes, state,
	       seen->state_bytes);
	seen->table[at] = (uint32_t)++seen->nr;
}

/*
 * Visit all states from @first on. @expand adds the states that follow one to
 * @seen and gives the name of the rule that is broken there, or NULL; the
 * first such name is the result.
 */
static inline const char *explore(const void *first, size_t state_bytes,
				  const char *(*expand)(struct seen *seen,
							const void *state),
				  size_t *ret_states)
{
	struct seen seen = {.state_bytes = state_bytes};
	uint8_t *state = malloc(state_bytes);
	const char *broken = NULL;

	if (!state)
		abort();
	seen_add(&seen, first);
	for (size_t i = 0; i < seen.nr && !broken; i++) {
		/* A copy: the array moves when it grows. */
		memcpy(state, seen_at(&seen, i), state_bytes);
		broken = expand(&seen, state);
	}
	*ret_states = seen.nr;
	free(state);
	free(seen.states);
	free(seen.table);
	return broken;
}

/* One line of the report; true if the variant broke what it must break. */
static inline bool report(const char *name, size_t states, const char *broken,
			  const char *expected)
{
	bool ok = broken && expected ? strcmp(broken, expected) == 0
				     : broken == expected;

	printf("%-27s %8zu states, breaks: %s%s\n", name, states,
	       broken ? broken : "nothing", ok ? "" : "  <-- NOT EXPECTED");
	return ok;
}

#endif
