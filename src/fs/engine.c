/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: budget, arena, pool, sets, streams, store, backing, share, tree,
 * in this order.
 *
 * Each layer is given the ones before it and no others, so taking down is the
 * same list backwards. The pool is reserved at twice the RAM: mem_limit may be
 * raised while we run, and address space costs nothing.
 */
#include "fs/engine.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/size.h"
#include "crew/cpus.h"
#include "pool/span.h"
#include "store/spill.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What only writes to swap may use. */
#define SWAP_KEPT_PERCENT 5
/*
 * Charged by the kernel for threads, descriptors and its end of the mount:
 * 244 KiB measured.
 */
#define KERNEL_BYTES (256 * KIB)
/*
 * What comes once and is not there at the start: the first page tables of
 * tables that nobody has used yet, stacks and rows of counters that are touched
 * later.
 */
#define LATER_BYTES (256 * KIB)
/* So much of each CPU's the kernel charges in advance, in pieces: 64 pages. No
 * more of mem_limit than one part in AHEAD_PART goes for that. */
#define AHEAD_BYTES (256 * KIB)
#define AHEAD_PART 64
#define POOL_LEAST_BYTES (4 * GIB)
#define POOL_MOST_BYTES (16 * TIB)

static uint64_t pool_reservation(void)
{
	uint64_t bytes = size_of_ram();

	if (bytes > POOL_MOST_BYTES / 2)
		return POOL_MOST_BYTES;
	bytes *= 2;
	if (bytes < POOL_LEAST_BYTES)
		bytes = POOL_LEAST_BYTES;
	return (bytes + SPAN_BYTES - 1) & ~(uint64_t)(SPAN_BYTES - 1);
}

static int build(struct engine *engine, const struct fs_config *config)
{
	struct tree_options root = {
		.root_mode = config->mode,
		.root_uid = config->uid,
		.root_gid = config->gid,
		.nr_inodes = config->nr_inodes,
	};
	int r;

	r = arena_new(pool_reservation(), &engine->budget, &engine->arena);
	if (!r)
		r = span_pool_new(engine->arena, &engine->pool);
	if (!r)
		r = sets_new(engine->arena, &engine->sets);
	if (!r)
		r = streams_new(engine->sets, &engine->streams);
	if (!r)
		r = engine_compress(engine, &config->compress);
	if (!r)
		r = store_new(engine->arena, engine->pool, engine->sets,
			      config->size_bytes, &engine->store);
	if (!r)
		r = backing_new(engine->arena, &store_backing_ops,
				engine->store, &engine->backing);
	if (!r) {
		store_use_backing(engine->store, engine->backing);
		r = share_new(&engine->share);
	}
	if (!r) {
		share_cpus(engine->share, cpus_allowed());
		store_share(engine->store, engine->share);
	}
	if (!r)
		r = tree_new(engine->arena, engine->store, &root,
			     &engine->tree);
	return r;
}

int engine_init(struct engine *engine, const struct fs_config *config)
{
	int r;

	memset(engine, 0, sizeof(*engine));
	budget_init(&engine->budget, config->mem_limit_bytes);
	if (config->profile == FS_PROFILE_SWAP)
		budget_keep(&engine->budget, SWAP_KEPT_PERCENT);
	r = build(engine, config);
	if (r)
		engine_fini(engine);
	return r;
}

void engine_fini(struct engine *engine)
{
	if (engine->tree)
		tree_free(engine->tree);
	/* It counts a set's extents down, in the store. */
	if (engine->backing)
		backing_abandon(engine->backing);
	if (engine->store)
		store_free(engine->store);
	backing_free_all(engine->backing);
	share_free(engine->share);
	if (engine->streams)
		streams_free(engine->streams);
	if (engine->sets)
		sets_free(engine->sets);
	pool_free_all(engine->pool);
	if (engine->arena)
		arena_free(engine->arena);
	memset(engine, 0, sizeof(*engine));
}

int engine_compress(struct engine *engine, const struct codec_params *params)
{
	int r = streams_prepare(engine->streams, params);

	return r ? r : sets_use(engine->sets, params);
}

/* The sum of the lines of /proc/self/status that @names lists, in bytes. */
static uint64_t status_bytes(const char *const *names)
{
	FILE *f = fopen("/proc/self/status", "re");
	uint64_t sum = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		uint64_t kib;
		char name[32];

		if (sscanf(line, "%31[^:]: %" SCNu64 " kB", name, &kib) != 2)
			continue;
		for (const char *const *n = names; *n; n++)
			if (strcmp(name, *n) == 0)
				sum += kib << 10;
	}
	fclose(f);
	return sum;
}

uint64_t engine_process_bytes(void)
{
	static const char *const names[] = {"RssAnon", "VmPTE", NULL};

	return heap_resident_bytes() ? status_bytes(names) : 0;
}

static uint64_t ahead_bytes(const struct engine *engine)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t bytes = (cpus > 0 ? (uint64_t)cpus : 1) * AHEAD_BYTES;
	uint64_t most = budget_limit(&engine->budget) / AHEAD_PART;

	return bytes < most ? bytes : most;
}

void engine_charge_process(struct engine *engine)
{
	uint64_t ours = engine_process_bytes(), charged;

	if (ours)
		ours += KERNEL_BYTES + LATER_BYTES + ahead_bytes(engine);
	/* Derived tables are anonymous memory too and paid for already. */
	charged = budget_used(&engine->budget) -
		  arena_charged_bytes(engine->arena);
	if ((int64_t)charged < 0)
		charged = 0;
	if (ours > charged)
		budget_force(&engine->budget, ours - charged);
}
