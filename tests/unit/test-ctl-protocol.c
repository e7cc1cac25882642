/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the control socket's language: what is asked, by whom, and what is
 * answered. */
#include "base/heap.h"
#include "ctl/protocol.h"
#include "fault.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int collect_result;
static uint64_t limit;

static int collect(void *arg UNUSED, struct ctl_values *ret_values)
{
	if (collect_result)
		return collect_result;
	ret_values->number[CTL_mem_limit] = limit;
	ret_values->text[CTL_compress] = heap_strdup("zstd:\"3\"");
	ret_values->text[CTL_slots] = heap_strdup("slot=0 state=running\n");
	return ret_values->text[CTL_compress] && ret_values->text[CTL_slots]
		       ? 0
		       : -ENOMEM;
}

static char set_to[64];

static int set(void *arg UNUSED, enum ctl_key key, const char *value)
{
	snprintf(set_to, sizeof(set_to), "%s=%s", ctl_key_info(key)->name,
		 value);
	return strcmp(value, "far") == 0 ? -ERANGE : 0;
}

static const char *why(void *arg UNUSED, enum ctl_key key, int error,
		       char room[CTL_WHY_MAX])
{
	if (key != CTL_workers || error != -EBUSY)
		return NULL;
	snprintf(room, CTL_WHY_MAX, "%u stay", 1u);
	return room;
}

static const struct ctl_ops ops = {.collect = collect, .set = set, .why = why};
static const struct ctl ctl = {.ops = &ops};
static const struct protocol protocol = {
	.ctl = &ctl,
	.mountpoint = "/mnt/\xc3\xa4 b",
	.source = "new\nline",
	.id = 57,
};

/* What the last question led to. */
static struct answer answer;
static struct protocol_set asked;
static enum protocol_next next;
static char line[8192];

static void ask_bytes(enum ctl_right right, const char *bytes, size_t n)
{
	answer_fini(&answer);
	memcpy(line, bytes, n);
	line[n] = '\0';
	next = protocol_line(&protocol, right, line, n, &answer, &asked);
}

static void ask(const char *text)
{
	ask_bytes(CTL_MAY_CHANGE, text, strlen(text));
}

static void answer_is(const char *want)
{
	assert_non_null(answer.text);
	assert_int_equal(answer.n, strlen(answer.text));
	assert_string_equal(answer.text, want);
}

static void gives(const char *text, const char *want)
{
	ask(text);
	assert_int_equal(next, PROTOCOL_ANSWERED);
	answer_is(want);
}

static void fails(const char *text, const char *name, const char *sentence)
{
	char want[512];

	snprintf(want, sizeof(want),
		 "{\"ok\":false,\"errno\":\"%s\",\"error\":\"%s\"}\n", name,
		 sentence);
	gives(text, want);
}

static int fresh(void **state UNUSED)
{
	collect_result = 0;
	limit = UINT64_MAX;
	set_to[0] = '\0';
	return 0;
}

static int forget(void **state UNUSED)
{
	answer_fini(&answer);
	return 0;
}

static void a_key_is_given_as_its_kind_has_it(void **state UNUSED)
{
	gives("get mem_limit", "{\"ok\":true,\"key\":\"mem_limit\","
			       "\"value\":18446744073709551615}\n");
	gives("get compress", "{\"ok\":true,\"key\":\"compress\","
			      "\"value\":\"zstd:\\\"3\\\"\"}\n");
	gives("get slots", "{\"ok\":true,\"key\":\"slots\",\"value\":[{"
			   "\"slot\":0,\"state\":\"running\"}]}\n");
}

static void stat_is_all_keys(void **state UNUSED)
{
	char name[64];

	ask("stat");
	assert_int_equal(next, PROTOCOL_ANSWERED);
	assert_memory_equal(answer.text, "{\"ok\":true,\"stats\":{", 20);
	assert_string_equal(answer.text + answer.n - 3, "}}\n");
	assert_ptr_equal(strchr(answer.text, '\n'), answer.text + answer.n - 1);
	for (unsigned i = 0; i < CTL_NR; i++) {
		snprintf(name, sizeof(name), "\"%s\":", ctl_key_info(i)->name);
		assert_non_null(strstr(answer.text, name));
	}
}

static void keys_say_what_there_is(void **state UNUSED)
{
	ask("keys");
	assert_int_equal(next, PROTOCOL_ANSWERED);
	assert_memory_equal(answer.text, "{\"ok\":true,\"keys\":[{", 20);
	assert_non_null(strstr(answer.text,
			       "{\"name\":\"mem_limit\",\"kind\":\"gauge\","
			       "\"unit\":\"bytes\",\"set\":true,"
			       "\"values\":\"1M to 16T or to "));
	assert_non_null(strstr(answer.text,
			       "{\"name\":\"num_reads\",\"kind\":\"counter\","
			       "\"unit\":\"none\",\"set\":false,\"help\":\""));
	assert_non_null(
		strstr(answer.text, "{\"name\":\"version\",\"kind\":\"text\""));
	assert_non_null(
		strstr(answer.text, "{\"name\":\"slots\",\"kind\":\"table\""));
	assert_null(strstr(answer.text, "null"));
}

