/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of knobs: what their values may look like and what they change. */
#include "base/page.h"
#include "foldfs/keys.h"
#include "fs/autoscale.h"
#include "fs/knobs.h"
#include "fs/worker.h"
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct fs_rig rig;

static void workers_text(void **state)
{
	struct knob_workers w;

	(void)state;
	assert_int_equal(knob_workers("auto", &w), 0);
	assert_true(w.automatic);
	assert_int_equal(knob_workers("8", &w), 0);
	assert_false(w.automatic || w.relative);
	assert_int_equal(w.number, 8);
	assert_int_equal(knob_workers("=64", &w), 0);
	assert_false(w.relative);
	assert_int_equal(w.number, 64);
	assert_int_equal(knob_workers("+2", &w), 0);
	assert_true(w.relative);
	assert_int_equal(w.number, 2);
	assert_int_equal(knob_workers("-1", &w), 0);
	assert_true(w.relative);
	assert_int_equal(w.number, -1);
	/* Zero is the crew's to refuse. */
	assert_int_equal(knob_workers("0", &w), 0);
}

static void workers_text_refused(void **state)
{
	static const char *const bad[] = {"",     "+",   "=",   "x",
					  "1x",   " 1",  "+-1", "1 ",
					  "Auto", "1.5", "=+1"};
	struct knob_workers w;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(knob_workers(bad[i], &w), -EINVAL);
	assert_int_equal(knob_workers("65", &w), -ERANGE);
	assert_int_equal(knob_workers("+99999999999999999999999", &w), -ERANGE);
}

static void retire_text(void **state)
{
	enum stream_retire how;
	unsigned seconds;

	(void)state;
	assert_int_equal(knob_retire("pool", &how, &seconds), 0);
	assert_int_equal(how, RETIRE_POOL);
	assert_int_equal(knob_retire("eager", &how, &seconds), 0);
	assert_int_equal(how, RETIRE_EAGER);
	assert_int_equal(knob_retire("idle:90", &how, &seconds), 0);
	assert_int_equal(how, RETIRE_IDLE);
	assert_int_equal(seconds, 90);
	assert_int_equal(knob_retire("idle", &how, &seconds), -EINVAL);
	assert_int_equal(knob_retire("idle:", &how, &seconds), -EINVAL);
	assert_int_equal(knob_retire("idle:1s", &how, &seconds), -EINVAL);
	assert_int_equal(knob_retire("idle:99999999999", &how, &seconds),
			 -ERANGE);
}

static int up(void **state)
{
	(void)state;
	fs_rig_config(&rig);
	fs_rig_up(&rig);
	fs_rig_init(&rig, FS_RIG_ALL & ~(uint64_t)FUSE_SETXATTR_EXT);
	return 0;
}

static int down(void **state)
{
	(void)state;
	fs_rig_down(&rig);
	return 0;
}

static int set_on(uint64_t node, const char *key, const char *value)
{
	struct fuse_setxattr_in in = {.size = (uint32_t)strlen(value)};
	char tail[256];
	int n = snprintf(tail, sizeof(tail), FOLDFS_KEY_PREFIX "%s", key) + 1;

	memcpy(tail + n, value, in.size);
	return fs_rig_ask(&rig, FUSE_SETXATTR, node, &in,
			  FUSE_COMPAT_SETXATTR_IN_SIZE, tail,
			  (size_t)n + in.size);
}

static int set(const char *key, const char *value)
{
	return set_on(CONTROL_NODE, key, value);
}

static int get_on(uint64_t node, const char *key, char text[4096])
{
	struct fuse_getxattr_in in = {.size = 4095};
	char name[128];
	int n = snprintf(name, sizeof(name), FOLDFS_KEY_PREFIX "%s", key) + 1;
	int r = fs_rig_ask(&rig, FUSE_GETXATTR, node, &in, sizeof(in), name,
			   (size_t)n);

	if (!r) {
		memcpy(text, fs_rig_data(&rig), fs_rig_data_n(&rig));
		text[fs_rig_data_n(&rig)] = '\0';
	}
	return r;
}

static void assert_key(const char *key, const char *wanted)
{
	char text[4096];

	assert_int_equal(get_on(CONTROL_NODE, key, text), 0);
	assert_string_equal(text, wanted);
}

static void limits_are_set(void **state)
{
	(void)state;
	assert_int_equal(set("mem_limit", "128M"), 0);
	assert_key("mem_limit", "134217728");
	assert_int_equal(budget_limit(&rig.fs->engine.budget), 128 * MIB);
	assert_int_equal(set("size", "64M"), 0);
	assert_key("size", "67108864");
	assert_int_equal(set("nr_inodes", "1000"), 0);
	assert_key("nr_inodes", "1000");
	assert_int_equal(set("size", "lots"), -EINVAL);
	assert_int_equal(set("nr_inodes", "-1"), -EINVAL);
	assert_int_equal(set("nr_inodes", "5G"), -ERANGE);
	assert_int_equal(set("nr_inodes", "1k"), 0);
	assert_key("nr_inodes", "1024");
	assert_int_equal(set("size", "1"), -ERANGE);
	assert_int_equal(set("mem_limit", "1"), -ERANGE);
	assert_int_equal(set("mem_limit", "101%"), -ERANGE);
	assert_key("mem_limit", "134217728");
	assert_key("size", "67108864");
}

