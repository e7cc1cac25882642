/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast the span pool is, and what it wastes on real data.
 *
 *	micro-pool [-s SHARDS] [PATH...]
 *
 * Speed: alloc + write + read + free of objects with lengths as lz4 makes
 * them, 1 and 2 threads, as CSV. Waste: the pages of all files below the PATHs
 * (say, /usr/include and /usr/lib) are compressed one by one with lz4 and
 * kept; then what the pool holds and its tables take is set against their
 * bytes.
 * Prints numbers only: nothing is judged here.
 */
#include "base/budget.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "pool_rig.h"
#include <ftw.h>
#include <lz4.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECTS 16384
#define BATCH 16
#define ROUNDS 60

static unsigned shards; /* 0: as the pool chooses */

struct worker {
	struct pool *pool;
	unsigned number;
	uint64_t ns[4]; /* alloc, write, read, free */
	uint64_t objects;
	uint64_t bytes;
};

static uint64_t lap(uint64_t *ns, uint64_t since)
{
	uint64_t now = clock_ns();

	*ns += now - since;
	return now;
}

/* One batch through all four; @at: BATCH of the worker's handles. */
static void turn(struct worker *w, struct pool_random *random,
		 struct handle *at)
{
	static const uint8_t bytes[POOL_OBJECT_MAX] = {1, 2, 3};
	uint8_t out[POOL_OBJECT_MAX];
	uint32_t n_bytes[BATCH];
	struct pool_view view;
	uint64_t now;

	for (unsigned i = 0; i < BATCH; i++) {
		n_bytes[i] = pool_random_length(random);
		w->bytes += n_bytes[i];
	}
	now = clock_ns();
	if (!handle_is_none(at[0])) {
		for (unsigned i = 0; i < BATCH; i++) {
			if (pool_read_begin(w->pool, at[i], out, &view) < 0)
				abort();
			memcpy(out, view.piece[0], view.bytes[0]);
			pool_read_end(w->pool, at[i], &view);
		}
		now = lap(&w->ns[2], now);
		pool_free(w->pool, at, BATCH);
		now = lap(&w->ns[3], now);
	}
	if (pool_alloc(w->pool, w->number, n_bytes, BATCH, at) < 0)
		abort();
	now = lap(&w->ns[0], now);
	for (unsigned i = 0; i < BATCH; i++)
		pool_write(w->pool, at[i], 0, bytes, n_bytes[i]);
	lap(&w->ns[1], now);
	w->objects += BATCH;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct handle *handles = calloc(OBJECTS, sizeof(*handles));
	struct pool_random random = {w->number};

	if (!handles)
		abort();
	for (unsigned n = 0; n < ROUNDS * OBJECTS / BATCH; n++)
		turn(w, &random,
		     handles + (uint64_t)BATCH *
				       pool_random_below(&random,
							 OBJECTS / BATCH));
	free(handles);
	return NULL;
}

static void run(unsigned threads)
{
	static const char *const names[] = {"alloc", "write", "read", "free"};
	struct worker workers[2] = {0};
	pthread_t ids[2];
	struct pool_rig rig;
	uint64_t start, ns;

	pool_rig_up(&rig, 4 * GIB, 4 * GIB, shards);
	start = clock_ns();
	for (unsigned i = 0; i < threads; i++) {
		workers[i] = (struct worker){.pool = rig.pool, .number = i};
		if (pthread_create(&ids[i], NULL, worker_main, &workers[i]))
			abort();
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	ns = clock_ns() - start;
	for (unsigned k = 0; k < 4; k++)
		printf("%u,%s,%.0f\n", threads, names[k],
		       (double)workers[0].ns[k] / (double)workers[0].objects);
	printf("%u,all,%.0f\n", threads,
	       (double)ns / (double)workers[0].objects);
	pool_rig_down(&rig);
}

static int keep_page(struct pool *pool, unsigned shard, const char *page,
		     size_t n)
{
	char packed[LZ4_COMPRESSBOUND(PAGE_BYTES)];
	int len = LZ4_compress_default(page, packed, (int)n, sizeof(packed));
	uint32_t n_bytes =
		len > 0 && len < (int)n ? (uint32_t)len : (uint32_t)n;
	struct handle h;
	int r = pool_alloc(pool, shard, &n_bytes, 1, &h);

	if (r == 0)
		pool_write(pool, h, 0, n_bytes == n ? page : packed, n_bytes);
	return r;
}

/* What nftw() has no argument for. */
static struct pool *keep_pool;
static unsigned keep_files;
static uint64_t keep_pages;

static int keep_file(const char *path, const struct stat *st, int type,
		     struct FTW *ftw UNUSED)
{
	FILE *file;
	char page[PAGE_BYTES];
	size_t n;

	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	file = fopen(path, "rb");
	if (!file)
		return 0;
	keep_files++;
	while ((n = fread(page, 1, sizeof(page), file)) > 0)
		if (keep_page(keep_pool, keep_files, page, n) == 0)
			keep_pages++;
	fclose(file);
	return 0;
}

static void waste(char **paths, int n)
{
	struct pool_stats stats;
	struct pool_rig rig;
	uint64_t empty_bytes, taken;

	pool_rig_up(&rig, 32 * GIB, 4 * GIB, shards);
	keep_pool = rig.pool;
	empty_bytes = budget_used(&rig.budget);
	for (int i = 0; i < n; i++)
		nftw(paths[i], keep_file, 64, FTW_PHYS);
	pool_stats(rig.pool, &stats);
	taken = budget_used(&rig.budget) - empty_bytes;
	printf("pages,object_bytes,slot_bytes,held_bytes,taken_bytes,waste_pct\n"
	       "%llu,%llu,%llu,%llu,%llu,%.2f\n",
	       (unsigned long long)keep_pages,
	       (unsigned long long)stats.object_bytes,
	       (unsigned long long)stats.slot_bytes,
	       (unsigned long long)stats.held_bytes, (unsigned long long)taken,
	       stats.object_bytes
		       ? 100.0 * (double)taken / (double)stats.object_bytes -
				 100
		       : 0.0);
	pool_rig_down(&rig);
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's') {
			fprintf(stderr,
				"usage: micro-pool [-s SHARDS] [PATH...]\n");
			return 2;
		}
		shards = (unsigned)strtoul(optarg, NULL, 10);
	}
	printf("threads,what,ns_per_object\n");
	run(1);
	run(2);
	if (argc > optind)
		waste(argv + optind, argc - optind);
	return 0;
}