static void hello_says_who_is_there(void **state UNUSED)
{
	char want[512];

	snprintf(want, sizeof(want),
		 "{\"ok\":true,\"version\":\"%s\",\"protocol\":1,\"pid\":%d,"
		 "\"mountpoint\":\"/mnt/\\u00c3\\u00a4 b\","
		 "\"source\":\"new\\u000aline\",\"id\":57}\n",
		 FOLDFS_VERSION, (int)getpid());
	gives("hello", want);
}

static void what_is_no_key_is_guessed(void **state UNUSED)
{
	fails("get mem_limt", "ENODATA",
	      "no key 'mem_limt' (did you mean 'mem_limit'?)");
	fails("get elephant", "ENODATA", "no key 'elephant'");
	fails("get ", "ENODATA", "no key ''");
	fails("get mem_limit ", "ENODATA",
	      "no key 'mem_limit ' (did you mean 'mem_limit'?)");
	fails("get user.foldfs.mem_limit", "ENODATA",
	      "no key 'user.foldfs.mem_limit'");
	fails("set sise 4k", "ENODATA", "no key 'sise' (did you mean 'size'?)");
}

static void what_is_no_request_is_said(void **state UNUSED)
{
	fails("", "EINVAL", "a request begins with a verb");
	fails(" stat", "EINVAL", "a request begins with a verb");
	fails("STATS", "EINVAL", "no request 'STATS' (did you mean 'stat'?)");
	fails("elephant on parade", "EINVAL", "no request 'elephant'");
	fails("stat ", "EINVAL", "stat takes nothing");
	fails("hello you", "EINVAL", "hello takes nothing");
	fails("stop now", "EINVAL", "stop takes nothing");
	fails("get", "EINVAL", "get takes KEY");
	fails("set", "EINVAL", "set takes KEY VALUE");
	fails("set workers", "EINVAL",
	      "set workers to what? Right is auto or 1 to 64, or "
	      "+N or -N for so many more or fewer");
	fails("stat\r", "EINVAL",
	      "no request 'stat\\u000d' (did you mean 'stat'?)");
}

static void any_bytes_are_answered_in_json(void **state UNUSED)
{
	char bytes[300];

	fails("get \xff\xfe\"\\\x01", "ENODATA",
	      "no key '\\u00ff\\u00fe\\\"\\\\\\u0001'");
	ask_bytes(CTL_MAY_CHANGE, "stat\0", 5);
	assert_non_null(strstr(answer.text, "a request is text"));
	ask_bytes(CTL_MAY_CHANGE, "\0", 1);
	assert_non_null(strstr(answer.text, "a request is text"));
	memset(bytes, 'x', sizeof(bytes));
	ask_bytes(CTL_MAY_CHANGE, bytes, sizeof(bytes));
	assert_true(answer.n < 200);
}

static void a_set_is_checked_and_left_to_the_caller(void **state UNUSED)
{
	ask("set mem_limit  12 G ");
	assert_int_equal(next, PROTOCOL_SET);
	assert_null(answer.text);
	assert_int_equal(asked.key, CTL_mem_limit);
	assert_string_equal(asked.value, " 12 G ");
	assert_int_equal(asked.n, strlen(" 12 G "));
	assert_string_equal(set_to, "");
	assert_int_equal(protocol_set(&ctl, asked.key, asked.value, asked.n),
			 0);
	assert_string_equal(set_to, "mem_limit=12 G");
	assert_int_equal(protocol_set(&ctl, CTL_size, "far", 3), -ERANGE);

	fails("set pid 1", "EPERM", "pid can only be read");
	fails("set pid", "EPERM", "pid can only be read");
}

static void set_answer_is(int r, const char *want)
{
	answer_fini(&answer);
	answer = protocol_set_answer(&ctl, CTL_workers, r);
	answer_is(want);
}

static void how_a_set_went_is_said(void **state UNUSED)
{
	set_answer_is(0, "{\"ok\":true}\n");
	set_answer_is(
		-EINVAL,
		"{\"ok\":false,\"errno\":\"EINVAL\",\"error\":"
		"\"workers: malformed; right is auto or 1 to 64, or +N or "
		"-N for so many more or fewer\"}\n");
	set_answer_is(-ERANGE,
		      "{\"ok\":false,\"errno\":\"ERANGE\",\"error\":"
		      "\"workers: out of range; right is auto or 1 to 64, or "
		      "+N or -N for so many more or fewer\"}\n");
	set_answer_is(-EBUSY, "{\"ok\":false,\"errno\":\"EBUSY\",\"error\":"
			      "\"workers: 1 stay\"}\n");
	set_answer_is(-ENOSPC, "{\"ok\":false,\"errno\":\"ENOSPC\",\"error\":"
			       "\"workers: No space left on device\"}\n");
	answer_fini(&answer);
	answer = protocol_too_long();
	answer_is("{\"ok\":false,\"errno\":\"EMSGSIZE\",\"error\":"
		  "\"a request has at most 8192 bytes\"}\n");
}

