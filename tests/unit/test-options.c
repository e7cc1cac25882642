/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of options and command lines: what is taken, and what is said. */
#include "base/heap.h"
#include "base/page.h"
#include "options_argv.h"
#include "options_int.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct options o;
static char dir[64];

static int begin(void **state UNUSED)
{
	strcpy(dir, "/tmp/test-options-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	options_init(&o, 8 * GIB, true);
	return 0;
}

static int end(void **state UNUSED)
{
	char command[128];

	options_fini(&o);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void taken(const char *list)
{
	if (options_take(&o, list) < 0)
		fail_msg("%s: %s", list, o.error);
}

/* @list is refused, and the message has @part in it. */
static void refused(const char *list, const char *part)
{
	o.error[0] = '\0';
	assert_int_equal(options_take(&o, list), -EINVAL);
	if (!strstr(o.error, part))
		fail_msg("%s: said \"%s\", not \"%s\"", list, o.error, part);
	assert_null(strchr(o.error, '\n'));
}

static const char *write_config(const char *text)
{
	static char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/config", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void take_config(const char *text, int want)
{
	char list[128];

	snprintf(list, sizeof(list), "config=%s", write_config(text));
	assert_int_equal(options_take(&o, list), want);
}

static void the_defaults_are_a_part_of_the_ram(void **state UNUSED)
{
	char kernel[OPTIONS_KERNEL_MAX];

	assert_int_equal(o.size_bytes, 4 * GIB);
	assert_int_equal(o.mem_limit_bytes, 2 * GIB);
	assert_int_equal(o.nr_inodes, 0);
	assert_int_equal(o.mode, 01777);
	assert_int_equal(o.uid, geteuid());
	assert_int_equal(o.gid, getegid());
	assert_int_equal(o.compress.id, CODEC_LZ4);
	assert_int_equal(o.workers, 0);
	assert_int_equal(o.cache, FS_CACHE_THROUGH);
	assert_true(o.allow_other);
	assert_string_equal(options_kernel(&o, kernel), "rw,nosuid,nodev");
	options_init(&o, GIB, false);
	assert_false(o.allow_other);
}

static void settles(const char *list, const char *part)
{
	o.error[0] = '\0';
	options_init(&o, 8 * GIB, true);
	taken(list);
	if (!part) {
		assert_int_equal(options_check(&o), 0);
		return;
	}
	assert_int_equal(options_check(&o), -EINVAL);
	if (!strstr(o.error, part))
		fail_msg("%s: said \"%s\", not \"%s\"", list, o.error, part);
}

static void a_profile_settles_the_rest(void **state UNUSED)
{
	settles("profile=directory", NULL);
	assert_int_equal(o.cache, FS_CACHE_THROUGH);
	settles("cache=writeback,workers=auto,ro", NULL);
	settles("profile=swap", NULL);
	assert_int_equal(o.cache, FS_CACHE_NONE);
	settles("cache=none,workers=3,profile=swap,noatime,size=1G", NULL);
	assert_int_equal(o.workers, 3);
	settles("profile=swap,cache=through", "\"cache\"");
	settles("cache=writeback,profile=swap", "\"cache\"");
	settles("profile=swap,workers=auto", "\"workers=auto\"");
	settles("profile=swap,ro", "\"ro\"");
	settles("profile=swap,ro,rw", NULL);
	settles("profile=swap,cache=through,profile=directory", NULL);
}

static void cures_can_be_forgone_with_swap_only(void **state UNUSED)
{
	settles("profile=swap,forgo=oom", NULL);
	assert_int_equal(o.forgo, FS_FORGO_OOM);
	settles("profile=swap,forgo=memlock+io_flusher+checks", NULL);
	assert_int_equal(o.forgo, FS_FORGO_MEMLOCK | FS_FORGO_IO_FLUSHER |
					  FS_FORGO_CHECKS);
	settles("forgo=oom", "only profile=swap");
	refused("forgo=memloc", "no such cure");
	refused("forgo=oom+", "joined by +");
	refused("forgo=oom+oomph", "no such cure");
	refused("profile=swapp", "directory or swap");
}

/* The default in the struct is the one that "lz4" means. */
static void the_default_codec_is_lz4(void **state UNUSED)
{
	struct codec_params params;

	assert_int_equal(codec_parse("lz4", &params), 0);
	assert_int_equal(params.id, o.compress.id);
	assert_int_equal(params.level, o.compress.level);
}

static void every_option_sets_its_value(void **state UNUSED)
{
	taken("size=512M,mem_limit=10%,nr_inodes=100k,mode=0750,uid=7,gid=8,"
	      "compress=zstd:3,workers=5,cache=writeback,fsname=me,allow_other"
	      ",subtype=foldfs");
	assert_int_equal(o.size_bytes, 512 * MIB);
	assert_int_equal(o.mem_limit_bytes, 8 * GIB / 10);
	assert_int_equal(o.nr_inodes, 102400);
	assert_int_equal(o.mode, 0750);
	assert_int_equal(o.uid, 7);
	assert_int_equal(o.gid, 8);
	assert_int_equal(o.compress.id, CODEC_ZSTD);
	assert_int_equal(o.compress.level, 3);
	assert_int_equal(o.workers, 5);
	assert_int_equal(o.cache, FS_CACHE_WRITEBACK);
	assert_string_equal(o.fsname, "me");
	taken("size=1.5G,workers=auto,cache=none,compress=none,uid=root");
	assert_int_equal(o.size_bytes, GIB + 512 * MIB);
	assert_int_equal(o.workers, 0);
	assert_int_equal(o.cache, FS_CACHE_NONE);
	assert_int_equal(o.compress.id, CODEC_RAW);
	assert_int_equal(o.uid, 0);
	taken("cache=through,gid=root");
	assert_int_equal(o.cache, FS_CACHE_THROUGH);
	assert_int_equal(o.gid, 0);
}

static void spilling_has_options(void **state UNUSED)
{
	char here[4096], want[5000];

	taken("size=1G");
	assert_null(o.spill);
	assert_int_equal(o.spill_high, 95);
	assert_int_equal(o.spill_low, 80);
	taken("spill=/a/b,spill_size=1M,spill_high=70,spill_low=10,spill_force,io_uring,"
	      "spill_encrypt");
	assert_string_equal(o.spill, "/a/b");
	assert_int_equal(o.spill_bytes, MIB);
	assert_int_equal(o.spill_high, 70);
	assert_int_equal(o.spill_low, 10);
	assert_true(o.io_uring);
	assert_true(o.spill_force && o.spill_encrypt);
	taken("spill=/a,spill=b/c,spill_size=128G,spill_high=100,spill_low=99");
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(want, sizeof(want), "%s/b/c", here);
	assert_string_equal(o.spill, want);
	taken("spill_size=0,spill_high=2,spill_low=1");
	assert_int_equal(options_check(&o), 0);
	taken("spill_low=50,spill_high=50");
	assert_int_equal(options_check(&o), -EINVAL);
	assert_non_null(strstr(o.error, "below spill_high=50"));
	refused("spill=", "it needs a value");
	refused("spill_size=1023K", "out of range; right is 1M to 128G");
	refused("spill_size=129G", "out of range");
	refused("spill_size=10%", "malformed");
	refused("spill_high=1", "out of range; right is 2 to 100");
	refused("spill_high=101", "out of range");
	refused("spill_low=0", "out of range; right is 1 to 99");
	refused("spill_low=80%", "malformed");
	refused("spill_force=1", "it takes no value");
	refused("spil_size=1G", "did you mean \"spill_size\"?");
}

static void spill_low_follows(void **state UNUSED)
{
	taken("spill_high=80");
	assert_int_equal(options_check(&o), 0);
	assert_int_equal(o.spill_low, 65);
}

static void the_edges_of_ranges_are_in(void **state UNUSED)
{
	taken("size=4K,mem_limit=1M,nr_inodes=0,mode=0,uid=0,workers=1");
	taken("size=4E,mem_limit=16T,nr_inodes=4294967294,mode=7777,"
	      "uid=4294967294,gid=4294967294,workers=64");
	assert_int_equal(o.size_bytes, UINT64_C(1) << 62);
	assert_int_equal(o.mem_limit_bytes, 16 * TIB);
	taken("size=300%,mem_limit=100%");
	assert_int_equal(o.size_bytes, 24 * GIB);
	assert_int_equal(o.mem_limit_bytes, 8 * GIB);
	assert_int_equal(o.uid, 4294967294u);
}

static void values_out_of_range_say_the_range(void **state UNUSED)
{
	refused("size=4095", "\"size=4095\": out of range; right is 4K to 4E");
	refused("size=5E", "out of range");
	refused("size=99999999999999999999", "out of range");
	refused("size=0%", "out of range");
	refused("mem_limit=1023K", "out of range; right is 1M to 16T");
	refused("mem_limit=101%", "out of range; right is 1M to 16T");
	refused("nr_inodes=4294967295", "out of range; right is 0 to 4294967");
	refused("mode=10000", "out of range; right is 0 to 7777 in octal");
	refused("uid=4294967295", "out of range");
	refused("workers=0", "out of range; right is auto or 1 to 64");
	refused("workers=65", "\"workers=65\": out of range");
	refused("compress=zstd:100", "zstd takes ");
	refused("compress=zstd:100", " to ");
	assert_int_equal(o.size_bytes, 4 * GIB);
	assert_int_equal(o.compress.id, CODEC_LZ4);
}

static void malformed_values_say_what_is_right(void **state UNUSED)
{
	refused("size=abc", "\"size=abc\": malformed; right is 4K to 4E");
	refused("size=1G ", "malformed");
	refused("nr_inodes=50%", "malformed");
	refused("mode=8", "malformed; right is 0 to 7777 in octal");
	refused("mode=rwx", "malformed");
	refused("uid=-1", "no such user");
	refused("uid=no-such-user-here", "no such user");
	refused("gid=no-such-group-here", "no such group");
	refused("workers=+2", "malformed");
	refused("workers= 2", "malformed");
	refused("cache=back",
		"no such cache mode; right is through, writeback or none");
	refused("compress=lzma", "no such codec; right is lz4[:1 to 64], ");
	refused("compress=zstd:x", "malformed");
	refused("subtype=ext4", "right is foldfs");
	refused("size", "\"size\": it needs a value: 4K to 4E");
	refused("size=", "it needs a value");
	refused("allow_other=1", "it takes no value");
	refused("ro=1", "it takes no value");
	refused("nofail=1", "it takes no value");
}

static void unknown_options_are_refused_by_name(void **state UNUSED)
{
	refused("sise=1G", "\"sise\"; did you mean \"size\"?");
	refused("SIZE=1G", "did you mean \"size\"?");
	refused("memlimit=1G", "did you mean \"mem_limit\"?");
	refused("compres=lz4", "did you mean \"compress\"?");
	refused("wrokers=2", "did you mean \"workers\"?");
	refused("nodve", "did you mean \"nodev\"?");
	refused("ro,nosiud", "did you mean \"nosuid\"?");
	refused("frobnicate", "unknown option \"frobnicate\"");
	assert_null(strstr(o.error, "did you mean"));
	refused("q", "unknown option \"q\"");
	assert_null(strstr(o.error, "did you mean"));
}

static void what_is_not_offered_says_why(void **state UNUSED)
{
	refused("allow_root", "all users (allow_other)");
	refused("remount", "user.foldfs.size");
	refused("strictatime", "relatime");
}

static void generic_options_go_to_the_kernel(void **state UNUSED)
{
	char kernel[OPTIONS_KERNEL_MAX];

	taken("defaults,user,nofail,_netdev,noauto,x-systemd.automount,"
	      "comment=a=b,relatime,X-mount.mkdir=0755");
	assert_string_equal(options_kernel(&o, kernel), "rw,nosuid,nodev");
	taken("ro,noexec,sync,dirsync,noatime,suid,dev");
	assert_string_equal(options_kernel(&o, kernel),
			    "ro,suid,dev,noexec,sync,dirsync,noatime");
	taken("rw,exec,async,atime,nosuid,nodev");
	assert_string_equal(options_kernel(&o, kernel),
			    "rw,nosuid,nodev,dirsync");
}

static void later_wins_and_empty_items_are_nothing(void **state UNUSED)
{
	taken("");
	taken(",,size=1G,,size=2G,");
	assert_int_equal(o.size_bytes, 2 * GIB);
	taken("fsname=a");
	taken("fsname=b");
	assert_string_equal(o.fsname, "b");
}

static void a_backslash_takes_the_next_character(void **state UNUSED)
{
	taken("fsname=a\\,b\\\\c,size=1G");
	assert_string_equal(o.fsname, "a,b\\c");
	assert_int_equal(o.size_bytes, GIB);
	taken("fsname=a\\054b\\040c");
	assert_string_equal(o.fsname, "a,b c");
	taken("fsname=end\\");
	assert_string_equal(o.fsname, "end\\");
	taken("fsname=\\777");
	assert_string_equal(o.fsname, "777");
}

static void a_long_name_is_out_of_range(void **state UNUSED)
{
	char list[300] = "fsname=";

	memset(list + 7, 'n', 255);
	taken(list);
	memset(list + 7, 'n', 256);
	assert_int_equal(options_take(&o, list), -EINVAL);
	assert_non_null(strstr(o.error, "out of range"));
}

static void sloppy_passes_over_unknown_options_only(void **state UNUSED)
{
	o.sloppy = true;
	taken("frobnicate,size=1G");
	assert_int_equal(o.size_bytes, GIB);
	refused("size=x", "malformed");
	refused("remount", "\"remount\": a mount's limits change by");
	refused("allow_root", "\"allow_root\"");
	refused("ro=1", "\"ro\": it takes no value");
}

static void a_config_file_has_one_option_a_line(void **state UNUSED)
{
	take_config("# a comment\n\n  size=1G\nmem_limit = 128M\t# why\r\n"
		    "fsname=a#b\nro\nworkers=3",
		    0);
	assert_int_equal(o.size_bytes, GIB);
	assert_int_equal(o.mem_limit_bytes, 128 * MIB);
	assert_string_equal(o.fsname, "a#b");
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.depth, 0);
	take_config("", 0);
}

static void a_config_file_s_mistakes_have_a_line(void **state UNUSED)
{
	take_config("size=1G\n\nsise=2G\n", -EINVAL);
	assert_non_null(strstr(o.error, "/config:3: unknown option \"sise\""));
	take_config("workers=99\n", -EINVAL);
	assert_non_null(strstr(o.error, "/config:1: option \"workers=99\""));
	assert_int_equal(o.depth, 0);
}

static void a_config_file_names_no_other(void **state UNUSED)
{
	take_config("size=1G\nconfig=/dev/null\n", -EINVAL);
	assert_non_null(strstr(o.error, "config:2: "));
	assert_non_null(strstr(o.error, "cannot name another"));
}

static void what_is_no_config_file_is_refused(void **state UNUSED)
{
	char list[128];
	char *big = malloc(OPTIONS_FILE_MAX_BYTES + 2);
	int fd;

	refused("config=/no/such/file", "/no/such/file: No such file");
	refused("config=/tmp", "not a regular file");
	refused("config=/dev/zero", "not a regular file");
	assert_non_null(big);
	memset(big, '\n', OPTIONS_FILE_MAX_BYTES + 1);
	big[OPTIONS_FILE_MAX_BYTES] = '\0';
	take_config(big, 0);
	big[OPTIONS_FILE_MAX_BYTES] = '\n';
	big[OPTIONS_FILE_MAX_BYTES + 1] = '\0';
	take_config(big, -EINVAL);
	assert_non_null(strstr(o.error, "longer than 1 MiB"));
	free(big);
	snprintf(list, sizeof(list), "%s/nul", dir);
	fd = open(list, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "ro\0rw", 5), 5);
	close(fd);
	snprintf(list, sizeof(list), "config=%s/nul", dir);
	refused(list, "not a text file");
}

static void no_memory_is_not_a_wrong_option(void **state UNUSED)
{
	for (unsigned nth = 1; nth < 100; nth++) {
		int r;

		heap_fail_nth(nth);
		r = options_take(&o, "fsname=x,size=1G");
		if (!heap_fault_hit()) {
			heap_fail_nth(0);
			assert_int_equal(r, 0);
			return;
		}
		assert_int_equal(r, -ENOMEM);
	}
	fail();
}

/* Every option is in --help with what it takes; nothing is told twice. */
static void the_help_has_every_option(void **state UNUSED)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	command_help(out);
	fclose(out);
	for (unsigned i = 0; i < OPTION_NR; i++) {
		char head[64];

		snprintf(head, sizeof(head), "\n  %s%s", option_table[i].name,
			 option_table[i].value ? "=" : " ");
		assert_non_null(strstr(text, head));
		assert_non_null(strstr(text, option_table[i].help));
		assert_non_null(strstr(text, option_table[i].right));
	}
	for (unsigned i = 0; generic_name(i); i++)
		assert_non_null(strstr(text, generic_name(i)));
}

