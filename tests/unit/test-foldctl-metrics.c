/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of metrics as text: names, labels of any bytes, both grammars. */
#include "foldctl/families.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

static void name_is(const char *key, const char *unit, const char *want)
{
	char name[FAMILY_NAME_MAX];

	assert_string_equal(family_name(key, unit, name), want);
}

static void the_unit_goes_to_the_end(void **state UNUSED)
{
	name_is("size", "bytes", "size_bytes");
	name_is("bytes_read", "bytes", "read_bytes");
	name_is("heap_bytes", "bytes", "heap_bytes");
	name_is("huge_pages_since", "pages", "huge_since_pages");
	name_is("kbytes_x", "bytes", "kbytes_x_bytes");
	name_is("num_reads", NULL, "num_reads");
	name_is("mem_used_total", "bytes", "mem_used_bytes");
	name_is("pool_total_size", "bytes", "pool_total_size_bytes");
}

static char *text;
static size_t text_n;

static struct exposition begin(bool prometheus)
{
	return (struct exposition){.out = open_memstream(&text, &text_n),
				   .prometheus = prometheus};
}

static void is(struct exposition *e, const char *want)
{
	fclose(e->out);
	assert_string_equal(text, want);
	free(text);
}

static const struct metric bytes = {"x_bytes", METRIC_COUNTER, "bytes", "help"};
static const struct metric info = {"x", METRIC_INFO, NULL, "help"};

static void both_grammars(void **state UNUSED)
{
	const struct mount mount = {.point = "/m", .id = 7};

	for (unsigned old = 0; old < 2; old++) {
		struct exposition e = begin(old);

		exposition_family(&e, &bytes);
		exposition_sample(&e, &mount, "");
		exposition_number(&e, UINT64_MAX);
		exposition_family(&e, &info);
		exposition_sample(&e, &mount, "");
		exposition_fraction(&e, 1);
		exposition_end(&e);
		is(&e, old ? "# HELP foldfs_x_bytes_total help\n"
			     "# TYPE foldfs_x_bytes_total counter\n"
			     "foldfs_x_bytes_total{mount=\"/m\",id=\"7\"} "
			     "18446744073709551615\n"
			     "# HELP foldfs_x_info help\n"
			     "# TYPE foldfs_x_info gauge\n"
			     "foldfs_x_info{mount=\"/m\",id=\"7\"} 1\n"
			   : "# HELP foldfs_x_bytes help\n"
			     "# TYPE foldfs_x_bytes counter\n"
			     "# UNIT foldfs_x_bytes bytes\n"
			     "foldfs_x_bytes_total{mount=\"/m\",id=\"7\"} "
			     "18446744073709551615\n"
			     "# HELP foldfs_x help\n"
			     "# TYPE foldfs_x info\n"
			     "foldfs_x_info{mount=\"/m\",id=\"7\"} 1\n"
			     "# EOF\n");
	}
}

/* A mount point is bytes; a label is UTF-8. */
static void labels_are_escaped(void **state UNUSED)
{
	static const struct {
		const char *point, *want;
	} cases[] = {
		{"/a\"b\\c\ne", "/a\\\"b\\\\c\\ne"},
		{"/\xc3\xa4", "/\xc3\xa4"},
		{"/\xc3\xa4\xff\"", "/\?\?\?\\\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mount mount = {.point = cases[i].point};
		struct exposition e = begin(false);
		char want[128];

		e.metric = &info;
		exposition_sample(&e, &mount, "");
		exposition_label(&e, "y", cases[i].point);
		exposition_number(&e, 1);
		snprintf(want, sizeof(want),
			 "foldfs_x_info{mount=\"%s\",id=\"0\",y=\"%s\"} 1\n",
			 cases[i].want, cases[i].want);
		is(&e, want);
	}
}

/* A daemon that does not answer, one of another version, and nonsense. */
static void what_is_not_there_is_left_out(void **state UNUSED)
{
	static const char odd[] =
		"{\"size\":5,\"slots\":[{\"slot\":0},7,{}],\"latency\":[{}],"
		"\"latency_buckets\":{},\"sets\":\"x\",\"lock_contention\":3}";
	const struct mount mount = {.point = "/m"}, dead = {.point = "/d"};
	struct reading readings[] = {{&mount, json_loads(odd, 0, NULL)},
				     {&dead, NULL}};
	struct exposition e = begin(false);

	assert_non_null(readings[0].stats);
	families_print(&e, readings, 2);
	fclose(e.out);
	assert_non_null(strstr(text, "foldfs_up{mount=\"/m\",id=\"0\"} 1\n"));
	assert_non_null(strstr(text, "foldfs_up{mount=\"/d\",id=\"0\"} 0\n"));
	assert_non_null(strstr(text, "foldfs_size_bytes{mount=\"/m\",id=\"0\"} "
				     "5\n"));
	assert_null(strstr(text, "foldfs_pid{"));
	assert_null(strstr(text, "foldfs_size_bytes{mount=\"/d\""));
	assert_null(strstr(text, "foldfs_slot_requests_total{"));
	assert_null(strstr(text, "foldfs_slot_state{"));
	assert_null(strstr(text, "seconds{"));
	assert_null(strstr(text, "seconds_bucket"));
	free(text);
	json_decref(readings[0].stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_goes_to_the_end),
		cmocka_unit_test(both_grammars),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(what_is_not_there_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