static void peak_starts_again(void **state)
{
	struct budget *budget = &rig.fs->engine.budget;

	(void)state;
	budget_force(budget, MIB);
	budget_give(budget, MIB);
	assert_true(budget_peak(budget) > budget_used(budget));
	assert_int_equal(set("mem_used_max", "1"), -EINVAL);
	assert_int_equal(set("mem_used_max", "0"), 0);
	assert_int_equal(budget_peak(budget), budget_used(budget));
}

static void codec_is_changed(void **state)
{
	(void)state;
	assert_key("compress", "lz4:1");
	assert_int_equal(set("compress", "zstd:5\n"), 0);
	assert_key("compress", "zstd:5");
	assert_int_equal(set("compress", "gzip"), -EINVAL);
	assert_int_equal(set("compress", "zstd:1000"), -ERANGE);
	assert_key("compress", "zstd:5");
	assert_int_equal(set("stream_retire", "idle:7"), 0);
	assert_key("stream_retire", "idle:7");
}

static void only_the_owner_may(void **state)
{
	char text[4096];

	(void)state;
	rig.fs->owner = 1000;
	rig.uid = 1001;
	assert_int_equal(set("size", "1M"), -EPERM);
	assert_int_equal(get_on(CONTROL_NODE, "size", text), 0);
	rig.uid = 1000;
	assert_int_equal(set("size", "1M"), 0);
	rig.uid = 0;
	assert_int_equal(set("size", "2M"), 0);
	assert_int_equal(set("pid", "1"), -EPERM);
	assert_int_equal(set("nonsense", "1"), -ENODATA);
}

static void files_tell_of_themselves(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);
	struct fuse_getxattr_in in = {.size = 4096};
	char zeroes[8192] = {0}, text[4096];

	(void)state;
	memset(zeroes, 'a', 4096);
	zeroes[10] = 'b';
	assert_int_equal(fs_rig_write(&rig, node, 0, zeroes, 8192, 0), 8192);
	assert_int_equal(get_on(node, "file.logical", text), 0);
	assert_string_equal(text, "8192");
	assert_int_equal(get_on(node, "file.codec", text), 0);
	assert_string_equal(text, "lz4=1 fill=1");
	assert_int_equal(get_on(node, "file.resident", text), 0);
	assert_int_equal(get_on(node, "file.colour", text), -ENODATA);
	assert_int_equal(get_on(TREE_ROOT, "file.logical", text), -ENODATA);
	/* Nobody's copy of a file carries them along. */
	assert_int_equal(fs_rig_ask(&rig, FUSE_LISTXATTR, node, &in, sizeof(in),
				    NULL, 0),
			 0);
	assert_int_equal(fs_rig_data_n(&rig), 0);
	assert_int_equal(set_on(node, "file.logical", "1"), -EPERM);
	assert_int_equal(set_on(node, "size", "1M"), -EPERM);
}

static int make(uint32_t opcode, const void *body, size_t n, const char *name)
{
	return fs_rig_ask(&rig, opcode, TREE_ROOT, body, n, name,
			  strlen(name) + 1);
}

/* Its name is taken, and nobody finds it by listing. */
static void hidden_file_is_kept(void **state)
{
	struct fuse_mkdir_in mkdir_in = {.mode = 0755};
	struct fuse_mknod_in mknod_in = {.mode = S_IFREG | 0644};
	struct fuse_read_in read_in = {.size = 4096};
	struct fuse_setattr_in set_in = {.valid = FATTR_MODE};
	const struct fuse_entry_out *out = fs_rig_data(&rig);

	(void)state;
	assert_int_equal(make(FUSE_LOOKUP, NULL, 0, ".foldfs"), 0);
	assert_int_equal(out->nodeid, CONTROL_NODE);
	assert_int_equal(
		make(FUSE_MKDIR, &mkdir_in, sizeof(mkdir_in), ".foldfs"),
		-EPERM);
	assert_int_equal(
		make(FUSE_MKNOD, &mknod_in, sizeof(mknod_in), ".foldfs"),
		-EPERM);
	assert_int_equal(make(FUSE_UNLINK, NULL, 0, ".foldfs"), -EPERM);
	assert_int_equal(fs_rig_ask(&rig, FUSE_SETATTR, CONTROL_NODE, &set_in,
				    sizeof(set_in), NULL, 0),
			 -EPERM);
	assert_int_equal(fs_rig_ask(&rig, FUSE_READDIR, TREE_ROOT, &read_in,
				    sizeof(read_in), NULL, 0),
			 0);
	assert_null(
		memmem(fs_rig_data(&rig), fs_rig_data_n(&rig), "foldfs", 6));
	/* Only in the root. */
	assert_int_equal(make(FUSE_MKDIR, &mkdir_in, sizeof(mkdir_in), "d"), 0);
	assert_int_equal(fs_rig_ask(&rig, FUSE_MKDIR, out->nodeid, &mkdir_in,
				    sizeof(mkdir_in), ".foldfs", 8),
			 0);
}