/* --- command lines --- */

static struct command c;

#define PARSE(...)                                                             \
	parse((char *[]){__VA_ARGS__, NULL},                                   \
	      sizeof((char *[]){__VA_ARGS__}) / sizeof(char *))

static int parse(char *const *words, size_t count)
{
	char *argv[16];

	assert_true(count < 16);
	memcpy(argv, words, (count + 1) * sizeof(*argv));
	options_fini(&o);
	options_init(&o, 8 * GIB, true);
	return command_parse(&c, &o, (int)count, argv);
}

#define W(text) ((char[]){text})

static void foldfs_takes_its_command_line(void **state UNUSED)
{
	assert_int_equal(PARSE(W("/usr/bin/foldfs"), W("/mnt")), 0);
	assert_int_equal(c.verb, COMMAND_MOUNT);
	assert_false(c.helper || c.foreground || c.debug || c.fake);
	assert_null(c.source);
	assert_string_equal(c.mountpoint, "/mnt");
	assert_int_equal(PARSE(W("foldfs"), W("-o"), W("size=1G,ro"), W("-f"),
			       W("src"), W("/mnt"), W("-osize=2G")),
			 0);
	assert_true(c.foreground);
	assert_string_equal(c.source, "src");
	assert_string_equal(c.mountpoint, "/mnt");
	assert_int_equal(o.size_bytes, 2 * GIB);
	assert_int_equal(PARSE(W("foldfs"), W("--options=workers=2"),
			       W("--debug"), W("--"), W("-d")),
			 0);
	assert_true(c.debug && c.foreground);
	assert_string_equal(c.mountpoint, "-d");
	assert_int_equal(o.workers, 2);
}

