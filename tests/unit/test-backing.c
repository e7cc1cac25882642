/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backing file: what is put comes back, packed, and goes without a trace. */
#include "backing_rig.h"
#include "base/heap.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct backing_rig rig;

static void test_one(enum io_kind io)
{
	struct backing_stats stats;

	backing_rig_up(&rig, io, false, 0);
	rig_put_wait(&rig, 0, 1400, 3);
	assert_int_equal(rig.held[3], 1);
	assert_int_equal(rig.done, 0);
	rig_settle(&rig);
	assert_int_equal(rig.done, 1);
	rig_check(&rig);
	stats = rig_stats(&rig);
	assert_int_equal(stats.state, BACKING_ACTIVE);
	assert_int_equal(stats.extents, 1);
	assert_int_equal(stats.live_bytes, 32 + 1408);
	assert_int_equal(stats.writes, 1);
	assert_int_equal(stats.write_bytes, 4096);
	assert_int_equal(backing_close(rig.backing), -EBUSY);
	rig_free(&rig, 0);
	backing_rig_down(&rig);
}

static void test_one_uring(void **state UNUSED)
{
	test_one(IO_BEST);
}

static void test_one_threads(void **state UNUSED)
{
	test_one(IO_THREADS);
}

static bool is_tmpfs(int fd)
{
	struct statfs fs;

	assert_int_equal(fstatfs(fd, &fs), 0);
	return fs.f_type == TMPFS_MAGIC;
}

static size_t pages_in_cache(int fd, size_t n_bytes)
{
	size_t pages = n_bytes / PAGE_BYTES, found = 0;
	unsigned char *resident = malloc(pages);
	void *map = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);

	assert_non_null(resident);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, n_bytes, resident), 0);
	for (size_t i = 0; i < pages; i++)
		found += resident[i] & 1;
	munmap(map, n_bytes);
	free(resident);
	return found;
}

/* Without O_DIRECT: written and read, and yet nothing is kept twice. */
static void test_cached(void **state UNUSED)
{
	int fd;

	backing_rig_up(&rig, IO_CACHED, false, 0);
	assert_false(rig_stats(&rig).direct);
	for (uint32_t i = 0; i < 60; i++)
		rig_put_wait(&rig, i, 4000, 0);
	rig_settle(&rig);
	/* A few: each makes the kernel look through its lists of pages. */
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(rig_read(&rig, i), 0);
	fd = open(rig.path, O_RDWR);
	if (!is_tmpfs(fd))
		assert_true(pages_in_cache(fd, 240 * KIB) < 8);
	close(fd);
	backing_rig_reattach(&rig);
	assert_false(rig_stats(&rig).direct);
	assert_int_equal(rig_read(&rig, 59), 0);
	backing_rig_down(&rig);
}

static void test_each_length(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t n = 1; n <= BACKING_OBJECT_MAX; n++)
		rig_put_wait(&rig, n, n, n % BACKING_KINDS);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* Issue 5: at most 1.05 bytes of disk for a byte of typical objects. */
static void test_packing(void **state UNUSED)
{
	struct backing_stats stats;
	uint64_t bytes = 0;

	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < RIG_ITEMS; i++) {
		uint16_t n = rig_length(&rig);

		rig_put_wait(&rig, i, n, 0);
		bytes += n;
	}
	rig_settle(&rig);
	stats = rig_stats(&rig);
	assert_true(bytes / RIG_ITEMS > 1200 && bytes / RIG_ITEMS < 1600);
	assert_true(stats.write_bytes * 100 <= bytes * 105);
	/* The open segment is reserved whole. */
	assert_true((stats.file_bytes - BACKING_SEGMENT_BYTES) * 100 <=
		    bytes * 105);
	backing_rig_down(&rig);
}