static void stop_is_answered_and_passed_on(void **state UNUSED)
{
	ask("stop");
	assert_int_equal(next, PROTOCOL_STOP);
	answer_is("{\"ok\":true}\n");
}

static void a_check_has_no_answer_yet(void **state UNUSED)
{
	ask("check");
	assert_int_equal(next, PROTOCOL_CHECK);
	assert_null(answer.text);
	fails("check it", "EINVAL", "check takes nothing");
}

static void a_check_that_was_not_made_says_why(void **state UNUSED)
{
	static const struct {
		int error;
		const char *says;
	} cases[] = {
		{-ETIMEDOUT, "stand still"},
		{-ENOSPC, "mem_limit"},
		{-ENOMEM, "Cannot allocate memory"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		answer_fini(&answer);
		answer = protocol_check_refusal(cases[i].error);
		assert_non_null(strstr(answer.text, "\"not checked: "));
		assert_non_null(strstr(answer.text, cases[i].says));
	}
}

static void faults_beyond_those_kept_are_counted(void **state UNUSED)
{
	struct faults faults = {0};
	char last[32];

	for (unsigned i = 0; i < FAULTS_KEPT + 5; i++)
		faults_add(&faults, "fault %u %0*d", i, FAULT_BYTES, 0);
	answer_fini(&answer);
	answer = protocol_check_answer(NULL, 0, 0, &faults);
	assert_non_null(strstr(answer.text, "\"found\":37,"));
	snprintf(last, sizeof(last), "\"fault %d 0", FAULTS_KEPT - 1);
	assert_non_null(strstr(answer.text, last));
	snprintf(last, sizeof(last), "\"fault %d 0", FAULTS_KEPT);
	assert_null(strstr(answer.text, last));
}

static void refused(enum ctl_right right, const char *text)
{
	ask_bytes(right, text, strlen(text));
	assert_int_equal(next, PROTOCOL_ANSWERED);
	assert_non_null(strstr(answer.text, "\"EPERM\""));
}

static void who_may_only_ask_changes_nothing(void **state UNUSED)
{
	static const char *const questions[] = {
		"stat",
		"get size",
		"keys",
		"hello",
	};

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		ask_bytes(CTL_MAY_ASK, questions[i], strlen(questions[i]));
		assert_memory_equal(answer.text, "{\"ok\":true,", 11);
		refused(CTL_MAY_NOTHING, questions[i]);
	}
	refused(CTL_MAY_ASK, "set size 1G");
	refused(CTL_MAY_ASK, "stop");
	refused(CTL_MAY_ASK, "check");
	refused(CTL_MAY_NOTHING, "set size 1G");
	refused(CTL_MAY_NOTHING, "stop");
}

static void a_reading_that_fails_is_said(void **state UNUSED)
{
	collect_result = -ENOMEM;
	fails("stat", "ENOMEM", "Cannot allocate memory");
	fails("get size", "ENOMEM", "Cannot allocate memory");
}

/* An answer of its own, or the one that needs no memory. */
static int ask_short_of_memory(void *arg)
{
	ask(arg);
	assert_non_null(answer.text);
	assert_int_equal(answer.text[answer.n - 1], '\n');
	return strstr(answer.text, "\"ENOMEM\"") ? -ENOMEM : 0;
}

static void without_memory_there_is_an_answer(void **state UNUSED)
{
	char stat[] = "stat", keys[] = "keys", get[] = "get slots",
	     hello[] = "hello", wrong[] = "elephant";
	char *const all[] = {stat, keys, get, hello, wrong};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(fault_each_alloc(ask_short_of_memory, all[i]) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_key_is_given_as_its_kind_has_it,
				       fresh),
		cmocka_unit_test_setup(stat_is_all_keys, fresh),
		cmocka_unit_test_setup(keys_say_what_there_is, fresh),
		cmocka_unit_test_setup(hello_says_who_is_there, fresh),
		cmocka_unit_test_setup(what_is_no_key_is_guessed, fresh),
		cmocka_unit_test_setup(what_is_no_request_is_said, fresh),
		cmocka_unit_test_setup(any_bytes_are_answered_in_json, fresh),
		cmocka_unit_test_setup(a_set_is_checked_and_left_to_the_caller,
				       fresh),
		cmocka_unit_test_setup(how_a_set_went_is_said, fresh),
		cmocka_unit_test_setup(stop_is_answered_and_passed_on, fresh),
		cmocka_unit_test_setup(a_check_has_no_answer_yet, fresh),
		cmocka_unit_test_setup(a_check_that_was_not_made_says_why,
				       fresh),
		cmocka_unit_test_setup(faults_beyond_those_kept_are_counted,
				       fresh),
		cmocka_unit_test_setup(who_may_only_ask_changes_nothing, fresh),
		cmocka_unit_test_setup(a_reading_that_fails_is_said, fresh),
		cmocka_unit_test_setup(without_memory_there_is_an_answer,
				       fresh),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