static void help_and_version_need_nothing_else(void **state UNUSED)
{
	assert_int_equal(PARSE(W("foldfs"), W("--help")), 0);
	assert_int_equal(c.verb, COMMAND_HELP);
	assert_int_equal(PARSE(W("foldfs"), W("-V")), 0);
	assert_int_equal(c.verb, COMMAND_VERSION);
	assert_int_equal(PARSE(W("mount.foldfs"), W("-h")), 0);
	assert_int_equal(c.verb, COMMAND_HELP);
}

static void wrong_command_lines_are_refused(void **state UNUSED)
{
	char source[257] = "";

	assert_int_equal(PARSE(W("foldfs")), -EINVAL);
	assert_non_null(strstr(o.error, "no mount point"));
	assert_int_equal(PARSE(W("foldfs"), W("a"), W("b"), W("c")), -EINVAL);
	assert_non_null(strstr(o.error, "\"c\""));
	assert_int_equal(PARSE(W("foldfs"), W("-x"), W("/mnt")), -EINVAL);
	assert_non_null(strstr(o.error, "\"-x\""));
	assert_int_equal(PARSE(W("foldfs"), W("-qf"), W("/mnt")), -EINVAL);
	assert_non_null(strstr(o.error, "unknown option \"-q\""));
	assert_int_equal(PARSE(W("foldfs"), W("--debug=1"), W("/mnt")),
			 -EINVAL);
	assert_non_null(strstr(o.error, "\"--debug=1\""));
	assert_int_equal(PARSE(W("foldfs"), W("--nope"), W("/mnt")), -EINVAL);
	assert_non_null(strstr(o.error, "\"--nope\""));
	assert_int_equal(PARSE(W("foldfs"), W("/mnt"), W("-o")), -EINVAL);
	assert_non_null(strstr(o.error, "\"-o\" needs a value"));
	assert_int_equal(PARSE(W("foldfs"), W(""), W("/mnt")), -EINVAL);
	assert_non_null(strstr(o.error, "SOURCE"));
	memset(source, 's', 256);
	assert_int_equal(PARSE(W("foldfs"), source, W("/mnt")), -EINVAL);
	assert_non_null(strstr(o.error, "255 bytes"));
	source[255] = '\0';
	assert_int_equal(PARSE(W("foldfs"), source, W("/mnt")), 0);
	assert_int_equal(PARSE(W("mount.foldfs"), W("/mnt")), -EINVAL);
	assert_int_equal(
		PARSE(W("mount.foldfs"), W("none"), W("/mnt"), W("--debug")),
		-EINVAL);
}

