/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a handle's value means: the only place that makes or decodes one.
 *
 * A handle is the object's offset in the pool's memory in units of 16 bytes,
 * plus one, so that 0 stays "none". It says nothing about the class: that is
 * the span's word in the arena, checked at every use.
 */
#ifndef SRC_POOL_HANDLE_H
#define SRC_POOL_HANDLE_H

#include "pool/pool.h"
#include <assert.h>
#include <errno.h>

#define HANDLE_UNIT_BYTES 16u
/* The most pool memory that handles can name: 1 TiB. */
#define HANDLE_POOL_MAX_BYTES ((UINT64_C(1) << 36) * HANDLE_UNIT_BYTES)

static_assert(HANDLE_POOL_MAX_BYTES / HANDLE_UNIT_BYTES <
		      (UINT64_C(1) << HANDLE_BITS),
	      "the last handle fits its bits");

static inline struct handle handle_make(uint64_t offset_bytes)
{
	return (struct handle){offset_bytes / HANDLE_UNIT_BYTES + 1};
}

/* Any value may come in. -EIO: no handle of a pool of @pool_bytes. */
static inline int handle_offset(struct handle h, uint64_t pool_bytes,
				uint64_t *ret_offset_bytes)
{
	if (h.value == 0 || h.value > pool_bytes / HANDLE_UNIT_BYTES)
		return -EIO;
	*ret_offset_bytes = (h.value - 1) * HANDLE_UNIT_BYTES;
	return 0;
}

#endif
