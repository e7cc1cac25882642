/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages: their form on each target, what is left out, what is limited. */
#include "base/clock.h"
#include "base/log.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int kept_stderr = -1;
static int capture = -1;
static char text[4096];

static int up(void **state UNUSED)
{
	fflush(NULL);
	kept_stderr = dup(STDERR_FILENO);
	capture = memfd_create("stderr", MFD_CLOEXEC);
	unsetenv("JOURNAL_STREAM");
	return kept_stderr < 0 || capture < 0 ? -1 : 0;
}

static int down(void **state UNUSED)
{
	close(kept_stderr);
	close(capture);
	return 0;
}

static void begin_capture(void)
{
	dup2(capture, STDERR_FILENO);
}

/* What was written to stderr since the last time. */
static const char *captured(void)
{
	ssize_t n;

	dup2(kept_stderr, STDERR_FILENO);
	n = pread(capture, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(capture, 0), 0);
	assert_int_equal(lseek(capture, 0, SEEK_SET), 0);
	return text;
}

static void test_plain(void **state UNUSED)
{
	log_setup("tester", LOG_TO_STDERR, LOG_AT_INFO);
	begin_capture();
	log_error("no %s", "room");
	assert_string_equal(captured(), "tester: error: no room\n");
	begin_capture();
	log_warning("%d left", 3);
	log_notice("up");
	log_info("by the way");
	log_debug("not asked for");
	assert_string_equal(captured(), "tester: warning: 3 left\n"
					"tester: up\n"
					"tester: by the way\n");
	log_setup("tester", LOG_TO_STDERR, LOG_AT_DEBUG);
	begin_capture();
	log_debug("asked for");
	assert_string_equal(captured(), "tester: debug: asked for\n");
	log_setup("tester", LOG_TO_STDERR, LOG_AT_ERROR);
	begin_capture();
	log_warning("below");
	assert_string_equal(captured(), "");
}

static void test_journal(void **state UNUSED)
{
	static const char *const others[] = {"1:1", "", "x", "5", "-1:-1"};
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(capture, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	begin_capture();
	log_setup("tester", LOG_TO_STDERR, LOG_AT_DEBUG);
	log_error("no room");
	log_debug("fine");
	assert_string_equal(captured(), "<3>no room\n<7>fine\n");
	/* Inherited, but stderr is something else by now; or nonsense. */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		setenv("JOURNAL_STREAM", others[i], 1);
		begin_capture();
		log_setup("tester", LOG_TO_STDERR, LOG_AT_DEBUG);
		log_error("no room");
		assert_string_equal(captured(), "tester: error: no room\n");
	}
	unsetenv("JOURNAL_STREAM");
	log_setup("tester", LOG_TO_STDERR, LOG_AT_DEBUG);
}

static void test_long_message_is_cut(void **state UNUSED)
{
	char much[3000];
	size_t n;

	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	begin_capture();
	log_error("%s", much);
	log_error("next");
	n = strlen(captured());
	assert_true(n > 900 && n < 1100);
	assert_string_equal(text + n - 20, "tester: error: next\n");
	assert_int_equal(text[n - 21], '\n');
	assert_int_equal(text[n - 22], 'x');
}

/* What is echoed must not drive a terminal; other languages may be read. */
static void test_control_bytes_are_masked(void **state UNUSED)
{
	begin_capture();
	log_error("no option \"%s\"", "\033[2J\r\n\177\xc3\xbc");
	assert_string_equal(captured(),
			    "tester: error: no option \"?[2J???\xc3\xbc\"\n");
}

static void test_errno_is_kept(void **state UNUSED)
{
	begin_capture();
	errno = ENOTDIR;
	log_error("%m");
	assert_int_equal(errno, ENOTDIR);
	assert_string_equal(captured(), "tester: error: Not a directory\n");
	close(STDERR_FILENO);
	errno = ENOTDIR;
	log_error("to nobody");
	assert_int_equal(errno, ENOTDIR);
	dup2(kept_stderr, STDERR_FILENO);
}

static void test_rate_limit(void **state UNUSED)
{
	uint64_t start = 1000 * NS_PER_S, minute = 60 * NS_PER_S;
	struct log_site site = {0}, other = {0};

	for (unsigned i = 0; i < LOG_REPEATS_A_MINUTE; i++)
		assert_int_equal(log_may_repeat_at(&site, start + i), i + 1);
	for (unsigned i = 0; i < 300; i++)
		assert_false(log_may_repeat_at(&site, start + i));
	assert_false(log_may_repeat_at(&site, start + minute - 1000000));
	assert_true(log_may_repeat_at(&other, start));
	for (unsigned i = 0; i < LOG_REPEATS_A_MINUTE; i++)
		assert_true(log_may_repeat_at(&site, start + minute));
	assert_false(log_may_repeat_at(&site, start + minute));
	/* Right after boot the clock is near zero. */
	site = (struct log_site){0};
	for (unsigned i = 0; i < LOG_REPEATS_A_MINUTE; i++)
		assert_true(log_may_repeat_at(&site, 0));
	assert_false(log_may_repeat_at(&site, 0));
}

static void test_limited_call_site(void **state UNUSED)
{
	unsigned lines = 0;

	begin_capture();
	for (int i = 0; i < 50; i++)
		log_limited(LOG_AT_ERROR, "again %d", i);
	for (const char *p = captured(); (p = strchr(p, '\n')); p++)
		lines++;
	/* Two windows if the minute turned over just now. */
	assert_true(lines == LOG_REPEATS_A_MINUTE + 1 ||
		    lines == 2 * (LOG_REPEATS_A_MINUTE + 1));
	assert_string_equal(text + strlen(text) - 47,
			    "error: no more like the last line for a minute\n");
}

static struct log_site storm_site;

static void *storm(void *arg)
{
	unsigned *ret_granted = arg;

	for (int i = 0; i < 5000; i++)
		*ret_granted +=
			log_may_repeat_at(&storm_site, 5 * NS_PER_S) > 0;
	return NULL;
}

static void test_limit_holds_among_threads(void **state UNUSED)
{
	unsigned granted[4] = {0};
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, storm, &granted[i]),
			0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(granted[0] + granted[1] + granted[2] + granted[3],
			 LOG_REPEATS_A_MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_long_message_is_cut),
		cmocka_unit_test(test_control_bytes_are_masked),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_rate_limit),
		cmocka_unit_test(test_limited_call_site),
		cmocka_unit_test(test_limit_holds_among_threads),
	};

	return cmocka_run_group_tests(tests, up, down);
}
