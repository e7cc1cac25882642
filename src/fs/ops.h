/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The requests that come through libfuse, one function each, and who asks. */
#ifndef SRC_FS_OPS_H
#define SRC_FS_OPS_H

#include "fs/state.h"

extern const struct fuse_lowlevel_ops fs_ops;

/* Whom a request comes from; without a stream. */
struct tree_caller op_caller(fuse_req_t req);

/* True for the hidden file's name in the root, which nobody may change. */
bool op_is_control(fuse_ino_t parent, const char *name);

static inline struct fs *op_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* A stream for what keeps bytes in the store; always one while we serve. */
static inline struct stream *op_stream(struct fs *fs)
{
	return stream_get(fs->engine.streams, worker_now->slot);
}

/* After a read of what @node holds: its access time, unless noatime. */
static inline void op_did_read(struct fs *fs, fuse_ino_t node)
{
	if (!fs->config->noatime)
		tree_did_read(fs->engine.tree, node);
}

/* After a change of contents. */
void op_wrote(struct fs *fs, const struct tree_caller *who, fuse_ino_t node);

/* names: name_ops.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *all);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent,
	     const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned flags);
void op_readlink(fuse_req_t req, fuse_ino_t node);

/* attributes: attr_ops.c */
void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t node);

/* directories: dir_ops.c */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie,
		    struct fuse_file_info *fi);

/* contents, READ and WRITE excepted (io.h): file_ops.c */
void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset,
		  off_t n, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset,
			struct fuse_file_info *from_fi, fuse_ino_t to,
			off_t to_offset, struct fuse_file_info *to_fi, size_t n,
			int flags);
void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence,
	      struct fuse_file_info *fi);
/* How a file is opened, for OPEN and CREATE: by cache mode. */
void op_open_flags(const struct fs *fs, struct fuse_file_info *fi);

/* extended attributes: xattr_ops.c */
void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name,
		 size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name,
		 const char *value, size_t n, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name);

#endif
