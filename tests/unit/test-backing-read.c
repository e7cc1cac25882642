/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads: whatever is in the file, it is the right bytes or an error. */
#include "backing_rig.h"
#include "base/compiler.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct backing_rig rig;

#define EXTENTS 300u
#define FLIPS 50000u
#define FILE_FLIPS 200u

/* All blocks of the first segment. */
static char *first_segment(void)
{
	char *bytes = malloc(BACKING_SEGMENT_BYTES);
	int fd = open(rig.path, O_RDONLY);

	assert_non_null(bytes);
	assert_true(fd >= 0);
	assert_int_equal(io_read_all(fd, bytes, BACKING_SEGMENT_BYTES, 0), 0);
	close(fd);
	return bytes;
}

static struct extent_ref ref_of(uint32_t i)
{
	return backing_ref(rig.backing, rig.item[i].extent);
}

/* The item that unit @unit belongs to; they were put in order. */
static uint32_t item_at(uint64_t unit)
{
	uint32_t i = 0;

	while (i + 1 < EXTENTS &&
	       extent_place(rig.item[i + 1].extent).unit <= unit)
		i++;
	return i;
}

/* As somebody who reads by himself: the blocks, then backing_verify(). */
static int verify_copy(const char *file, uint32_t i, uint64_t flipped_bit)
{
	static char buf[BACKING_READ_BYTES]
		__attribute__((aligned(PAGE_BYTES)));
	struct extent_ref ref = ref_of(i);
	struct extent_view view;
	char bytes[PAGE_BYTES];
	uint64_t offset, byte = flipped_bit / 8;
	size_t n, skip;
	int fd, r;

	backing_where(rig.backing, &ref, &fd, &offset, &n, &skip);
	assert_true(n <= sizeof(buf) && offset + n <= BACKING_SEGMENT_BYTES);
	memcpy(buf, file + offset, n);
	if (byte >= offset && byte < offset + n)
		buf[byte - offset] ^= (char)(1 << flipped_bit % 8);
	r = backing_verify(rig.backing, &ref, buf + skip, &view);
	if (r < 0)
		return r;
	rig_bytes(&rig.item[i], bytes);
	assert_int_equal(view.n_bytes, rig.item[i].n_bytes);
	assert_int_equal(view.owner.file, i);
	assert_int_equal(view.tag, rig.item[i].tag);
	assert_memory_equal(view.data, bytes, view.n_bytes);
	return 0;
}

/* Is the bit in what the extent means, or in the zeroes behind it? */
static bool is_meaning(uint32_t i, uint64_t bit)
{
	uint64_t first = extent_place(rig.item[i].extent).unit * BACKING_UNIT;

	return bit / 8 >= first &&
	       bit / 8 < first + BACKING_UNIT + rig.item[i].n_bytes;
}

static void put_extents(bool encrypt)
{
	backing_rig_up(&rig, IO_BEST, encrypt, 0);
	for (uint32_t i = 0; i < EXTENTS; i++)
		rig_put_wait(&rig, i, i % 3 ? 1 + rig_below(&rig, 200) : 1400,
			     0);
	rig_settle(&rig);
}

static void flip_bits(bool encrypt)
{
	uint64_t first, bits;
	char *file;

	put_extents(encrypt);
	file = first_segment();
	first = extent_place(rig.item[0].extent).unit * BACKING_UNIT * 8;
	bits = (extent_place(rig.item[EXTENTS - 1].extent).unit + 2) *
		       BACKING_UNIT * 8 -
	       first;
	for (unsigned k = 0; k < FLIPS; k++) {
		uint64_t bit = first + rig_random(&rig) % bits;
		uint32_t i = item_at(bit / 8 / BACKING_UNIT);

		assert_int_equal(verify_copy(file, i, bit),
				 is_meaning(i, bit) ? -EIO : 0);
		/* Its neighbour in the same blocks is none the worse. */
		if (i > 0)
			assert_int_equal(verify_copy(file, i - 1, bit), 0);
	}
	assert_true(rig_stats(&rig).checksum_errors > FLIPS / 2);
	free(file);
	backing_rig_down(&rig);
}

