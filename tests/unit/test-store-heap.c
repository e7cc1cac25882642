/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No heap call on the store path, pages on disk included: ten thousand mixed
 * operations after a warm-up, with each codec, and the same count as before.
 */
#include "base/heap.h"
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES (256 * (size_t)PAGE_BYTES)

static char content[BYTES], buf[BYTES];

/* The thread that sweeps has no stream, and makes no heap call either. */
static void sweep(struct store_rig *rig)
{
	struct spill_result result;

	store_rig_spill(rig, &store_rig_all, &result);
	assert_int_equal(result.err, 0);
}

static void one_op(struct store_rig *rig, struct content *random)
{
	struct file file = store_rig_file(rig, content_below(random, 4));
	struct store *store = rig->store;
	uint64_t from = content_below(random, BYTES - 1), n, copied;
	size_t done;

	n = 1 + content_below(random, content_below(random, 8) ? 9000 : 300000);
	if (n > BYTES - from)
		n = BYTES - from;
	if (content_below(random, 3) == 0)
		from &= ~(uint64_t)(PAGE_BYTES - 1);
	switch (content_below(random, 10)) {
	case 0:
		assert_int_equal(store_truncate(store, rig->stream, file, from),
				 0);
		break;
	case 1:
		assert_int_equal(store_punch(store, rig->stream, file, from, n),
				 0);
		break;
	case 2:
		assert_int_equal(
			store_zero(store, rig->stream, file, from, n, true), 0);
		break;
	case 3:
		assert_int_equal(store_copy(store, rig->stream, file, from,
					    store_rig_file(rig, 5), from, n,
					    &copied),
				 0);
		break;
	case 4:
	case 5:
		assert_int_equal(store_read(store, rig->stream, file, from, buf,
					    n, &done),
				 0);
		break;
	case 6:
		sweep(rig);
		break;
	case 7:
		store_discard(store, rig->stream->row, file);
		break;
	default:
		assert_int_equal(store_write(store, rig->stream, file, from,
					     content + from, n, &done),
				 0);
	}
}

static void test_no_heap_calls(void **state UNUSED)
{
	static const char *const codecs[] = {"lz4", "lz4hc", "zstd:3", "none"};
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = true};
	struct store_rig rig;
	struct content random = {1};

	content_make_any(&random, content, BYTES);
	store_rig_up(&rig, &options);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t calls;

		store_rig_use(&rig, codecs[i]);
		for (unsigned op = 0; op < 100; op++)
			one_op(&rig, &random);
		calls = heap_calls();
		for (unsigned op = 0; op < 2500; op++)
			one_op(&rig, &random);
		assert_int_equal(heap_calls() - calls, 0);
	}
	store_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_heap_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
