/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two memfds: made, charged, attached again, refused when not ours. */
#include "arena/inside.h"
#include "base/page.h"
#include "fault.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct budget budget;
static struct arena *arena;

static int up(void **state UNUSED)
{
	budget_init(&budget, 64 * MIB);
	return arena_new(GIB, &budget, &arena);
}

static int down(void **state UNUSED)
{
	arena_free(arena);
	return budget_used(&budget) == 0 ? 0 : -1;
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_new(void **state UNUSED)
{
	struct stat st;

	assert_ptr_equal(arena_budget(arena), &budget);
	assert_int_equal(arena_pool_bytes(arena), GIB);
	assert_int_equal(fstat(arena_pool_fd(arena), &st), 0);
	assert_int_equal(st.st_size, GIB);
	assert_int_equal(budget_used(&budget), arena_charged_bytes(arena));
	assert_true(budget_used(&budget) > 0);
	assert_true(fcntl(arena_meta_fd(arena), F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(arena_pool_fd(arena), F_GETFD) & FD_CLOEXEC);
	/* Nobody else can pull the ground away. */
	assert_int_equal(ftruncate(arena_meta_fd(arena), 0), -1);
	assert_int_equal(ftruncate(arena_pool_fd(arena), 0), -1);
	for (unsigned i = 0; i < ARENA_WORD_NR; i++)
		assert_int_equal(*arena_word(arena, i), 0);
	for (unsigned i = 0; i < TABLE_NR; i++) {
		assert_int_equal(table_used(arena, i), 0);
		assert_int_equal(table_end(arena, i), 1);
	}
}

static void test_sizes(void **state UNUSED)
{
	struct arena *odd;

	assert_int_equal(arena_new(1, &budget, &odd), 0);
	assert_int_equal(arena_pool_bytes(odd), 256 * KIB);
	arena_free(odd);
	assert_int_equal(arena_new(256 * KIB + 1, &budget, &odd), 0);
	assert_int_equal(arena_pool_bytes(odd), 512 * KIB);
	arena_free(odd);
	odd = NULL;
	assert_int_equal(arena_new(UINT64_MAX, &budget, &odd), -ENOMEM);
	/* More than the address space has. */
	assert_true(arena_new(UINT64_C(1) << 60, &budget, &odd) < 0);
	assert_null(odd);
}

static void test_span_words_reach_the_end(void **state UNUSED)
{
	uint64_t spans = arena_pool_bytes(arena) / (256 * KIB);
	uint64_t before;

	assert_int_equal(arena_grow_span_words(arena, spans, BUDGET_NORMAL), 0);
	before = arena_charged_bytes(arena);
	for (uint64_t i = 0; i < spans; i++) {
		assert_int_equal(arena_span_words(arena)[i], 0);
		atomic_store(&arena_span_words(arena)[i], UINT32_MAX);
	}
	/* They had been charged and lie beside nothing else. */
	assert_int_equal(arena_charged_bytes(arena), before);
	assert_int_equal(budget_used(&budget), before);
	assert_int_equal(*arena_word(arena, ARENA_WORD_NR - 1), 0);
	assert_int_equal(table_end(arena, TABLE_NR - 1), 1);
}

static void test_span_words_come_as_they_are_needed(void **state UNUSED)
{
	uint64_t empty = arena_charged_bytes(arena);
	uint64_t spans = arena_pool_bytes(arena) / (256 * KIB);

	assert_int_equal(empty, PAGE_BYTES);
	assert_int_equal(budget_used(&budget), empty);
	assert_int_equal(arena_grow_span_words(arena, 1, BUDGET_NORMAL), 0);
	assert_int_equal(arena_charged_bytes(arena), empty + PAGE_BYTES);
	assert_int_equal(arena_grow_span_words(arena, 1024, BUDGET_NORMAL), 0);
	assert_int_equal(arena_charged_bytes(arena), empty + PAGE_BYTES);
	assert_int_equal(budget_used(&budget), empty + PAGE_BYTES);

	/* Without room there are no more, and nothing has changed. */
	budget_set_limit(&budget, budget_used(&budget));
	assert_int_equal(arena_grow_span_words(arena, 1025, BUDGET_NORMAL),
			 -ENOSPC);
	assert_int_equal(arena_charged_bytes(arena), empty + PAGE_BYTES);
	assert_int_equal(budget_used(&budget), empty + PAGE_BYTES);
	budget_set_limit(&budget, 64 * MIB);
	/* And never more than there are spans. */
	assert_int_equal(arena_grow_span_words(arena, 2 * spans, BUDGET_NORMAL),
			 0);
	assert_int_equal(arena_charged_bytes(arena),
			 empty + spans * sizeof(uint32_t));
	assert_int_equal(budget_used(&budget), arena_charged_bytes(arena));
}

/* Whether the mapping that starts at @base has @flag in /proc's VmFlags. */
static bool has_vm_flag(const void *base, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false, found;
	char start[32], line[512];

	assert_non_null(f);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)base);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			break;
	}
	found = inside && strstr(line, flag);
	fclose(f);
	return found;
}

