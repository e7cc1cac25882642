/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mover among the pool fakes; use pool_fake_new(). */
#ifndef TESTS_LIB_POOL_MOVER_H
#define TESTS_LIB_POOL_MOVER_H

#include "pool/pool.h"

struct pool *pool_mover_new(struct pool *under);

#endif
