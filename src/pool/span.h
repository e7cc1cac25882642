/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The default backend: spans of 256 KiB cut into objects of one size class. */
#ifndef SRC_POOL_SPAN_H
#define SRC_POOL_SPAN_H

#include "pool/pool.h"

struct arena;

#define SPAN_BYTES (256u << 10)

/*
 * A pool over @arena's pool memory, charging the arena's budget: for private
 * state, and for each 4 KiB of the pool's file that objects lie on. What it
 * charged goes back with the pool, also where the file outlives it. For a new
 * arena it is ready; for an attached one pool_scan_begin() must follow.
 * Spans are address space: leave some 64 MiB a shard (there are at most 8)
 * more than the memory limit, and as much again for spans that are partly
 * empty. At most 1 TiB of the arena's pool is used. -ENOMEM, -ENOSPC (budget).
 */
int span_pool_new(struct arena *arena, struct pool **ret_pool);

#endif