/* A core dump would read every hole, and so fill it; a huge page would too. */
static void test_mapping_flags(void **state UNUSED)
{
	assert_true(has_vm_flag(arena_pool(arena), " dd"));
	assert_true(has_vm_flag(arena->super, " dd"));
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		assert_true(has_vm_flag(arena->super, " nh"));
}

static void test_pool_punch(void **state UNUSED)
{
	char *pool = arena_pool(arena);
	uint64_t empty = arena_charged_bytes(arena);

	memset(pool + MIB, 1, MIB);
	assert_int_equal(arena_charged_bytes(arena), empty + MIB);
	arena_pool_punch(arena, MIB + 8 * PAGE_BYTES, 16 * PAGE_BYTES);
	assert_int_equal(arena_charged_bytes(arena),
			 empty + MIB - 16 * PAGE_BYTES);
	assert_int_equal(pool[MIB + 8 * PAGE_BYTES - 1], 1);
	assert_int_equal(pool[MIB + 8 * PAGE_BYTES], 0);
	assert_int_equal(pool[MIB + 24 * PAGE_BYTES - 1], 0);
	assert_int_equal(pool[MIB + 24 * PAGE_BYTES], 1);
	arena_pool_punch(arena, 0, 0);
	arena_pool_punch(arena, 0, arena_pool_bytes(arena));
	assert_int_equal(arena_charged_bytes(arena), empty);
}

static void test_attach(void **state UNUSED)
{
	struct budget budget2;
	struct arena *second;
	uint32_t ix;

	budget_init(&budget2, 64 * MIB);
	atomic_store(arena_word(arena, ARENA_WORD_SETS), 11);
	atomic_store(arena_word(arena, ARENA_WORD_NR - 1), 22);
	atomic_store(&arena_span_words(arena)[4095], 33);
	memcpy(arena_pool(arena) + MIB, "pool", 5);
	assert_int_equal(table_alloc(arena, TABLE_LEAVES, BUDGET_NORMAL, &ix),
			 0);
	memcpy(table_at(arena, TABLE_LEAVES, ix), "leaf", 5);

	assert_int_equal(arena_attach(arena_meta_fd(arena),
				      arena_pool_fd(arena), &budget2, &second),
			 0);
	/* The first life ends: the memory lives on with the second. */
	arena_free(arena);
	arena = second;
	assert_int_equal(budget_used(&budget), 0);
	assert_int_equal(arena_pool_bytes(arena), GIB);
	assert_int_equal(*arena_word(arena, ARENA_WORD_SETS), 11);
	assert_int_equal(*arena_word(arena, ARENA_WORD_NR - 1), 22);
	assert_int_equal(arena_span_words(arena)[4095], 33);
	assert_string_equal(arena_pool(arena) + MIB, "pool");
	assert_string_equal(table_at(arena, TABLE_LEAVES, ix), "leaf");
	assert_int_equal(table_end(arena, TABLE_LEAVES), ix + 1);
	assert_int_equal(table_used(arena, TABLE_LEAVES), 0);
	assert_int_equal(table_mark(arena, TABLE_LEAVES, ix), 0);
	for (unsigned i = 0; i < TABLE_NR; i++)
		table_scan_end(arena, i);
	assert_true(table_is_used(arena, TABLE_LEAVES, ix));
	assert_string_equal(table_at(arena, TABLE_LEAVES, ix), "leaf");
	arena_free(arena);
	arena = NULL;
	assert_int_equal(budget_used(&budget2), 0);
}

static void attach_refused(int meta_fd, int pool_fd, int error)
{
	unsigned before = open_descriptors();
	uint64_t used = budget_used(&budget);
	struct arena *none = NULL;

	assert_int_equal(arena_attach(meta_fd, pool_fd, &budget, &none), error);
	assert_null(none);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(budget_used(&budget), used);
}

static void test_attach_refuses_strangers(void **state UNUSED)
{
	int meta = arena_meta_fd(arena), pool = arena_pool_fd(arena);
	struct arena *other;
	int empty = memfd_create("stranger", MFD_CLOEXEC);

	assert_true(empty >= 0);
	attach_refused(-1, pool, -EINVAL);
	attach_refused(meta, -1, -EINVAL);
	attach_refused(pool, meta, -EINVAL);
	attach_refused(empty, pool, -EINVAL);
	attach_refused(meta, empty, -EINVAL);
	assert_int_equal(ftruncate(empty, 64 * (off_t)GIB), 0);
	attach_refused(empty, pool, -EINVAL);
	close(empty);
	/* Another arena's pool is of another size. */
	assert_int_equal(arena_new(2 * GIB, &budget, &other), 0);
	attach_refused(meta, arena_pool_fd(other), -EINVAL);
	arena_free(other);
}

