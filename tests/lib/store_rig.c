/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole store with files in arena records, and its rebuild. */
#include "store_rig.h"
#include "base/check.h"
#include "pool/span.h"
#include "pool_fakes.h"
#include "store/map.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(call)                                                             \
	do {                                                                   \
		int must_ = (call);                                            \
		if (must_ != 0) {                                              \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, \
				#call, strerror(-must_));                      \
			abort();                                               \
		}                                                              \
	} while (0)

static const uint64_t plenty = GIB;

int store_rig_kind(const char *name)
{
	for (int kind = 0; kind < POOL_FAKE_NR; kind++)
		if (strcmp(name, pool_fake_name((enum pool_fake_kind)kind)) ==
		    0)
			return kind;
	invariant(strcmp(name, "span") == 0);
	return RIG_SPAN;
}

static uint64_t or_else(uint64_t n, uint64_t other)
{
	return n ? n : other;
}

/* The file has a name for a moment only: a test that ends early leaves none. */
static void open_backing(struct store_rig *rig)
{
	struct backing_config config = {.path = rig->spill_path,
					.most_bytes = rig->options.spill_bytes};
	char why[200] = "";
	int fd, err;

	snprintf(rig->spill_path, sizeof(rig->spill_path),
		 "%s/store-rig-XXXXXX",
		 rig->options.spill_dir ? rig->options.spill_dir : "/tmp");
	fd = mkstemp(rig->spill_path);
	invariant(fd >= 0);
	err = backing_open(rig->backing, &config, why, sizeof(why));
	if (err)
		fprintf(stderr, "backing_open: %s\n", why);
	invariant(err == 0);
	/* Another description of it than the backing's, which is locked. */
	rig->spill_fd = open(rig->spill_path, O_RDWR | O_CLOEXEC);
	invariant(rig->spill_fd >= 0);
	close(fd);
	unlink(rig->spill_path);
}

/* Everything above the arena. */
static void build(struct store_rig *rig)
{
	MUST(span_pool_new(rig->arena, &rig->pool));
	if (rig->options.pool_kind != RIG_SPAN)
		rig->pool = pool_fake_new(
			(enum pool_fake_kind)rig->options.pool_kind, rig->pool);
	MUST(sets_new(rig->arena, &rig->sets));
	MUST(streams_new(rig->sets, &rig->streams));
	for (unsigned i = 0; i < RIG_STREAMS; i++)
		MUST(stream_up(rig->streams, i));
	MUST(store_new(rig->arena, rig->pool, rig->sets,
		       or_else(rig->options.limit_bytes, plenty), &rig->store));
	if (!rig->options.spill)
		return;
	MUST(backing_new(rig->arena, &store_backing_ops, rig->store,
			 &rig->backing));
	store_use_backing(rig->store, rig->backing);
	MUST(store_spill_prepare(rig->store));
}

static void tear_down(struct store_rig *rig)
{
	stream_put(rig->streams, rig->stream);
	store_free(rig->store);
	backing_free_all(rig->backing);
	rig->backing = NULL;
	for (unsigned i = 0; i < RIG_STREAMS; i++)
		stream_down(rig->streams, i);
	streams_free(rig->streams);
	sets_free(rig->sets);
	pool_free_all(rig->pool);
}

void store_rig_use(struct store_rig *rig, const char *text)
{
	struct codec_params params;
	int set;

	MUST(codec_parse(text, &params));
	if (rig->stream)
		stream_put(rig->streams, rig->stream);
	MUST(streams_prepare(rig->streams, &params));
	set = sets_use(rig->sets, &params);
	MUST(set < 0 ? set : 0);
	sets_sweep(rig->sets);
	rig->stream = stream_get(rig->streams, 0);
	invariant(rig->stream && rig->stream->slot == 0);
}

void store_rig_up(struct store_rig *rig,
		  const struct store_rig_options *options)
{
	memset(rig, 0, sizeof(*rig));
	rig->options = *options;
	budget_init(&rig->budget, or_else(options->mem_bytes, plenty));
	MUST(arena_new(or_else(options->pool_bytes, 64 * MIB), &rig->budget,
		       &rig->arena));
	build(rig);
	if (options->spill)
		open_backing(rig);
	store_rig_use(rig, "lz4");
	for (unsigned i = 0; i < RIG_FILES; i++)
		MUST(table_alloc(rig->arena, TABLE_INODES, BUDGET_NORMAL,
				 &rig->body_ix[i]));
}