static void mount_foldfs_has_letters_of_its_own(void **state UNUSED)
{
	assert_int_equal(PARSE(W("/sbin/mount.foldfs"), W("none"), W("/mnt"),
			       W("-f"), W("-n"), W("-v"), W("-o"),
			       W("rw,size=50%"), W("-t"), W("foldfs"), W("-N"),
			       W("/proc/1/ns/mnt")),
			 0);
	assert_true(c.helper && c.fake && c.verbose);
	assert_false(c.foreground);
	assert_string_equal(c.source, "none");
	assert_string_equal(c.mountpoint, "/mnt");
	assert_int_equal(o.size_bytes, 4 * GIB);
	/* -s counts wherever it stands. */
	assert_int_equal(PARSE(W("mount.foldfs"), W("none"), W("/mnt"), W("-o"),
			       W("frobnicate"), W("-s")),
			 0);
	assert_int_equal(PARSE(W("mount.foldfs"), W("none"), W("/mnt"), W("-o"),
			       W("frobnicate")),
			 -EINVAL);
}

static void the_name_is_the_last_part(void **state UNUSED)
{
	assert_string_equal(command_name("/usr/sbin/mount.foldfs"),
			    "mount.foldfs");
	assert_string_equal(command_name("foldfs"), "foldfs");
	assert_string_equal(command_name(NULL), "foldfs");
	assert_string_equal(command_name("x/"), "foldfs");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(the_defaults_are_a_part_of_the_ram),
		TEST(the_default_codec_is_lz4),
		TEST(a_profile_settles_the_rest),
		TEST(cures_can_be_forgone_with_swap_only),
		TEST(every_option_sets_its_value),
		TEST(spilling_has_options),
		TEST(spill_low_follows),
		TEST(the_edges_of_ranges_are_in),
		TEST(values_out_of_range_say_the_range),
		TEST(malformed_values_say_what_is_right),
		TEST(unknown_options_are_refused_by_name),
		TEST(what_is_not_offered_says_why),
		TEST(generic_options_go_to_the_kernel),
		TEST(later_wins_and_empty_items_are_nothing),
		TEST(a_backslash_takes_the_next_character),
		TEST(a_long_name_is_out_of_range),
		TEST(sloppy_passes_over_unknown_options_only),
		TEST(a_config_file_has_one_option_a_line),
		TEST(a_config_file_s_mistakes_have_a_line),
		TEST(a_config_file_names_no_other),
		TEST(what_is_no_config_file_is_refused),
		TEST(no_memory_is_not_a_wrong_option),
		TEST(the_help_has_every_option),
		TEST(foldfs_takes_its_command_line),
		TEST(help_and_version_need_nothing_else),
		TEST(wrong_command_lines_are_refused),
		TEST(mount_foldfs_has_letters_of_its_own),
		TEST(the_name_is_the_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
