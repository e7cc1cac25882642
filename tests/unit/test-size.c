/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes from text and back, and how much RAM there is. */
#include "base/page.h"
#include "base/size.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_parse(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"12B", 12},
		{"12 B", 12},
		{"512m", 512 * MIB},
		{"512M", 512 * MIB},
		{"1.5G", 3 * GIB / 2},
		{"1.5 GiB", 3 * GIB / 2},
		{"1.5gib", 3 * GIB / 2},
		{"2KB", 2000},
		{"2kb", 2000},
		{"2Kib", 2048},
		{"1T", TIB},
		{"2P", 2048 * TIB},
		{"1E", UINT64_C(1) << 60},
		{"1PB", UINT64_C(1000000000000000)},
		{"0.5K", 512},
		{"1.9", 1},
		{"0.0009765625K", 1},
		{"0.00000000000000000000000001P", 0},
		{"18446744073709551615", UINT64_MAX},
		{"15.99999E", UINT64_C(18446732544494505547)},
		{"50%", 500},
		{"0.1%", 1},
		{"100 %", 1000},
		{"250%", 2500},
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t bytes = 77;

		if (size_parse(good[i].text, 1000, &bytes) ||
		    bytes != good[i].bytes)
			fail_msg("%s: %llu", good[i].text,
				 (unsigned long long)bytes);
	}
}

static void test_parse_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{"", -EINVAL},
		{" 1", -EINVAL},
		{"-1", -EINVAL},
		{"+1", -EINVAL},
		{"K", -EINVAL},
		{"1.", -EINVAL},
		{".5G", -EINVAL},
		{"1.K", -EINVAL},
		{"1e3", -EINVAL},
		{"0x10", -EINVAL},
		{"1Kx", -EINVAL},
		{"1KiBs", -EINVAL},
		{"1 K B", -EINVAL},
		{"1Z", -EINVAL},
		{"1i", -EINVAL},
		{"1 ,", -EINVAL},
		{"5%%", -EINVAL},
		{"1K ", -EINVAL},
		{"16E", -ERANGE},
		{"20000P", -ERANGE},
		{"18446744073709551616", -ERANGE},
		{"99999999999999999999999", -ERANGE},
		{"18446744073709551615%", -ERANGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t bytes = 77;
		int r = size_parse(bad[i].text, 1000, &bytes);

		if (r != bad[i].error || bytes != 77)
			fail_msg("%s: %d", bad[i].text, r);
	}
}

static void test_percent_of_nothing(void **state UNUSED)
{
	uint64_t bytes = 77;

	assert_int_equal(size_parse("50%", 0, &bytes), -EINVAL);
	assert_int_equal(bytes, 77);
	assert_int_equal(size_parse("100%", UINT64_MAX, &bytes), 0);
	assert_true(bytes == UINT64_MAX);
}

static void test_format(void **state UNUSED)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} pairs[] = {
		{0, "0 B"},
		{12, "12 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{64 * MIB, "64.0 MiB"},
		{3 * GIB / 2, "1.5 GiB"},
		{MIB - 1, "1.0 MiB"},
		{MIB - 52, "1023.9 KiB"},
		{GIB - 1, "1.0 GiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char text[SIZE_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		assert_string_equal(size_format(pairs[i].bytes, text),
				    pairs[i].text);
}

/* --- a made-up /sys/fs/cgroup --- */

static char root[] = "/tmp/foldfs-size-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(full, 0700) < 0 && errno != EEXIST)
			fail_msg("mkdir %s", full);
		*p = '/';
	}
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t limit_with(const char *cgroup_lines)
{
	char full[256];

	put("self", cgroup_lines);
	snprintf(full, sizeof(full), "%s/self", root);
	return size_of_cgroup(full, root);
}

static int make_root(void **state UNUSED)
{
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state UNUSED)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void test_cgroup(void **state UNUSED)
{
	put("a/b/memory.max", "max\n");
	put("a/memory.max", "50000000\n");
	put("low/memory.max", "4096000\n");
	put("memory/x/y/memory.limit_in_bytes", "7000000\n");
	put("memory/x/memory.limit_in_bytes", "6000000\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");

	assert_true(limit_with("") == UINT64_MAX);
	assert_true(limit_with("0::/\n") == UINT64_MAX);
	assert_true(limit_with("nonsense\n1:2\n") == UINT64_MAX);
	/* The parent's limit binds too; what is not there does not. */
	assert_true(limit_with("0::/a/b\n") == 50000000);
	assert_true(limit_with("0::/a/gone/further\n") == 50000000);
	assert_true(limit_with("0::/low\n") == 4096000);
	assert_true(limit_with("9:cpu,memory:/x/y\n0::/\n") == 6000000);
	assert_true(limit_with("9:memory,cpu:/x/y\n0::/low\n") == 4096000);
	/* Controllers that only look like it. */
	assert_true(limit_with("9:memoryish,xmemory:/x/y\n") == UINT64_MAX);
	assert_true(size_of_cgroup("/no/such", root) == UINT64_MAX);
}

static void test_ram(void **state UNUSED)
{
	uint64_t ram = size_of_ram();

	assert_true(ram > MIB);
	assert_true(ram <= (uint64_t)sysconf(_SC_PHYS_PAGES) *
				   (uint64_t)sysconf(_SC_PAGESIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refused),
		cmocka_unit_test(test_percent_of_nothing),
		cmocka_unit_test(test_format),
		cmocka_unit_test_setup_teardown(test_cgroup, make_root,
						remove_root),
		cmocka_unit_test(test_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