/* T23: buffers are full of older bytes, none of them reaches the file. */
static void test_no_stale_bytes(void **state UNUSED)
{
	const size_t n_bytes = MIB;
	char *file = malloc(n_bytes);
	int fd;

	assert_non_null(file);
	backing_rig_up(&rig, IO_BEST, false, 0);
	for (unsigned i = 0; i < CHUNKS; i++)
		memset(rig.backing->chunks[i].bytes, 0xa5, BACKING_CHUNK_BYTES);
	for (uint32_t i = 0; i < 40; i++) {
		static const char zero[PAGE_BYTES];
		struct extent_owner owner = {i, ~i, 0};
		struct extent extent;

		rig.item[i] = (struct rig_item){.state = RIG_PUT};
		assert_int_equal(backing_put(rig.backing, &owner, 0, 0, zero,
					     1 + i * 37, i, &extent),
				 0);
		if (i % 7 == 0)
			backing_flush(rig.backing);
		rig.item[i].extent = extent;
		while (backing_reap(rig.backing, true))
			;
	}
	backing_flush(rig.backing);
	fd = open(rig.path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(pread(fd, file, n_bytes, 0) > 0);
	for (size_t i = 0; i + 4 <= n_bytes; i++)
		assert_memory_not_equal(file + i, "\xa5\xa5\xa5\xa5", 4);
	close(fd);
	free(file);
	backing_rig_down(&rig);
}

static void test_no_heap_calls(void **state UNUSED)
{
	uint64_t before;

	backing_rig_up(&rig, IO_BEST, false, 0);
	before = heap_calls();
	for (uint32_t i = 0; i < 2000; i++)
		rig_put_wait(&rig, i, 1 + i, 0);
	rig_settle(&rig);
	for (uint32_t i = 0; i < 2000; i++) {
		assert_int_equal(rig_read(&rig, i), 0);
		rig_free(&rig, i);
	}
	assert_int_equal(heap_calls(), before);
	backing_rig_down(&rig);
}

/* A segment's bytes and its number come back; what referred to it is stale. */
static void test_reuse(void **state UNUSED)
{
	struct extent_ref ref;
	struct rig_item old;
	uint32_t n = 0;

	backing_rig_up(&rig, IO_BEST, false, 2 * MIB);
	for (; n < 400; n++)
		rig_put_wait(&rig, n, 4000, 1);
	rig_settle(&rig);
	assert_int_equal(rig_stats(&rig).segments, 2);
	old = rig.item[3];
	ref = backing_ref(rig.backing, old.extent);
	assert_int_equal(rig_read_ref(&rig, &old, &ref, 3), 0);
	for (uint32_t i = 0; i < 300; i++)
		rig_free(&rig, i);
	assert_int_equal(rig_stats(&rig).segments, 1);
	assert_int_equal(rig_read_ref(&rig, &old, &ref, 3), -ESTALE);
	for (uint32_t i = 0; i < 300; i++)
		rig_put_wait(&rig, i, 4000, 1);
	rig_settle(&rig);
	assert_int_equal(rig_stats(&rig).segments, 2);
	assert_int_equal(rig_stats(&rig).segments_reused, 1);
	assert_int_equal(rig_read_ref(&rig, &old, &ref, 3), -ESTALE);
	assert_int_equal(rig_stats(&rig).checksum_errors, 0);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* At the cap puts are refused, nothing leaks, and room that is made is room. */
static void test_cap(void **state UNUSED)
{
	uint32_t n = 0, at_cap;

	backing_rig_up(&rig, IO_BEST, false, 3 * MIB);
	while (true) {
		int r = rig_put(&rig, n, 4096, 0);

		if (r == -ENOSPC)
			break;
		if (r == -EAGAIN)
			backing_reap(rig.backing, true);
		else
			n++;
	}
	rig_settle(&rig);
	at_cap = n;
	assert_true(n > 740);
	assert_int_equal(rig_stats(&rig).state, BACKING_FULL);
	assert_true(rig_stats(&rig).file_bytes <= 3 * MIB + 64 * KIB);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(rig_put(&rig, n, 4096, 0), -ENOSPC);
	rig_check(&rig);
	for (uint32_t i = 0; i < 300; i++)
		rig_free(&rig, i);
	assert_int_equal(rig_stats(&rig).state, BACKING_ACTIVE);
	for (uint32_t i = 0; i < 250; i++)
		rig_put_wait(&rig, i, 4096, 0);
	/* Of four, one is kept for cleaning. */
	backing_set_most(rig.backing, 5 * MIB);
	for (uint32_t i = 0; i < 250; i++)
		rig_put_wait(&rig, at_cap + i, 4096, 0);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
}

static unsigned put_again;

/* What still lives is put anew, as the store does. */
static void put_on_visit(void *arg UNUSED, struct extent extent UNUSED,
			 const struct extent_view *view)
{
	if (rig.item[view->owner.file].state != RIG_LIVE)
		return;
	put_again++;
	rig_free(&rig, view->owner.file);
	rig_put_wait(&rig, view->owner.file, 4096, 0);
}

static uint32_t put_until_full(uint32_t n)
{
	int r;

	while ((r = rig_put(&rig, n, 4096, 0)) != -ENOSPC) {
		if (r == -EAGAIN)
			backing_reap(rig.backing, true);
		else
			n++;
	}
	rig_settle(&rig);
	return n;
}

/* A file that is full of half-empty segments can be cleaned: one segment is
 * kept for that, and for nothing else. */
static void test_cleaning_when_full(void **state UNUSED)
{
	uint32_t n, segment;

	backing_rig_up(&rig, IO_BEST, false, 6 * MIB);
	n = put_until_full(0);
	assert_int_equal(rig_stats(&rig).segments, 5);
	for (uint32_t i = 0; i < n; i += 2)
		rig_free(&rig, i);
	assert_int_equal(rig_put(&rig, n, 4096, 0), -ENOSPC);
	put_again = 0;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(backing_thin(rig.backing, 60, &segment));
		assert_int_equal(backing_segment_visit(rig.backing, segment,
						       put_on_visit, NULL),
				 0);
		rig_settle(&rig);
	}
	assert_true(put_again > 200);
	assert_int_equal(rig_stats(&rig).segments, 4);
	assert_true(put_until_full(n) > n + 200);
	assert_int_equal(rig_stats(&rig).segments, 5);
	rig_check(&rig);
	backing_rig_down(&rig);
}

static off_t file_size(void)
{
	struct stat st;

	assert_int_equal(stat(rig.path, &st), 0);
	return st.st_size;
}

static void free_segment(uint32_t segment)
{
	for (uint32_t i = 0; i < RIG_ITEMS; i++)
		if (rig.item[i].state == RIG_LIVE &&
		    extent_place(rig.item[i].extent).segment == segment)
			rig_free(&rig, i);
}

static void count_visit(void *arg, struct extent extent UNUSED,
			const struct extent_view *view UNUSED)
{
	++*(unsigned *)arg;
}

/* The file is as long as its last segment that is in use. */
static void test_file_shrinks(void **state UNUSED)
{
	unsigned seen = 0;

	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < 1024; i++)
		rig_put_wait(&rig, i, 4096, 0);
	rig_settle(&rig);
	assert_int_equal(file_size(), 5 * MIB);
	for (uint32_t segment = 1; segment < 4; segment++)
		free_segment(segment);
	assert_int_equal(file_size(), 5 * MIB);
	assert_true(rig_stats(&rig).file_bytes <= 2 * MIB + 64 * KIB);
	/* One that went is visited in vain. */
	assert_int_equal(
		backing_segment_visit(rig.backing, 2, count_visit, &seen), 0);
	assert_int_equal(seen, 0);
	assert_int_equal(backing_check(rig.backing), 0);
	/* Segment 4 is full after these, and 1 is open. */
	for (uint32_t i = 2000; i < 2300; i++)
		rig_put_wait(&rig, i, 4096, 0);
	rig_settle(&rig);
	free_segment(4);
	assert_int_equal(file_size(), 2 * MIB);
	rig_check(&rig);
	backing_rig_down(&rig);
}

