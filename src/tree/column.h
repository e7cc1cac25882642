/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private value beside each record of an arena table, by the record's index.
 *
 * Memory is ready from 0 up to the highest record in use and shrinks when the
 * records at the top are freed: the arena hands out low indexes first.
 */
#ifndef SRC_TREE_COLUMN_H
#define SRC_TREE_COLUMN_H

#include "base/sparse.h"
#include <stdint.h>

struct column {
	struct sparse memory;
	uint32_t value_bytes;
	uint32_t steps; /* of 4096 values: the top one is in use */
	uint16_t *used; /* values in use in each step; 4096 fits */
	uint32_t most;  /* steps there are */
};

int column_init(struct column *c, uint32_t value_bytes, uint32_t capacity,
		struct budget *budget) MUST_CHECK;
void column_fini(struct column *c);
/* The value of @ix may be used from now on; it is zeroed. -ENOSPC. */
int column_take(struct column *c, uint32_t ix, enum budget_use use) MUST_CHECK;
void column_give(struct column *c, uint32_t ix);

static inline void *column_at(const struct column *c, uint32_t ix)
{
	return c->memory.base + (size_t)ix * c->value_bytes;
}

#endif
