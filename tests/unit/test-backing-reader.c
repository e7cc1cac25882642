/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads that nobody waits for: they end, with the right bytes or with none. */
#include "backing/reader.h"
#include "backing_rig.h"
#include "base/heap.h"
#include "unit.h"
#include <errno.h>
#include <poll.h>

#define EXTENTS 300u
#define MOST 64u

static struct backing_rig rig;
static struct backing_reader *reader;
static struct backing_blocks blocks[EXTENTS];

static struct extent_ref ref_of(uint32_t i)
{
	return backing_ref(rig.backing, rig.item[i].extent);
}

static void up(bool encrypt)
{
	int r;

	backing_rig_up(&rig, IO_BEST, encrypt, 0);
	for (uint32_t i = 0; i < EXTENTS; i++)
		rig_put_wait(&rig, i, rig_length(&rig), 1);
	rig_settle(&rig);
	r = backing_reader_new(rig.backing, MOST, &reader);
	if (r == -ENOSYS || r == -EPERM) {
		backing_rig_down(&rig);
		skip();
	}
	assert_int_equal(r, 0);
}

static void down(void)
{
	backing_reader_free(reader);
	backing_rig_down(&rig);
}

static void start(uint32_t i)
{
	struct extent_ref ref = ref_of(i);

	blocks[i] = backing_blocks_of(rig.backing, &ref);
	blocks[i].bytes = heap_aligned(PAGE_BYTES, blocks[i].n_bytes);
	blocks[i].owner = &rig.item[i];
	assert_int_equal(backing_reader_start(reader, &blocks[i]), 0);
}

/* Is the extent in its blocks, and as it was put? */
static bool is_there(uint32_t i)
{
	struct extent_ref ref = ref_of(i);
	struct extent_view view;
	char bytes[PAGE_BYTES];

	if (!backing_find(rig.backing, &ref, &blocks[i], &view))
		return false;
	rig_bytes(&rig.item[i], bytes);
	assert_int_equal(view.n_bytes, rig.item[i].n_bytes);
	assert_memory_equal(view.data, bytes, view.n_bytes);
	return true;
}

static void test_all_come(void **state UNUSED)
{
	struct pollfd pfd = {.events = POLLIN};
	uint32_t started = 0, done = 0;

	up(false);
	pfd.fd = backing_reader_fd(reader);
	assert_null(backing_reader_reap(reader, true));
	while (done < EXTENTS) {
		struct backing_blocks *what;

		while (started < EXTENTS && started - done < MOST)
			start(started++);
		backing_reader_submit(reader);
		assert_int_equal(poll(&pfd, 1, -1), 1);
		for (; (what = backing_reader_reap(reader, false)); done++) {
			uint32_t i = (uint32_t)(what - blocks);

			assert_ptr_equal(what->owner, &rig.item[i]);
			assert_true(is_there(i));
			heap_free(what->bytes);
		}
	}
	assert_int_equal(rig_stats(&rig).reads, EXTENTS);
	down();
}

/* As many as it was made for, whoever reaps them; and the file stays so long. */
static void test_no_more_than_most(void **state UNUSED)
{
	struct backing_blocks more, *what;
	struct extent_ref ref;

	up(false);
	for (uint32_t i = 0; i < MOST; i++)
		start(i);
	ref = ref_of(MOST);
	more = backing_blocks_of(rig.backing, &ref);
	assert_int_equal(backing_reader_start(reader, &more), -EAGAIN);
	/* What is under way keeps the file, also when nothing is in it. */
	for (uint32_t i = 0; i < EXTENTS; i++)
		rig_free(&rig, i);
	assert_int_equal(backing_close(rig.backing), -EBUSY);
	while ((what = backing_reader_reap(reader, true)))
		heap_free(what->bytes);
	assert_int_equal(backing_close(rig.backing), 0);
	assert_int_equal(backing_reader_start(reader, &more), -ENODEV);
	down();
}

static int result;

static int on_read(void *arg UNUSED, uint64_t offset UNUSED, void *buf,
		   size_t n_bytes)
{
	if (!result)
		memset(buf, 0x11, n_bytes);
	return result;
}

/* That it is bad is for backing_read() to find, and to count. */
static void test_bad_reads(void **state UNUSED)
{
	const struct io_faults faults = {.read = on_read};
	const int results[] = {-EIO, 0};

	up(false);
	io_set_faults(&faults);
	for (unsigned k = 0; k < ARRAY_SIZE(results); k++) {
		result = results[k];
		start(7);
		assert_ptr_equal(backing_reader_reap(reader, true), &blocks[7]);
		assert_int_equal(blocks[7].n_bytes == 0, result != 0);
		assert_false(is_there(7));
		heap_free(blocks[7].bytes);
	}
	io_set_faults(NULL);
	assert_int_equal(rig_stats(&rig).read_errors, 0);
	assert_int_equal(rig_stats(&rig).checksum_errors, 0);
	down();
}

/* Neighbours lie in one piece of the file, each where it is. */
static void grow(bool encrypt)
{
	struct extent_ref ref;
	uint32_t n = 1;

	up(encrypt);
	ref = ref_of(0);
	blocks[0] = backing_blocks_of(rig.backing, &ref);
	for (; n < 20; n++) {
		ref = ref_of(n);
		assert_true(backing_blocks_grow(rig.backing, &ref, &blocks[0]));
	}
	/* Not what is far behind. */
	ref = ref_of(EXTENTS - 1);
	assert_false(backing_blocks_grow(rig.backing, &ref, &blocks[0]));
	blocks[0].bytes = heap_aligned(PAGE_BYTES, blocks[0].n_bytes);
	assert_int_equal(backing_reader_start(reader, &blocks[0]), 0);
	assert_ptr_equal(backing_reader_reap(reader, true), &blocks[0]);
	for (uint32_t i = 1; i < n; i++)
		blocks[i] = blocks[0];
	for (uint32_t i = 0; i < n; i++)
		assert_true(is_there(i));
	/* Another life of the segment: none of it. */
	blocks[0].sequence++;
	assert_false(is_there(0));
	heap_free(blocks[0].bytes);
	down();
}

static void test_neighbours(void **state UNUSED)
{
	grow(false);
}

static void test_neighbours_encrypted(void **state UNUSED)
{
	enum crypt_cipher cipher;

	if (crypt_choose(&cipher))
		skip();
	grow(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_come),
		cmocka_unit_test(test_no_more_than_most),
		cmocka_unit_test(test_bad_reads),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_neighbours_encrypted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
