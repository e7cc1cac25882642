/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of what is added to libfuse's protocol, with the test as kernel. */
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define ALLOW_MMAP2 (1u << 4) /* FUSE_DIRECT_IO_ALLOW_MMAP in flags2 */

static struct fs_rig rig;

static int up(void **state)
{
	(void)state;
	fs_rig_config(&rig);
	fs_rig_up(&rig);
	return 0;
}

static int down(void **state)
{
	(void)state;
	fs_rig_down(&rig);
	return 0;
}

static const struct fuse_init_out *init(uint64_t flags)
{
	fs_rig_init(&rig, flags);
	assert_int_equal(fs_rig_data_n(&rig), sizeof(struct fuse_init_out));
	return fs_rig_data(&rig);
}

static void init_takes_what_is_offered(void **state)
{
	const struct fuse_init_out *out = init(FS_RIG_ALL);

	(void)state;
	assert_true(out->flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_true(out->flags & FUSE_SETXATTR_EXT);
	assert_true(out->flags & FUSE_POSIX_ACL);
	assert_true(out->flags & FUSE_DONT_MASK);
	/* Without OPEN requests this would lose every O_TRUNC. */
	assert_false(out->flags & FUSE_ATOMIC_O_TRUNC);
	assert_false(out->flags & FUSE_WRITEBACK_CACHE);
	assert_false(out->flags & FUSE_POSIX_LOCKS);
	assert_int_equal(out->max_write, IO_MAX_BYTES);
	assert_int_equal(out->max_pages, IO_MAX_BYTES / 4096);
	assert_true(out->max_background >= 64);
	assert_true(atomic_load(&rig.fs->answers));
}

static void init_takes_nothing_else(void **state)
{
	const struct fuse_init_out *out =
		init(FUSE_INIT_EXT | FUSE_BIG_WRITES | FUSE_MAX_PAGES);

	(void)state;
	assert_false(out->flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_false(out->flags & FUSE_SETXATTR_EXT);
	assert_int_equal(out->flags2, 0);
}

static void init_for_direct_io_allows_mmap(void **state)
{
	const struct fuse_init_out *out;

	(void)state;
	rig.config.cache = FS_CACHE_NONE;
	out = init(FS_RIG_ALL);
	assert_true(out->flags & FUSE_INIT_EXT);
	assert_true(out->flags2 & ALLOW_MMAP2);
}

static void init_writeback_on_demand(void **state)
{
	(void)state;
	rig.config.cache = FS_CACHE_WRITEBACK;
	assert_true(init(FS_RIG_ALL)->flags & FUSE_WRITEBACK_CACHE);
}

/* The long form, or the short one that a kernel without the flag sends. */
static int set_xattr(uint64_t node, const char *name, const char *value,
		     size_t n, uint32_t more, bool long_form)
{
	struct fuse_setxattr_in in = {.size = (uint32_t)n,
				      .setxattr_flags = more};
	char tail[512];
	size_t name_n = strlen(name) + 1;

	memcpy(tail, name, name_n);
	memcpy(tail + name_n, value, n);
	return fs_rig_ask(&rig, FUSE_SETXATTR, node, &in,
			  long_form ? sizeof(in) : FUSE_COMPAT_SETXATTR_IN_SIZE,
			  tail, name_n + n);
}

static int get_xattr(uint64_t node, const char *name, uint32_t size)
{
	struct fuse_getxattr_in in = {.size = size};

	return fs_rig_ask(&rig, FUSE_GETXATTR, node, &in, sizeof(in), name,
			  strlen(name) + 1);
}

static void check_xattr(bool long_form)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);
	const struct fuse_getxattr_out *size = fs_rig_data(&rig);

	assert_int_equal(
		set_xattr(node, "user.name", "value!", 6, 0, long_form), 0);
	assert_int_equal(get_xattr(node, "user.name", 100), 0);
	assert_int_equal(fs_rig_data_n(&rig), 6);
	assert_memory_equal(fs_rig_data(&rig), "value!", 6);
	assert_int_equal(get_xattr(node, "user.name", 0), 0);
	assert_int_equal(size->size, 6);
	assert_int_equal(get_xattr(node, "user.name", 5), -ERANGE);
	assert_int_equal(get_xattr(node, "user.other", 5), -ENODATA);
}

static void setxattr_in_the_long_form(void **state)
{
	(void)state;
	init(FS_RIG_ALL);
	check_xattr(true);
}

static void setxattr_in_the_short_form(void **state)
{
	(void)state;
	init(FS_RIG_ALL & ~(uint64_t)FUSE_SETXATTR_EXT);
	check_xattr(false);
}

/* user::rw- group::r-- other::r-- as the kernel sends it */
static const char acl[] = "\2\0\0\0"
			  "\1\0\6\0\377\377\377\377"
			  "\4\0\4\0\377\377\377\377"
			  "\40\0\4\0\377\377\377\377";

static void acl_of_an_outsider_drops_setgid(void **state)
{
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	node = fs_rig_create(&rig, "f", 02674);
	assert_int_equal(fs_rig_mode(&rig, node), 02674);
	assert_int_equal(set_xattr(node, "system.posix_acl_access", acl,
				   sizeof(acl) - 1, 0, true),
			 0);
	assert_int_equal(fs_rig_mode(&rig, node), 02644);
	assert_int_equal(set_xattr(node, "system.posix_acl_access", acl,
				   sizeof(acl) - 1, FUSE_SETXATTR_ACL_KILL_SGID,
				   true),
			 0);
	assert_int_equal(fs_rig_mode(&rig, node), 0644);
}

