/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check of a running mount.
 *
 * Note: what the kernel charges. The arena is exact but for pages that are
 * given back while we look. The process also holds what its heap keeps to
 * itself, so its account is right within a twentieth and some MiB. Only too
 * little in the account is a fault: room that was promised to a worker and
 * memory that is swapped out make it too much, which breaks no promise.
 */
#include "fs/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/page.h"
#include "fs/pause.h"
#include <errno.h>
#include <inttypes.h>

/* A worker may be waiting for room, which takes up to ten seconds. */
#define PATIENCE_NS (30 * NS_PER_S)
#define SLACK_BYTES (4 * MIB)

static bool is_too_much(uint64_t charged, uint64_t account)
{
	return charged > account + account / 20 + SLACK_BYTES;
}

static void check_budget(struct fs *fs, struct check_result *result)
{
	uint64_t used = budget_used(&fs->engine.budget);
	uint64_t arena = arena_charged_bytes(fs->engine.arena);
	uint64_t all = arena + engine_process_bytes();

	result->charged_bytes = arena;
	if (arena > used)
		faults_add(&result->faults,
			   "memory: the kernel charges %" PRIu64
			   " bytes for the arena, the account has %" PRIu64,
			   arena, used);
	else if (is_too_much(all, used))
		faults_add(&result->faults,
			   "memory: the kernel charges %" PRIu64
			   " bytes, the account has %" PRIu64,
			   all, used);
}

static int check_all(struct fs *fs, struct check_result *result)
{
	struct engine *e = &fs->engine;
	int r = tree_check(e->tree, &result->audit, &result->faults);

	if (r && r != -EUCLEAN)
		return r;
	tree_stats(e->tree, &result->tree);
	if (pool_check(e->pool))
		faults_add(&result->faults,
			   "the pool: spans, lists and objects disagree");
	check_budget(fs, result);
	return 0;
}

int check_run(struct fs *fs, struct check_result *ret)
{
	uint64_t begun_ns = clock_ns();
	int r = pause_begin(fs->pause, PATIENCE_NS);

	if (r)
		return r;
	r = check_all(fs, ret);
	ret->took_ns = clock_ns() - begun_ns;
	tree_stood_still(fs->engine.tree, ret->took_ns);
	pause_end(fs->pause);
	return r;
}

static struct answer answer_of(const struct check_result *result)
{
	const struct protocol_seen seen[] = {
		{"inodes", result->tree.inodes},
		{"names", result->tree.names},
		{"files", result->audit.bodies},
		{"pages", result->audit.pages},
		{"fill_pages", result->audit.fills},
		{"objects", result->audit.objects},
		{"object_bytes", result->audit.object_bytes},
		{"spilled_pages", result->audit.spilled},
		{"charged_bytes", result->charged_bytes},
	};

	return protocol_check_answer(seen, ARRAY_SIZE(seen),
				     result->took_ns / 1000000,
				     &result->faults);
}

struct answer check_answer(struct fs *fs)
{
	struct check_result *result = heap_zalloc(1, sizeof(*result));
	struct answer answer;
	int r = result ? check_run(fs, result) : -ENOMEM;

	answer = r ? protocol_check_refusal(r) : answer_of(result);
	heap_free(result);
	return answer;
}