static void test_flips(void **state UNUSED)
{
	flip_bits(false);
}

static bool can_encrypt(void)
{
	enum crypt_cipher cipher;

	return !crypt_choose(&cipher);
}

static void test_flips_encrypted(void **state UNUSED)
{
	if (!can_encrypt())
		skip();
	flip_bits(true);
}

/* The same in the file itself. */
static void test_flips_in_file(void **state UNUSED)
{
	uint64_t unit;
	int fd;

	put_extents(false);
	fd = open(rig.path, O_RDWR);
	assert_true(fd >= 0);
	unit = extent_place(rig.item[EXTENTS - 1].extent).unit;
	for (unsigned k = 0; k < FILE_FLIPS; k++) {
		uint64_t bit = BLOCK_BYTES * 8 +
			       rig_random(&rig) % (unit * BACKING_UNIT * 8 -
						   BLOCK_BYTES * 8);
		uint32_t i = item_at(bit / 8 / BACKING_UNIT);
		char byte, bad;

		assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
		bad = byte ^ (char)(1 << bit % 8);
		assert_int_equal(pwrite(fd, &bad, 1, (off_t)(bit / 8)), 1);
		assert_int_equal(rig_read(&rig, i),
				 is_meaning(i, bit) ? -EIO : 0);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
	}
	close(fd);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* Bytes of one extent at another's place, of the same life and length. */
static void test_misplaced(void **state UNUSED)
{
	char a[4096], b[4096];
	int fd;

	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < 2; i++)
		rig_put_wait(&rig, i, 4064, 0);
	rig_settle(&rig);
	fd = open(rig.path, O_RDWR);
	assert_int_equal(pread(fd, a, 4096, 4096), 4096);
	assert_int_equal(pread(fd, b, 4096, 8192), 4096);
	assert_int_equal(pwrite(fd, a, 4096, 8192), 4096);
	assert_int_equal(rig_read(&rig, 0), 0);
	assert_int_equal(rig_read(&rig, 1), -EIO);
	assert_int_equal(pwrite(fd, b, 4096, 8192), 4096);
	rig_check(&rig);
	close(fd);
	backing_rig_down(&rig);
}

/* --- reads that fail --- */

static unsigned bad_reads, reads;
static int bad_result;

static int on_read(void *arg UNUSED, uint64_t offset UNUSED, void *buf,
		   size_t n_bytes)
{
	reads++;
	if (!bad_reads)
		return 0;
	bad_reads--;
	if (!bad_result)
		memset(buf, 0x11, n_bytes);
	return bad_result;
}

static void test_read_again(void **state UNUSED)
{
	const struct io_faults faults = {.read = on_read};
	const int results[] = {-EIO, 0};

	for (unsigned k = 0; k < ARRAY_SIZE(results); k++) {
		put_extents(false);
		io_set_faults(&faults);
		bad_result = results[k];
		bad_reads = 2;
		reads = 0;
		assert_int_equal(rig_read(&rig, 7), 0);
		assert_int_equal(reads, 3);
		assert_int_equal(rig_stats(&rig).read_errors, 0);
		assert_int_equal(rig_stats(&rig).checksum_errors, 0);
		bad_reads = 3;
		assert_int_equal(rig_read(&rig, 7), -EIO);
		assert_int_equal(rig_stats(&rig).read_errors, results[k] != 0);
		assert_int_equal(rig_stats(&rig).checksum_errors,
				 results[k] == 0);
		io_set_faults(NULL);
		rig_check(&rig);
		backing_rig_down(&rig);
	}
}

/* Somebody cut our file. */
static void test_cut_file(void **state UNUSED)
{
	put_extents(false);
	assert_int_equal(truncate(rig.path, 65536), 0);
	for (uint32_t i = 0; i < EXTENTS; i++) {
		uint64_t unit = extent_place(rig.item[i].extent).unit;

		if (unit * BACKING_UNIT + 1500 < 65536)
			assert_int_equal(rig_read(&rig, i), 0);
		else if (unit * BACKING_UNIT > 65536)
			assert_int_equal(rig_read(&rig, i), -EIO);
	}
	backing_rig_down(&rig);
}

