/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of requests that come through libfuse, and who asks.
 *
 * Not in it: what libfuse answers by itself in our sense (FLUSH, FSYNC,
 * FSYNCDIR: ENOSYS, and the kernel asks no more; IOCTL: ENOSYS, which becomes
 * ENOTTY), locks (kept by the kernel), READ and WRITE (io.c).
 */
#include "fs/ops.h"
#include "foldfs/keys.h"
#include "fs/wire.h"
#include <string.h>

const struct fuse_lowlevel_ops fs_ops = {
	.init = wire_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
};

struct tree_caller op_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct tree_caller who = {
		.uid = ctx->uid,
		.gid = ctx->gid,
		.umask = ctx->umask,
		.privileged = ctx->uid == 0,
	};

	return who;
}

bool op_is_control(fuse_ino_t parent, const char *name)
{
	return parent == TREE_ROOT && name[0] == FOLDFS_CONTROL_NAME[0] &&
	       strcmp(name, FOLDFS_CONTROL_NAME) == 0;
}

/*
 * Where the kernel did not have set-id bits dropped before a write (direct I/O
 * past its page cache; a stranger's, see attr_ops.c), it must hear of the new
 * mode before it runs the file.
 */
void op_wrote(struct fs *fs, const struct tree_caller *who, fuse_ino_t node)
{
	if (tree_wrote(fs->engine.tree, who, node))
		fuse_lowlevel_notify_inval_inode(fs->se, node, -1, 0);
}
