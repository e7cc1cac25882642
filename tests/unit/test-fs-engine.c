/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of start and end: options for the mount, and an engine that fails. */
#include "base/heap.h"
#include "base/page.h"
#include "fault.h"
#include "fs/engine.h"
#include "fs/mount.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct fs_config config(void)
{
	return (struct fs_config){
		.mountpoint = "/nowhere",
		.source = "none",
		.size_bytes = 64 * MIB,
		.mem_limit_bytes = 64 * MIB,
		.mode = 0750,
		.uid = 5,
		.gid = 6,
		.compress = {.id = CODEC_LZ4, .level = 1},
		.kernel_options = "",
	};
}

static void assert_options(const struct fs_config *c, const char *wanted)
{
	char *text = mount_options(c);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	heap_free(text);
}

static void options_for_the_mount(void **state)
{
	struct fs_config c = config();

	(void)state;
	assert_options(&c, "fsname=none,subtype=foldfs,default_permissions");
	c.allow_other = true;
	c.kernel_options = "nosuid,nodev";
	assert_options(&c, "fsname=none,subtype=foldfs,default_permissions,"
			   "allow_other,nosuid,nodev");
	/* What the user calls it must not become options. */
	c.kernel_options = "";
	c.source = "a,suid\\,b";
	assert_options(&c, "fsname=a\\,suid\\\\\\,b,subtype=foldfs,"
			   "default_permissions,allow_other");
}

static void root_is_as_configured(void **state)
{
	struct fs_config c = config();
	struct engine engine;
	struct stat st;

	(void)state;
	assert_int_equal(engine_init(&engine, &c), 0);
	assert_int_equal(tree_getattr(engine.tree, TREE_ROOT, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(store_limit(engine.store), 64 * MIB);
	assert_true(budget_used(&engine.budget) > 0);
	engine_fini(&engine);
}

static void too_little_ram_is_an_error(void **state)
{
	struct fs_config c = config();
	struct engine engine;

	(void)state;
	c.mem_limit_bytes = 4096;
	assert_int_equal(engine_init(&engine, &c), -ENOSPC);
	assert_null(engine.arena);
}

static int start_and_end(void *arg)
{
	struct fs_config c = config();
	struct engine engine;
	int r = engine_init(&engine, &c);

	(void)arg;
	if (!r)
		engine_fini(&engine);
	return r;
}

static int first_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void every_allocation_may_fail(void **state)
{
	int before = first_free_fd();

	(void)state;
	assert_true(fault_each_alloc(start_and_end, NULL) >= 5);
	/* The arena's files are closed each time. */
	assert_int_equal(first_free_fd(), before);
}

/* Memory that no layer took is on the account too; a sanitizer's own is not. */
static void process_is_charged(void **state)
{
	struct fs_config c = config();
	struct engine engine;
	uint64_t before;
	char *ours;

	(void)state;
	assert_int_equal(engine_init(&engine, &c), 0);
	ours = heap_aligned(PAGE_BYTES, 2 * MIB);
	assert_non_null(ours);
	memset(ours, 1, 2 * MIB);
	before = budget_used(&engine.budget);
	engine_charge_process(&engine);
	if (heap_resident_bytes() == 0)
		assert_int_equal(budget_used(&engine.budget), before);
	else
		/* And the kernel's own for it: page tables, stacks. */
		assert_true(budget_used(&engine.budget) >=
			    before + 2 * MIB + 512 * KIB);
	heap_free(ours);
	engine_fini(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_for_the_mount),
		cmocka_unit_test(root_is_as_configured),
		cmocka_unit_test(too_little_ram_is_an_error),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(process_is_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