/* Whole sectors, and none in which nothing of the extent is: of what is read a
 * fault sees how much. */
static size_t read_bytes;
static uint64_t read_offset;

static int on_sectors(void *arg UNUSED, uint64_t offset, void *buf UNUSED,
		      size_t n_bytes)
{
	read_offset = offset;
	read_bytes = n_bytes;
	return 0;
}

static void read_sectors(uint32_t sector)
{
	for (uint32_t i = 0; i < EXTENTS; i++) {
		struct extent extent = rig.item[i].extent;
		uint64_t from = backing_extent_offset(extent);
		uint64_t end = from + backing_extent_bytes(extent);

		assert_int_equal(rig_read(&rig, i), 0);
		assert_int_equal(read_offset, from / sector * sector);
		assert_int_equal(read_offset + read_bytes,
				 (end + sector - 1) / sector * sector);
	}
}

static void test_sectors(void **state UNUSED)
{
	const struct io_faults faults = {.read = on_sectors};
	int fd;

	put_extents(false);
	io_set_faults(&faults);
	assert_in_range(rig.backing->sector, 512, BLOCK_BYTES);
	read_sectors(rig.backing->sector);
	/* Those of other disks. */
	fd = backing_fd(rig.backing);
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT), 0);
	for (uint32_t sector = 512; sector <= BLOCK_BYTES; sector *= 2) {
		rig.backing->sector = sector;
		read_sectors(sector);
	}
	/* Of the page cache only whole pages can be dropped. */
	io_set_faults(NULL);
	backing_rig_down(&rig);
	backing_rig_up(&rig, IO_CACHED, false, 0);
	assert_int_equal(rig.backing->sector, BLOCK_BYTES);
	backing_rig_down(&rig);
}

/* A walk over a damaged segment shows what is good and says that not all is. */
static unsigned shown;
static void on_visit(void *arg UNUSED, struct extent extent,
		     const struct extent_view *view)
{
	const struct rig_item *item = &rig.item[view->owner.file];
	char bytes[PAGE_BYTES];

	assert_int_equal(item->extent.value, extent.value);
	assert_int_equal(view->n_bytes, item->n_bytes);
	rig_bytes(item, bytes);
	assert_memory_equal(view->data, bytes, view->n_bytes);
	shown++;
}

static void visit_damaged(bool encrypt)
{
	uint32_t segment;
	uint64_t at;
	int fd;

	put_extents(encrypt);
	/* Not open any more. */
	backing_rig_reattach(&rig);
	shown = 0;
	assert_int_equal(backing_segment_visit(rig.backing, 0, on_visit, NULL),
			 0);
	assert_int_equal(shown, EXTENTS);
	assert_true(backing_thin(rig.backing, 50, &segment));
	assert_int_equal(segment, 0);
	fd = open(rig.path, O_RDWR);
	at = extent_place(rig.item[30].extent).unit * BACKING_UNIT;
	assert_int_equal(pwrite(fd, "damage", 6, (off_t)at + 33), 6);
	at = extent_place(rig.item[60].extent).unit * BACKING_UNIT;
	assert_int_equal(pwrite(fd, "damage", 6, (off_t)at + 3), 6);
	close(fd);
	shown = 0;
	assert_int_equal(backing_segment_visit(rig.backing, 0, on_visit, NULL),
			 -EIO);
	assert_int_equal(shown, EXTENTS - 2);
	/* Cleaning does not come back to it for ever. */
	assert_false(backing_thin(rig.backing, 50, &segment));
	backing_rig_down(&rig);
}

static void test_visit_damaged(void **state UNUSED)
{
	visit_damaged(false);
	if (can_encrypt())
		visit_damaged(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_flips_encrypted),
		cmocka_unit_test(test_flips_in_file),
		cmocka_unit_test(test_misplaced),
		cmocka_unit_test(test_read_again),
		cmocka_unit_test(test_cut_file),
		cmocka_unit_test(test_sectors),
		cmocka_unit_test(test_visit_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
