/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of -c FILE: the name as it is, and in its place among the options.
 *
 * The rest of the command line is in test-options.c.
 */
#include "base/size.h"
#include "options_argv.h"
#include "unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct options o;
static struct command c;

static int parse(const char *program, const char *const words[4])
{
	/* What is parsed points into the words. */
	static char text[5][64];
	char *argv[6] = {text[0]};
	int n = 1;

	snprintf(text[0], sizeof(text[0]), "%s", program);
	for (; n < 5 && words[n - 1]; n++) {
		snprintf(text[n], sizeof(text[n]), "%s", words[n - 1]);
		argv[n] = text[n];
	}
	options_fini(&o);
	options_init(&o, 8 * GIB, true);
	return command_parse(&c, &o, n, argv);
}

#define PARSE(program, ...) parse(program, (const char *const[4]){__VA_ARGS__})

/* A name that -o config= would have to be given with escapes. */
static char path[] = "/tmp/foldfs-a\\x2d,b-XXXXXX";

static int write_file(void **state UNUSED)
{
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, "size=1G\n", 8) != 8)
		return -1;
	return close(fd);
}

static int remove_file(void **state UNUSED)
{
	options_fini(&o);
	return unlink(path);
}

static void the_name_is_taken_as_it_is(void **state UNUSED)
{
	assert_int_equal(PARSE("foldfs", "-c", path, "/mnt"), 0);
	assert_int_equal(o.size_bytes, GIB);
	assert_string_equal(c.mountpoint, "/mnt");
}

static void the_later_option_counts(void **state UNUSED)
{
	assert_int_equal(PARSE("foldfs", "-osize=2G", "-c", path, "/mnt"), 0);
	assert_int_equal(o.size_bytes, GIB);
	assert_int_equal(PARSE("foldfs", "--config", path, "-osize=2G", "/mnt"),
			 0);
	assert_int_equal(o.size_bytes, 2 * GIB);
}

static void what_is_wrong_is_said(void **state UNUSED)
{
	assert_int_equal(PARSE("foldfs", "-c", "/tmp/none, none", "/mnt"),
			 -EINVAL);
	assert_non_null(strstr(o.error, "/tmp/none, none"));
	assert_int_equal(PARSE("foldfs", "/mnt", "-c"), -EINVAL);
	/* mount(8) says nothing of the kind. */
	assert_int_equal(PARSE("mount.foldfs", "s", "/mnt", "-c", path),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_is_taken_as_it_is),
		cmocka_unit_test(the_later_option_counts),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, write_file, remove_file);
}