struct file store_rig_file(const struct store_rig *rig, unsigned i)
{
	uint32_t ix = rig->body_ix[i];

	return (struct file){table_at(rig->arena, TABLE_INODES, ix), ix};
}

void store_rig_write(struct store_rig *rig, unsigned i, uint64_t offset,
		     const void *buf, size_t n)
{
	size_t done = 0;

	MUST(store_write(rig->store, rig->stream, store_rig_file(rig, i),
			 offset, buf, n, &done));
	invariant(done == n);
}

int store_rig_read(struct store_rig *rig, unsigned i, uint64_t offset,
		   void *buf, size_t n)
{
	size_t done = 0;
	int err = store_read(rig->store, rig->stream, store_rig_file(rig, i),
			     offset, buf, n, &done);

	invariant(err || done == n);
	return err;
}

_Atomic uint64_t *store_rig_slot(const struct store_rig *rig, unsigned i,
				 uint64_t page)
{
	unsigned n;

	return map_slots(rig->arena, store_rig_file(rig, i).body, page, &n);
}

uint64_t store_rig_word(const struct store_rig *rig, unsigned i, uint64_t page)
{
	_Atomic uint64_t *slot = store_rig_slot(rig, i, page);

	return slot ? atomic_load(slot) : 0;
}

static void expect_nothing(struct store_rig *rig)
{
	struct backing_stats backing;
	struct store_stats stats;
	struct pool_stats pool;

	store_stats(rig->store, &stats);
	pool_stats(rig->pool, &pool);
	invariant(stats.pages_stored == 0);
	invariant(stats.same_pages == 0);
	invariant(stats.huge_pages == 0);
	invariant(stats.compr_data_bytes == 0);
	invariant(pool.objects == 0);
	invariant(table_used(rig->arena, TABLE_TWIGS) == 0);
	invariant(table_used(rig->arena, TABLE_LEAVES) == 0);
	invariant(table_used(rig->arena, TABLE_FILLS) == 0);
	invariant(stats.spilled_pages == 0);
	invariant(stats.spilled_bytes == 0);
	if (rig->options.spill) {
		backing_stats(rig->backing, &backing);
		invariant(backing.extents == 0);
		MUST(backing_check(rig->backing));
		MUST(backing_close(rig->backing));
		close(rig->spill_fd);
	}
	for (unsigned set = 0; set < SETS_MAX; set++)
		invariant(sets_objects(rig->sets, set) == 0);
}

void store_rig_down(struct store_rig *rig)
{
	for (unsigned i = 0; i < RIG_FILES; i++) {
		struct file file = store_rig_file(rig, i);

		store_discard(rig->store, rig->stream->row, file);
		invariant(atomic_load(&file.body->root) == 0);
		invariant(atomic_load(&file.body->size) == 0);
		invariant(atomic_load(&file.body->pages) == 0);
	}
	expect_nothing(rig);
	tear_down(rig);
	arena_free(rig->arena);
	invariant(budget_used(&rig->budget) == 0);
}

/* What main and the tree do after an attach. */
static int rebuild(struct store_rig *rig)
{
	int err = 0;

	store_rebuild_begin(rig->store);
	for (unsigned i = 0; i < RIG_FILES; i++) {
		int one;

		MUST(table_mark(rig->arena, TABLE_INODES, rig->body_ix[i]));
		one = store_rebuild_body(rig->store, store_rig_file(rig, i));
		if (!err)
			err = one;
	}
	for (unsigned i = 0; i < TABLE_NR; i++)
		if (i != TABLE_TWIGS && i != TABLE_LEAVES && i != TABLE_FILLS)
			table_scan_end(rig->arena, i);
	store_rebuild_end(rig->store);
	return err;
}

