/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the parking: what waits for the disk keeps nobody waiting. A read
 * ends when the worker looks, so here the disk is as slow as the test wants.
 */
#include "base/check.h"
#include "base/heap.h"
#include "base/page.h"
#include "fs/latency.h"
#include "fs/parking.h"
#include "fs/spiller.h"
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGES 600u
/* Asked of each page: so little that the socket has room for all answers. */
#define PART 128u

struct scene {
	struct fs_rig rig;
	char path[64];
	char data[PAGES * PAGE_BYTES];
	uint64_t cold, hot;
};

/* Bytes that lz4 shrinks a bit, different for each page. */
static void fill(char *at, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		at[i] = i % 64 < 48 ? (char)(seed >> 24) : 'x';
	}
}

static void spill(struct scene *s)
{
	struct file file;

	assert_int_equal(tree_file(s->rig.fs->engine.tree, s->cold, &file), 0);
	assert_int_equal(
		spiller_move(s->rig.fs->spiller, file, true, 0, UINT64_MAX), 0);
}

static int up(void **state)
{
	struct scene *s = heap_zalloc(1, sizeof(*s));
	int room = 200 << 10;

	fs_rig_config(&s->rig);
	fs_rig_up(&s->rig);
	fs_rig_init(&s->rig, FS_RIG_ALL);
	invariant(setsockopt(s->rig.daemon_fd, SOL_SOCKET, SO_SNDBUF, &room,
			     sizeof(room)) == 0);
	close(mkstemp(strcpy(s->path, "/tmp/foldfs-parking-XXXXXX")));
	assert_int_equal(spiller_attach(s->rig.fs->spiller, s->path), 0);
	s->cold = fs_rig_create(&s->rig, "cold", 0644);
	s->hot = fs_rig_create(&s->rig, "hot", 0644);
	fill(s->data, sizeof(s->data), 1);
	for (unsigned i = 0; i < PAGES; i += 25)
		assert_int_equal(fs_rig_write(&s->rig, s->cold, i * PAGE_BYTES,
					      s->data + i * PAGE_BYTES,
					      25 * PAGE_BYTES, 0),
				 25 * PAGE_BYTES);
	assert_int_equal(fs_rig_write(&s->rig, s->hot, 0, "hot", 3, 0), 3);
	spill(s);
	parking_follow(s->rig.w);
	*state = s;
	if (!s->rig.w->parking) {
		print_message("no io_uring here\n");
		skip();
	}
	return 0;
}

static int down(void **state)
{
	struct scene *s = *state;

	parking_leave(s->rig.w);
	fs_rig_down(&s->rig);
	unlink(s->path);
	heap_free(s);
	return 0;
}

/* A READ, as from the kernel; its number. */
static uint64_t ask(struct scene *s, uint64_t node, uint64_t offset, uint32_t n)
{
	struct {
		struct fuse_in_header head;
		struct fuse_read_in in;
	} request = {
		.head = {.len = sizeof(request),
			 .opcode = FUSE_READ,
			 .unique = s->rig.unique += 2,
			 .nodeid = node},
		.in = {.offset = offset, .size = n},
	};

	memcpy(s->rig.w->in, &request, sizeof(request));
	loop_serve(s->rig.w, sizeof(request));
	return request.head.unique;
}

/* Is there an answer? It is in the rig then. */
static bool is_answered(struct scene *s)
{
	ssize_t n = recv(s->rig.kernel_fd, s->rig.reply.bytes,
			 sizeof(s->rig.reply), MSG_DONTWAIT);

	return n > 0;
}

static void wait_answer(struct scene *s)
{
	parking_rest(s->rig.w);
	while (!is_answered(s))
		parking_serve(s->rig.w);
}

static uint64_t waiting(struct scene *s)
{
	return parking_waiting(s->rig.fs);
}

static void assert_page(struct scene *s, unsigned page)
{
	size_t n = fs_rig_data_n(&s->rig);

	assert_int_equal(s->rig.reply.head.error, 0);
	assert_true(n == PAGE_BYTES || n == PART);
	assert_memory_equal(fs_rig_data(&s->rig), s->data + page * PAGE_BYTES,
			    n);
}

static void ram_is_read_meanwhile(void **state)
{
	struct scene *s = *state;
	uint64_t unique = ask(s, s->cold, 7 * PAGE_BYTES, PAGE_BYTES);

	assert_false(is_answered(s));
	assert_int_equal(waiting(s), 1);
	assert_int_equal(fs_rig_read(&s->rig, s->hot, 0, 10), 3);
	assert_memory_equal(fs_rig_data(&s->rig), "hot", 3);
	wait_answer(s);
	assert_int_equal(s->rig.reply.head.unique, unique);
	assert_page(s, 7);
	assert_int_equal(waiting(s), 0);
	assert_false(is_answered(s));
}

/* More than have a place in the buffer; each is answered, with its page. */
static void many_wait(void **state)
{
	const unsigned n = 200;
	struct scene *s = *state;
	uint64_t first = s->rig.unique + 2;

	for (unsigned i = 0; i < n; i++)
		ask(s, s->cold, i * 3 * PAGE_BYTES, PART);
	assert_int_equal(waiting(s), n);
	assert_int_equal(fs_rig_read(&s->rig, s->hot, 0, 10), 3);
	for (unsigned i = 0; i < n; i++) {
		unsigned page;

		wait_answer(s);
		page = (unsigned)(s->rig.reply.head.unique - first) / 2 * 3;
		assert_page(s, page);
	}
	assert_int_equal(waiting(s), 0);
	assert_int_equal(tally_sum(s->rig.fs->tally, COUNT_PARKED), n);
	assert_int_equal(tally_sum(s->rig.fs->tally, COUNT_READS), n + 1);
}