static unsigned visited;
static void put_anew(void *arg, struct extent extent,
		     const struct extent_view *view)
{
	struct backing_rig *r = arg;
	uint32_t i = view->owner.file;
	struct rig_item *item = &r->item[i];
	struct extent moved;
	int err;

	visited++;
	if (item->state != RIG_LIVE || item->extent.value != extent.value)
		return;
	while ((err = backing_put(r->backing, &view->owner, view->tag,
				  item->kind, view->data, view->n_bytes, i,
				  &moved)) == -EAGAIN)
		backing_reap(r->backing, true);
	assert_int_equal(err, 0);
	backing_free(r->backing, extent);
	item->extent = moved;
	item->state = RIG_PUT;
}

static void test_cleaning(void **state UNUSED)
{
	uint32_t segment = 0;

	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < 4000; i++)
		rig_put_wait(&rig, i, rig_length(&rig), i % 3);
	rig_settle(&rig);
	assert_false(backing_thin(rig.backing, 50, &segment));
	for (uint32_t i = 0; i < 4000; i++)
		if (i % 5)
			rig_free(&rig, i);
	visited = 0;
	while (backing_thin(rig.backing, 50, &segment)) {
		assert_int_equal(backing_segment_visit(rig.backing, segment,
						       put_anew, &rig),
				 0);
		rig_settle(&rig);
	}
	assert_true(visited >= 3000);
	rig_check(&rig);
	assert_true(rig_stats(&rig).segments <= 3);
	backing_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_uring),
		cmocka_unit_test(test_one_threads),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_each_length),
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_no_stale_bytes),
		cmocka_unit_test(test_no_heap_calls),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_file_shrinks),
		cmocka_unit_test(test_cleaning),
		cmocka_unit_test(test_cleaning_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
