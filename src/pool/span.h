/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The default backend: spans of 256 KiB cut into objects of one size class. */
#ifndef SRC_POOL_SPAN_H
#define SRC_POOL_SPAN_H

#include "pool/pool.h"

struct arena;

#define SPAN_BYTES (256u << 10)

/*
 * A pool over @arena's pool memory, charging the arena's budget. For a new
 * arena it is ready; for an attached one pool_scan_begin() must follow.
 * -ENOMEM, -ENOSPC (budget).
 */
int span_pool_new(struct arena *arena, struct pool **ret_pool);

#endif