#define REFUSE_WITH(field, value)                                              \
	do {                                                                   \
		__typeof__(arena->super->field) kept_ = arena->super->field;   \
		arena->super->field = value;                                   \
		attach_refused(arena_meta_fd(arena), arena_pool_fd(arena),     \
			       -EINVAL);                                       \
		arena->super->field = kept_;                                   \
	} while (0)

static void test_attach_refuses_other_versions(void **state UNUSED)
{
	struct arena *second;

	REFUSE_WITH(magic, 0);
	REFUSE_WITH(version, ARENA_VERSION + 1);
	REFUSE_WITH(table_nr, TABLE_NR - 1);
	REFUSE_WITH(meta_bytes, 4096);
	REFUSE_WITH(pool_bytes, 0);
	REFUSE_WITH(pool_bytes, GIB + 1);
	REFUSE_WITH(pool_bytes, UINT64_MAX << 18);
	REFUSE_WITH(record_bytes[TABLE_TWIGS], 128);
	REFUSE_WITH(capacity[TABLE_FILLS], 1);
	REFUSE_WITH(end[TABLE_OPS], 0);
	REFUSE_WITH(end[TABLE_OPS], 4097);
	/* Only these made the difference. */
	assert_int_equal(arena_attach(arena_meta_fd(arena),
				      arena_pool_fd(arena), &budget, &second),
			 0);
	arena_free(second);
}

static void test_budget_too_small(void **state UNUSED)
{
	unsigned before = open_descriptors();
	struct arena *none = NULL;
	struct budget tight;

	budget_init(&tight, BUDGET_RESERVE_BYTES + PAGE_BYTES - 1);
	assert_int_equal(arena_new(GIB, &tight, &none), -ENOSPC);
	assert_null(none);
	assert_int_equal(budget_used(&tight), 0);
	assert_int_equal(open_descriptors(), before);
	/* Attaching is not asked: what is there is there. */
	assert_int_equal(arena_attach(arena_meta_fd(arena),
				      arena_pool_fd(arena), &tight, &none),
			 0);
	assert_int_equal(budget_used(&tight), PAGE_BYTES);
	arena_free(none);
	assert_int_equal(budget_used(&tight), 0);
}

/* With 0, 1, ... descriptors left until it works. */
static void test_no_descriptors(void **state UNUSED)
{
	struct rlimit old, few;
	struct arena *none = NULL;
	int attaches = 0, r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	for (few.rlim_cur = 3; few.rlim_cur < old.rlim_cur; few.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = arena_new(GIB, &budget, &none);
		if (r == 0)
			break;
		assert_int_equal(r, -EMFILE);
		r = arena_attach(arena_meta_fd(arena), arena_pool_fd(arena),
				 &budget, &none);
		assert_int_equal(r, -EMFILE);
		attaches++;
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_non_null(none);
	assert_true(attaches >= 2);
	arena_free(none);
}

static int make_one(void *arg UNUSED)
{
	struct arena *one = NULL;
	int r = arena_new(MIB, &budget, &one);

	assert_true((r == 0) == (one != NULL));
	arena_free(one);
	return r;
}

static int attach_one(void *arg UNUSED)
{
	struct arena *one = NULL;
	int r = arena_attach(arena_meta_fd(arena), arena_pool_fd(arena),
			     &budget, &one);

	assert_true((r == 0) == (one != NULL));
	arena_free(one);
	return r;
}

static void test_each_heap_call_fails(void **state UNUSED)
{
	unsigned before = open_descriptors();
	uint64_t used = budget_used(&budget);

	assert_true(fault_each_alloc(make_one, NULL) >= 1);
	assert_true(fault_each_alloc(attach_one, NULL) >= 1);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(budget_used(&budget), used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new, up, down),
		cmocka_unit_test_setup_teardown(test_sizes, up, down),
		cmocka_unit_test_setup_teardown(
			test_span_words_come_as_they_are_needed, up, down),
		cmocka_unit_test_setup_teardown(test_span_words_reach_the_end,
						up, down),
		cmocka_unit_test_setup_teardown(test_mapping_flags, up, down),
		cmocka_unit_test_setup_teardown(test_pool_punch, up, down),
		cmocka_unit_test_setup_teardown(test_attach, up, down),
		cmocka_unit_test_setup_teardown(test_attach_refuses_strangers,
						up, down),
		cmocka_unit_test_setup_teardown(
			test_attach_refuses_other_versions, up, down),
		cmocka_unit_test_setup_teardown(test_budget_too_small, up,
						down),
		cmocka_unit_test_setup_teardown(test_no_descriptors, up, down),
		cmocka_unit_test_setup_teardown(test_each_heap_call_fails, up,
						down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
