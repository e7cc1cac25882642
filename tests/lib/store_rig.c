/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole store with files in arena records, and its rebuild. */
#include "store_rig.h"
#include "base/check.h"
#include "pool/span.h"
#include "pool_fakes.h"
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
}

static void tear_down(struct store_rig *rig)
{
	stream_put(rig->streams, rig->stream);
	store_free(rig->store);
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

static void expect_nothing(struct store_rig *rig)
{
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
	uint64_t objects = 0, in_sets = 0;

	for (unsigned i = 0; i < RIG_FILES; i++) {
		struct file file = store_rig_file(rig, i);

		MUST(store_check_body(rig->store, file));
		store_file_info(rig->store, file, &info);
		sum.logical_bytes += info.logical_bytes;
		sum.fill_pages += info.fill_pages;
		for (unsigned codec = 0; codec < CODEC_NR; codec++) {
			sum.pages[codec] += info.pages[codec];
			objects += info.pages[codec];
		}
	}
	MUST(pool_check(rig->pool));
	store_stats(rig->store, &stats);
	pool_stats(rig->pool, &pool);
	complain("pages_stored", stats.pages_stored,
		 sum.logical_bytes / PAGE_BYTES);
	complain("same_pages", stats.same_pages, sum.fill_pages);
	complain("huge_pages", stats.huge_pages, sum.pages[CODEC_RAW]);
	complain("objects in the pool", pool.objects, objects);
	complain("compr_data_size", stats.compr_data_bytes, pool.object_bytes);
	for (unsigned set = 0; set < SETS_MAX; set++)
		in_sets += sets_objects(rig->sets, set);
	complain("objects of sets", in_sets, objects);
}