static void nothing_is_remembered_as_such(void **state)
{
	const struct fuse_entry_out *out = fs_rig_data(&rig);

	(void)state;
	assert_int_equal(make(FUSE_LOOKUP, NULL, 0, "nothing"), 0);
	assert_int_equal(out->nodeid, 0);
	assert_true(out->entry_valid > 3600);
	fs_rig_create(&rig, "f", 0644);
	assert_int_equal(make(FUSE_LOOKUP, NULL, 0, "f"), 0);
	assert_true(out->nodeid != 0);
	assert_true(out->entry_valid > 3600 && out->attr_valid > 3600);
}

/* A rig with a crew, whose knobs the test turns as the later thread would. */
static int up_with_crew(void **state)
{
	(void)state;
	fs_rig_config(&rig);
	rig.threads = 1;
	rig.config.workers = 0;
	fs_rig_up(&rig);
	return 0;
}

static void a_number_asked_for_is_kept(void **state)
{
	struct fs *fs = rig.fs;

	(void)state;
	assert_true(autoscale_is_on(fs->autoscale));
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "0"), -EBUSY);
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "x"), -EINVAL);
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "+64"), -ERANGE);
	assert_true(autoscale_is_on(fs->autoscale));
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "2"), 0);
	assert_false(autoscale_is_on(fs->autoscale));
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "auto"), 0);
	assert_true(autoscale_is_on(fs->autoscale));
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "-1"), 0);
	assert_false(autoscale_is_on(fs->autoscale));
}

/* What BUDGET_NORMAL takers may still get becomes @bytes. */
static void leave_room(uint64_t bytes)
{
	struct budget *budget = &rig.fs->engine.budget;

	budget_set_limit(budget,
			 budget_used(budget) + BUDGET_RESERVE_BYTES + bytes);
}

static void says(enum ctl_key key, int error, const char *want)
{
	char room[CTL_WHY_MAX];
	const char *text = knobs_ops.why(rig.fs, key, error, room);

	assert_non_null(text);
	assert_string_equal(text, want);
}

static void workers_need_room(void **state)
{
	struct fs *fs = rig.fs;
	struct budget *budget = &fs->engine.budget;
	uint64_t before;

	(void)state;
	autoscale_set(fs->autoscale, false);
	before = budget_used(budget);
	/* The last MiB is data's. */
	leave_room(worker_bytes(fs) + MIB - 1);
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "9"), -ENOSPC);
	assert_int_equal(crew_count(fs->crew), 1);
	assert_int_equal(budget_used(budget), before);
	leave_room(worker_bytes(fs) + MIB);
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "2"), 0);
	assert_true(budget_used(budget) <= before + worker_bytes(fs));
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "3"), -ENOSPC);
	says(CTL_workers, -ENOSPC,
	     "mem_limit has no room for another worker: 2 are up");
	says(CTL_workers, -EBUSY, "the last worker stays");
	assert_int_equal(crew_count(fs->crew), 2);
	budget_set_limit(budget, 256 * MIB);
	assert_int_equal(knobs_ops.set(fs, CTL_workers, "3"), 0);
}

static void codec_needs_room(void **state)
{
	uint64_t before = budget_used(&rig.fs->engine.budget);

	(void)state;
	leave_room(64 << 10);
	assert_int_equal(set("compress", "zstd:19"), -ENOSPC);
	assert_key("compress", "lz4:1");
	assert_int_equal(budget_used(&rig.fs->engine.budget), before);
	budget_set_limit(&rig.fs->engine.budget, 256 * MIB);
	assert_int_equal(set("compress", "zstd:19"), 0);
	assert_key("compress", "zstd:19");
	/* Its contexts are there still, and those of the one before. */
	leave_room(0);
	assert_int_equal(set("compress", "lz4:1"), 0);
	assert_int_equal(set("compress", "zstd:19"), 0);
}

int main(void)
{
#define WITH_CREW(f) cmocka_unit_test_setup_teardown(f, up_with_crew, down)
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_text),
		cmocka_unit_test(workers_text_refused),
		cmocka_unit_test(retire_text),
		CASE(limits_are_set),
		CASE(peak_starts_again),
		CASE(codec_is_changed),
		CASE(codec_needs_room),
		WITH_CREW(a_number_asked_for_is_kept),
		WITH_CREW(workers_need_room),
		CASE(only_the_owner_may),
		CASE(files_tell_of_themselves),
		CASE(hidden_file_is_kept),
		CASE(nothing_is_remembered_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