/* When all places are taken the worker waits itself: late is better than not
 * at all. */
static void a_full_parking_waits(void **state)
{
	struct scene *s = *state;
	unsigned n = 0, page;
	uint64_t first = s->rig.unique + 2;

	while (!is_answered(s))
		ask(s, s->cold, n++ % PAGES * PAGE_BYTES, PART);
	assert_int_equal(waiting(s), n - 1);
	assert_page(s, (n - 1) % PAGES);
	while (--n) {
		wait_answer(s);
		page = (unsigned)(s->rig.reply.head.unique - first) / 2 % PAGES;
		assert_page(s, page);
	}
}

/* The buffer has room for one of them at a time. */
static void large_ones_wait(void **state)
{
	const uint32_t n = 40 * PAGE_BYTES;
	struct scene *s = *state;

	ask(s, s->cold, 0, n);
	ask(s, s->cold, 40 * PAGE_BYTES, n);
	ask(s, s->cold, 80 * PAGE_BYTES, n);
	assert_int_equal(waiting(s), 3);
	/* As if the disk had taken so long that buffers went back. */
	s->rig.w->large_ns = 0;
	for (unsigned i = 0; i < 3; i++) {
		wait_answer(s);
		assert_int_equal(fs_rig_data_n(&s->rig), n);
		assert_memory_equal(fs_rig_data(&s->rig), s->data + i * n, n);
	}
	assert_true(s->rig.w->large_ns > 0);
}

static void what_was_written_meanwhile_is_read(void **state)
{
	struct scene *s = *state;

	ask(s, s->cold, 0, PAGE_BYTES);
	ask(s, s->cold, PAGE_BYTES, PAGE_BYTES);
	fill(s->data, PAGE_BYTES, 99);
	assert_int_equal(
		fs_rig_write(&s->rig, s->cold, 0, s->data, PAGE_BYTES, 0),
		PAGE_BYTES);
	assert_int_equal(waiting(s), 2);
	wait_answer(s);
	assert_page(s, 0);
	wait_answer(s);
	assert_page(s, 1);
}

/* Its time is the whole of it, and it is counted once. */
static void time_is_counted(void **state)
{
	struct scene *s = *state;
	const struct histogram *h = &s->rig.fs->latency->row[0][LATENCY_READ];
	struct histogram_total total = {0};

	ask(s, s->cold, 0, PAGE_BYTES);
	histogram_total_add(&total, h);
	assert_int_equal(total.count, 0);
	wait_answer(s);
	histogram_total_add(&total, h);
	assert_int_equal(total.count, 1);
}

/* Who leaves answers all before; the parking and what it is charged go. */
static void all_are_answered_before_a_worker_leaves(void **state)
{
	struct scene *s = *state;
	uint64_t used = budget_used(&s->rig.fs->engine.budget);

	for (unsigned i = 0; i < 100; i++)
		ask(s, s->cold, i * 5 * PAGE_BYTES, PART);
	assert_false(is_answered(s));
	parking_leave(s->rig.w);
	for (unsigned i = 0; i < 100; i++)
		assert_true(is_answered(s));
	assert_null(s->rig.w->parking);
	assert_true(budget_used(&s->rig.fs->engine.budget) < used);
	ask(s, s->cold, 0, PART);
	assert_true(is_answered(s));
	assert_page(s, 0);
}

/* It goes with the file, and comes with the next one. */
static void it_follows_the_file(void **state)
{
	struct scene *s = *state;
	struct spiller *spiller = s->rig.fs->spiller;

	ask(s, s->cold, 0, PAGE_BYTES);
	wait_answer(s);
	assert_int_equal(spiller_detach(spiller), 0);
	ask(s, s->cold, PAGE_BYTES, PAGE_BYTES);
	assert_true(is_answered(s));
	assert_page(s, 1);
	parking_follow(s->rig.w);
	assert_null(s->rig.w->parking);
	assert_int_equal(spiller_attach(spiller, s->path), 0);
	spill(s);
	parking_follow(s->rig.w);
	ask(s, s->cold, PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(waiting(s), 1);
	wait_answer(s);
	assert_page(s, 1);
}

static void no_heap_call(void **state)
{
	struct scene *s = *state;
	uint64_t before = heap_calls();

	for (unsigned i = 0; i < 150; i++)
		ask(s, s->cold, i * 4 * PAGE_BYTES, PART);
	for (unsigned i = 0; i < 150; i++)
		wait_answer(s);
	assert_int_equal(heap_calls(), before);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		CASE(ram_is_read_meanwhile),
		CASE(many_wait),
		CASE(a_full_parking_waits),
		CASE(large_ones_wait),
		CASE(what_was_written_meanwhile_is_read),
		CASE(time_is_counted),
		CASE(all_are_answered_before_a_worker_leaves),
		CASE(it_follows_the_file),
		CASE(no_heap_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