static void tmpfile_is_made_without_a_name(void **state)
{
	struct fuse_create_in in = {.mode = 0600};
	const struct fuse_entry_out *out = fs_rig_data(&rig);
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	assert_int_equal(fs_rig_ask(&rig, FUSE_TMPFILE, TREE_ROOT, &in,
				    sizeof(in), "", 1),
			 0);
	node = out->nodeid;
	assert_int_equal(out->attr.nlink, 0);
	assert_true(S_ISREG(out->attr.mode));
	assert_int_equal(fs_rig_write(&rig, node, 0, "tmp", 3, 0), 3);
	assert_int_equal(fs_rig_read(&rig, node, 0, 100), 3);
	/* Only this one: the next request has a name again. */
	node = fs_rig_create(&rig, "named", 0600);
	assert_int_equal(out->attr.nlink, 1);
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_LOOKUP, TREE_ROOT, NULL, 0, "named", 6),
		0);
	assert_int_equal(out->nodeid, node);
}

/* Whoever needs no OPEN needs no RELEASE of what CREATE opened either. */
static void create_is_declined_where_open_is(void **state)
{
	struct fuse_create_in create = {.mode = 0644};
	struct fuse_open_in open = {.flags = 0};
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	node = fs_rig_create(&rig, "f", 0644);
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_OPEN, node, &open, sizeof(open), NULL, 0),
		-ENOSYS);
	assert_int_equal(fs_rig_ask(&rig, FUSE_CREATE, TREE_ROOT, &create,
				    sizeof(create), "new", 4),
			 -ENOSYS);
}

static void create_opens_for_direct_io(void **state)
{
	struct fuse_create_in in = {.mode = 0640};
	const struct fuse_entry_out *entry = fs_rig_data(&rig);
	const struct fuse_open_out *open = (const void *)(entry + 1);

	(void)state;
	rig.config.cache = FS_CACHE_NONE;
	init(FS_RIG_ALL);
	assert_int_equal(fs_rig_ask(&rig, FUSE_CREATE, TREE_ROOT, &in,
				    sizeof(in), "new", 4),
			 0);
	assert_int_equal(entry->attr.mode, S_IFREG | 0640);
	assert_true(open->open_flags & FOPEN_DIRECT_IO);
	/* Somebody else's came first: the same file, unless it shall be new. */
	assert_int_equal(fs_rig_ask(&rig, FUSE_CREATE, TREE_ROOT, &in,
				    sizeof(in), "new", 4),
			 0);
	in.flags = O_EXCL;
	assert_int_equal(fs_rig_ask(&rig, FUSE_CREATE, TREE_ROOT, &in,
				    sizeof(in), "new", 4),
			 -EEXIST);
}

static void interrupt_is_declined_for_good(void **state)
{
	struct fuse_interrupt_in in = {.unique = 4};

	(void)state;
	init(FS_RIG_ALL);
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0),
		-ENOSYS);
}

static void unknown_request_is_declined(void **state)
{
	(void)state;
	init(FS_RIG_ALL);
	assert_int_equal(fs_rig_ask(&rig, 4000, 1, NULL, 0, NULL, 0), -ENOSYS);
}

static int set_attr(uint64_t node, uint32_t valid)
{
	struct fuse_setattr_in in = {.valid = valid, .size = 0, .uid = 5};

	return fs_rig_ask(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0);
}

static void truncate_drops_setid_when_told(void **state)
{
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	node = fs_rig_create(&rig, "f", 06755);
	assert_int_equal(set_attr(node, FATTR_SIZE), 0);
	assert_int_equal(fs_rig_mode(&rig, node), 06755);
	assert_int_equal(set_attr(node, FATTR_SIZE | FATTR_KILL_SUIDGID), 0);
	assert_int_equal(fs_rig_mode(&rig, node), 0755);
}

static void chown_drops_setid_when_told(void **state)
{
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	node = fs_rig_create(&rig, "f", 06755);
	assert_int_equal(set_attr(node, FATTR_UID | FATTR_KILL_SUIDGID), 0);
	assert_int_equal(fs_rig_mode(&rig, node), 0755);
}

/* A chown() that names nobody, or what the kernel sends before a write: from
 * there strangers take the bits by the write itself. */
static void empty_setattr_drops_setid(void **state)
{
	const struct fuse_attr_out *out = fs_rig_data(&rig);
	uint64_t node;

	(void)state;
	init(FS_RIG_ALL);
	node = fs_rig_create(&rig, "f", 06755);
	rig.uid = 1000;
	assert_int_equal(set_attr(node, 0), 0);
	assert_int_equal(out->attr.mode & 07777, 06755);
	rig.uid = 0;
	assert_int_equal(set_attr(node, 0), 0);
	assert_int_equal(out->attr.mode & 07777, 0755);
	rig.uid = 1000;
	node = fs_rig_create(&rig, "own", 06755);
	assert_int_equal(set_attr(node, 0), 0);
	assert_int_equal(out->attr.mode & 07777, 0755);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		CASE(init_takes_what_is_offered),
		CASE(init_takes_nothing_else),
		CASE(init_for_direct_io_allows_mmap),
		CASE(init_writeback_on_demand),
		CASE(setxattr_in_the_long_form),
		CASE(setxattr_in_the_short_form),
		CASE(acl_of_an_outsider_drops_setgid),
		CASE(tmpfile_is_made_without_a_name),
		CASE(create_is_declined_where_open_is),
		CASE(create_opens_for_direct_io),
		CASE(interrupt_is_declined_for_good),
		CASE(unknown_request_is_declined),
		CASE(truncate_drops_setid_when_told),
		CASE(chown_drops_setid_when_told),
		CASE(empty_setattr_drops_setid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
