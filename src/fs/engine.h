/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: everything below FUSE that one mount consists of, built in
 * order and taken down in reverse.
 *
 * Layer 4. Knows no kernel request; what it holds outlives every worker.
 */
#ifndef SRC_FS_ENGINE_H
#define SRC_FS_ENGINE_H

#include "arena/arena.h"
#include "backing/backing.h"
#include "base/budget.h"
#include "codec/stream.h"
#include "fs/fs.h"
#include "pool/pool.h"
#include "store/store.h"
#include "tree/tree.h"

struct engine {
	struct budget budget;
	struct arena *arena;
	struct pool *pool;
	struct sets *sets;
	struct streams *streams;
	struct store *store;
	struct backing *backing; /* for the store; no file yet */
	struct share *share;     /* by which workers help one another */
	struct tree *tree;
};

/* -ENOMEM, -EMFILE, -ENOSPC (mem_limit_bytes is too small to begin with); then
 * nothing is left. */
int engine_init(struct engine *engine,
		const struct fs_config *config) MUST_CHECK;
/* No stream may be in use. Also of one that is only half built. */
void engine_fini(struct engine *engine);

/*
 * Make @params what new objects use: contexts for every stream first, so that
 * no store ever waits for one. -ENOMEM, -EBUSY (no free set).
 */
int engine_compress(struct engine *engine,
		    const struct codec_params *params) MUST_CHECK;

/* What the kernel charges for the process, the arena left aside; 0: not known,
 * for a sanitizer's shadow memory is not what a mount costs. */
uint64_t engine_process_bytes(void);

/*
 * Charge what the process takes by itself (program, libraries, heap) and no
 * layer has charged. Once, when all that is made at start is there.
 */
void engine_charge_process(struct engine *engine);

#endif