int store_rig_attach(struct store_rig *rig)
{
	int meta_fd = dup(arena_meta_fd(rig->arena));
	int pool_fd = dup(arena_pool_fd(rig->arena));
	uint64_t mem_bytes = budget_limit(&rig->budget);
	struct codec_params params;
	char text[CODEC_TEXT_MAX] = "lz4";
	int err;

	if (!sets_params(rig->sets, sets_current(rig->sets), &params))
		codec_format(&params, text);
	rig->options.limit_bytes = store_limit(rig->store);
	tear_down(rig);
	arena_free(rig->arena);
	rig->stream = NULL;
	budget_init(&rig->budget, mem_bytes);
	MUST(arena_attach(meta_fd, pool_fd, &rig->budget, &rig->arena));
	close(meta_fd);
	close(pool_fd);
	build(rig);
	if (rig->options.spill) {
		int fd = dup(rig->spill_fd);

		invariant(fd >= 0);
		MUST(backing_open_again(rig->backing, fd));
	}
	err = rebuild(rig);
	store_rig_use(rig, text);
	return err;
}

static void complain(const char *what, uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "store: %s is %llu, the files say %llu\n", what,
		(unsigned long long)got, (unsigned long long)wanted);
	abort();
}

void store_rig_check(struct store_rig *rig)
{
	struct store_file_info info, sum = {0};
	struct store_stats stats;
	struct pool_stats pool;
	struct backing_stats backing = {.extents = 0};
	uint64_t objects = 0, in_sets = 0;

	for (unsigned i = 0; i < RIG_FILES; i++) {
		struct file file = store_rig_file(rig, i);

		MUST(store_check_body(rig->store, file));
		store_file_info(rig->store, file, &info);
		sum.logical_bytes += info.logical_bytes;
		sum.fill_pages += info.fill_pages;
		sum.spilled_pages += info.spilled_pages;
		sum.spilled_bytes += info.spilled_bytes;
		for (unsigned codec = 0; codec < CODEC_NR; codec++) {
			sum.pages[codec] += info.pages[codec];
			objects += info.pages[codec];
		}
	}
	MUST(pool_check(rig->pool));
	if (rig->backing) {
		MUST(backing_check(rig->backing));
		backing_stats(rig->backing, &backing);
	}
	store_stats(rig->store, &stats);
	pool_stats(rig->pool, &pool);
	complain("pages_stored", stats.pages_stored,
		 sum.logical_bytes / PAGE_BYTES);
	complain("same_pages", stats.same_pages, sum.fill_pages);
	complain("huge_pages", stats.huge_pages, sum.pages[CODEC_RAW]);
	complain("objects in the pool", pool.objects, objects);
	complain("compr_data_size", stats.compr_data_bytes, pool.object_bytes);
	complain("spilled_pages", stats.spilled_pages, sum.spilled_pages);
	complain("spilled_bytes", stats.spilled_bytes, sum.spilled_bytes);
	complain("extents", backing.extents, sum.spilled_pages);
	complain("live_bytes", backing.live_bytes, sum.spilled_bytes);
	for (unsigned set = 0; set < SETS_MAX; set++)
		in_sets += sets_objects(rig->sets, set);
	/* A set counts each segment that holds it as one more. */
	invariant(in_sets >= objects &&
		  in_sets - objects <= backing.segments * SETS_MAX);
	if (!backing.segments)
		complain("objects of sets", in_sets, objects);
}

/* --- sweeps --- */

void store_rig_reopen(struct store_rig *rig)
{
	close(rig->spill_fd);
	open_backing(rig);
}

const struct spill_pick store_rig_all = {
	.end_page = UINT64_MAX,
	.budget_bytes = UINT64_MAX,
};

bool store_rig_with(void *arg, uint32_t ix,
		    void (*call)(void *call_arg, struct file file),
		    void *call_arg)
{
	const struct store_rig *rig = arg;

	for (unsigned i = 0; i < RIG_FILES; i++) {
		if (rig->body_ix[i] != ix)
			continue;
		call(call_arg, store_rig_file(rig, i));
		return true;
	}
	return false;
}

void store_rig_spill(struct store_rig *rig, const struct spill_pick *pick,
		     struct spill_result *ret)
{
	struct spill_files files = {store_rig_with, rig};

	MUST(store_spill_begin(rig->store, pick, &files));
	for (unsigned i = 0; i < RIG_FILES; i++)
		if (!store_spill_body(rig->store, store_rig_file(rig, i)))
			break;
	store_spill_end(rig->store, ret);
}
