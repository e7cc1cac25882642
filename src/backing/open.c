/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking a file or a block device, making sure that it is what its owner
 * meant, and letting it go.
 *
 * It is looked at through a descriptor without rights (O_PATH) and opened
 * again through that: what was looked at is what is opened, no device driver
 * or FIFO is woken by looking, and no link is followed.
 */
#include "backing/inside.h"
#include "base/check.h"
#include "base/resident.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a file system's own header lies in. */
#define DEVICE_HEAD_BYTES (128u << 10)

struct opening {
	const struct backing_config *config;
	int fd;
	bool created;
	bool is_device;
	uint64_t device_bytes;
	mode_t mode;
	char *why;
	size_t why_bytes;
};

/* @err, said in a sentence. */
static int refuse(const struct opening *o, int err, const char *what)
{
	snprintf(o->why, o->why_bytes, "%s%s%s", o->config->path,
		 *what ? " " : ": ", *what ? what : strerror(-err));
	return err;
}

/* --- what it is --- */

static int on_foldfs(const struct opening *o)
{
	return refuse(o, -EXDEV,
		      "is on a foldfs: what it is to relieve would go back "
		      "into RAM");
}

static int check_path(const struct opening *o)
{
	int r = path_check(o->config->path, "/proc/self/mountinfo");

	if (r == -EXDEV)
		return on_foldfs(o);
	return r < 0 && r != -ENOENT ? refuse(o, r, "") : 0;
}

/* A disk may be a file itself. */
static int check_disk(const struct opening *o)
{
	struct stat st;
	dev_t dev;

	if (fstat(o->fd, &st) < 0)
		return refuse(o, -errno, "");
	dev = o->is_device ? st.st_rdev : st.st_dev;
	return path_check_device(dev, "/sys/dev/block",
				 "/proc/self/mountinfo") == -EXDEV
		       ? on_foldfs(o)
		       : 0;
}

static int check_type(struct opening *o, const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return refuse(o, -ELOOP, "is a symbolic link: name its target");
	if (S_ISDIR(st->st_mode))
		return refuse(o, -EISDIR, "is a directory, not a file");
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return refuse(o, -EINVAL,
			      "is neither a file nor a block device");
	if (S_ISREG(st->st_mode) && st->st_nlink > 1)
		return refuse(o, -EMLINK, "has a second name (hard link)");
	o->is_device = S_ISBLK(st->st_mode);
	o->mode = st->st_mode;
	return 0;
}

static int open_for_writing(struct opening *o, int path_fd)
{
	char name[sizeof("/proc/self/fd/") + 12];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	o->fd = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY |
				   (o->is_device ? O_EXCL : 0));
	if (o->fd >= 0)
		return 0;
	if (errno == EBUSY)
		return refuse(o, -EBUSY, "is in use (mounted or taken)");
	return refuse(o, -errno, "");
}

static int open_existing(struct opening *o)
{
	struct stat st;
	int fd = open(o->config->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : refuse(o, -errno, "");
	r = fstat(fd, &st) < 0 ? refuse(o, -errno, "") : check_type(o, &st);
	if (!r)
		r = open_for_writing(o, fd);
	close(fd);
	return r;
}

static int open_or_create(struct opening *o)
{
	int r = open_existing(o);

	if (r != -ENOENT)
		return r;
	o->fd = open(o->config->path,
		     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return refuse(o, -errno, "");
	o->created = true;
	o->mode = S_IFREG | 0600;
	return 0;
}

/* --- whose it is --- */

static bool is_zero(const char *bytes, size_t n_bytes)
{
	return !n_bytes ||
	       (bytes[0] == 0 && !memcmp(bytes, bytes + 1, n_bytes - 1));
}

/* @head: room for DEVICE_HEAD_BYTES. */
static int check_content(const struct opening *o, char *head)
{
	ssize_t n = pread(o->fd, head,
			  o->is_device ? DEVICE_HEAD_BYTES : BLOCK_BYTES, 0);

	if (n < 0)
		return refuse(o, -errno, "");
	if (n >= (ssize_t)strlen(FILE_MAGIC) &&
	    !memcmp(head, FILE_MAGIC, strlen(FILE_MAGIC)))
		return 0;
	if (o->config->force || n == 0 ||
	    (o->is_device && is_zero(head, (size_t)n)))
		return 0;
	return refuse(o, -EEXIST,
		      o->is_device ? "has something on it that is not foldfs's"
				   : "is not empty and not foldfs's");
}

static int check_size(struct opening *o)
{
	o->device_bytes = UINT64_MAX;
	if (o->is_device && ioctl(o->fd, BLKGETSIZE64, &o->device_bytes) < 0)
		return refuse(o, -errno, "");
	if (o->device_bytes < BACKING_SEGMENT_BYTES ||
	    (o->config->most_bytes &&
	     o->config->most_bytes < BACKING_SEGMENT_BYTES))
		return refuse(o, -EINVAL,
			      "would be too small: 1 MiB is the least");
	return 0;
}

static int check_mine(struct opening *o, char *head)
{
	int r;

	if (flock(o->fd, LOCK_EX | LOCK_NB) < 0)
		return refuse(o, errno == EWOULDBLOCK ? -EBUSY : -errno,
			      errno == EWOULDBLOCK
				      ? "is in use by another mount"
				      : "");
	r = check_size(o);
	if (!r)
		r = check_content(o, head);
	if (r < 0 || o->is_device || !(o->mode & 077))
		return r;
	/* Pages are their owners' secrets. */
	return fchmod(o->fd, 0600) < 0 ? refuse(o, -errno, "") : 0;
}

/* --- making it ours --- */

static uint64_t random_id(void)
{
	uint64_t id = 0;

	while (id == 0)
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			id = 0;
	return id;
}

/* Nothing of what is not asked for comes into the page cache. */
static int use_cache(struct backing *b, int fd, int flags)
{
	b->direct = false;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0 ? -errno : 0;
}

/* Threads have hands to seal with, a ring has none. */
static enum io_kind engine_for(const struct backing *b, enum io_kind kind)
{
	return b->crypt && kind == IO_BEST ? IO_THREADS : kind;
}

/* Also the trial whether it can be done without the page cache. */
static int write_header(struct backing *b, int fd, enum crypt_cipher cipher,
			uint64_t id, bool cached)
{
	struct file_header *header = (void *)b->chunks[0].bytes;
	struct io_write w = {
		.fd = fd,
		.bytes = b->chunks[0].bytes,
		.n_bytes = BLOCK_BYTES,
	};
	int flags = fcntl(fd, F_GETFL);
	int r;

	memset(header, 0, sizeof(*header));
	memcpy(header->magic, FILE_MAGIC, strlen(FILE_MAGIC));
	header->id = id;
	header->cipher = cipher;
	b->direct = !cached && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
	if (b->direct) {
		r = io_write_all(&w);
		if (r != -EINVAL)
			return r;
	}
	r = use_cache(b, fd, flags);
	return r < 0 ? r : io_write_all(&w);
}

static void store_word(struct backing *b, unsigned word, uint64_t value)
{
	atomic_store_explicit(word_of(b, word), value, memory_order_release);
}

static void forget_key(struct backing *b)
{
	for (unsigned i = 0; i < CRYPT_KEY_WORDS; i++)
		store_word(b, WORD_KEY + i, 0);
}

/* A key for the file that is about to be opened, where an attach finds it. */
static int make_cipher(struct backing *b, enum crypt_cipher *ret_cipher)
{
	uint64_t key[CRYPT_KEY_WORDS];
	int r = crypt_choose(ret_cipher);

	if (r < 0)
		return r;
	crypt_make_key(key);
	r = crypt_new(*ret_cipher, key, &b->crypt);
	if (!r) {
		/* Best effort, as RLIMIT_MEMLOCK may be too low. */
		mlock(word_of(b, WORD_KEY), sizeof(key));
		for (unsigned i = 0; i < CRYPT_KEY_WORDS; i++)
			store_word(b, WORD_KEY + i, key[i]);
	}
	crypt_forget(key, sizeof(key));
	return r;
}

static int take_over(struct backing *b, const struct opening *o,
		     enum io_kind kind)
{
	enum crypt_cipher cipher = CRYPT_NONE;
	uint64_t id = random_id();
	int r = o->config->encrypt ? make_cipher(b, &cipher) : 0;

	if (r == -EOPNOTSUPP)
		return refuse(o, r,
			      "cannot be encrypted: "
			      "built without libsodium");
	if (r < 0)
		return refuse(o, r, "");
	if (!o->is_device && ftruncate(o->fd, 0) < 0)
		return refuse(o, -errno, "");
	r = write_header(b, o->fd, cipher, id, kind == IO_CACHED);
	if (!r)
		r = io_new(engine_for(b, kind), !b->direct, &b->io);
	if (r < 0) {
		file_wipe(o->fd, o->is_device);
		return refuse(o, r, "");
	}
	b->is_device = o->is_device;
	b->sector = file_sector(b, o->fd);
	b->device_bytes = o->device_bytes;
	backing_set_most(b, o->config->most_bytes);
	/* What is known of another file is nothing to this one. */
	backing_resume(b);
	store_word(b, WORD_FLAGS, cipher);
	store_word(b, WORD_FILE, id);
	atomic_store_explicit(&b->fd, o->fd, memory_order_release);
	return 0;
}

/* What there is of an open file in memory, half-built too. */
static void give_up(struct backing *b)
{
	io_free(b->io);
	b->io = NULL;
	crypt_free(b->crypt);
	b->crypt = NULL;
	window_down(b);
	chunks_down(b);
}

/* Chunks; and the window of a daemon that serves swap, which maps nothing while
 * it does. Where that finds no room a visit tries again. */
static int memory_up(struct backing *b)
{
	int r = chunks_up(b);

	if (!r && resident_is_on())
		(void)!window_up(b);
	return r;
}

int backing_open_kind(struct backing *b, const struct backing_config *config,
		      enum io_kind kind, char *why, size_t why_bytes)
{
	struct opening o = {
		.config = config,
		.fd = -1,
		.why = why,
		.why_bytes = why_bytes,
	};
	int r;

	if (backing_is_open(b))
		return refuse(&o, -EBUSY, "is one backing file too many");
	r = memory_up(b);
	if (r < 0)
		return refuse(&o, r, "");
	r = check_path(&o);
	if (!r)
		r = open_or_create(&o);
	if (!r)
		r = check_disk(&o);
	if (!r)
		r = check_mine(&o, b->chunks[0].bytes);
	if (!r)
		r = take_over(b, &o, kind);
	if (!r)
		return 0;
	give_up(b);
	forget_key(b);
	if (o.fd >= 0)
		close(o.fd);
	if (o.created)
		unlink(config->path);
	return r;
}

int backing_open(struct backing *b, const struct backing_config *config,
		 char *why, size_t why_bytes)
{
	return backing_open_kind(b, config, IO_BEST, why, why_bytes);
}

/* --- another life's --- */

static int check_header(struct backing *b, int fd)
{
	struct file_header *header = (void *)b->chunks[0].bytes;
	int r = io_read_all(fd, header, sizeof(*header), 0);

	if (r < 0)
		return r;
	if (memcmp(header->magic, FILE_MAGIC, strlen(FILE_MAGIC)) != 0 ||
	    !header->id ||
	    header->id != atomic_load_explicit(word_of(b, WORD_FILE),
					       memory_order_acquire))
		return -EINVAL;
	return 0;
}

static int find_cipher(struct backing *b)
{
	uint64_t key[CRYPT_KEY_WORDS];
	enum crypt_cipher cipher = atomic_load_explicit(word_of(b, WORD_FLAGS),
							memory_order_acquire) &
				   FLAGS_CIPHER;
	int r;

	if (cipher == CRYPT_NONE)
		return 0;
	mlock(word_of(b, WORD_KEY), sizeof(key));
	for (unsigned i = 0; i < CRYPT_KEY_WORDS; i++)
		key[i] = atomic_load_explicit(word_of(b, WORD_KEY + i),
					      memory_order_acquire);
	r = crypt_new(cipher, key, &b->crypt);
	crypt_forget(key, sizeof(key));
	return r;
}

int backing_open_again(struct backing *b, int fd)
{
	struct stat st;
	int r;

	if (backing_is_open(b))
		return -EBUSY;
	if (fstat(fd, &st) < 0)
		return -errno;
	b->is_device = S_ISBLK(st.st_mode);
	b->device_bytes = UINT64_MAX;
	if (b->is_device && ioctl(fd, BLKGETSIZE64, &b->device_bytes) < 0)
		return -errno;
	b->direct = fcntl(fd, F_GETFL) & O_DIRECT;
	b->sector = file_sector(b, fd);
	r = memory_up(b);
	if (!r)
		r = check_header(b, fd);
	if (!r)
		r = find_cipher(b);
	if (!r)
		r = io_new(engine_for(b, IO_BEST), !b->direct, &b->io);
	if (r < 0) {
		give_up(b);
		return r;
	}
	atomic_store_explicit(&b->most_bytes,
			      atomic_load_explicit(word_of(b, WORD_MOST),
						   memory_order_acquire),
			      memory_order_relaxed);
	atomic_store_explicit(&b->fd, fd, memory_order_release);
	return 0;
}

/* --- its end --- */

void file_let_go(struct backing *b)
{
	int fd = atomic_exchange_explicit(&b->fd, -1, memory_order_acq_rel);

	give_up(b);
	if (fd >= 0)
		close(fd);
}

static void end_file(struct backing *b, int fd)
{
	store_word(b, WORD_FILE, 0);
	store_word(b, WORD_FLAGS, CRYPT_NONE);
	forget_key(b);
	munlock(word_of(b, WORD_KEY), CRYPT_KEY_WORDS * sizeof(uint64_t));
	file_wipe(fd, b->is_device);
	give_up(b);
	close(fd);
}

void backing_abandon(struct backing *b)
{
	int fd = atomic_exchange_explicit(&b->fd, -1, memory_order_acq_rel);

	if (fd >= 0)
		end_file(b, fd);
}

static bool is_used(struct backing *b)
{
	bool used;

	lock_take(&b->lock);
	used = b->used > 0;
	lock_drop(&b->lock);
	return used;
}

int backing_close(struct backing *b)
{
	int fd = backing_descriptor(b);

	if (fd < 0)
		return 0;
	if (b->filling || b->in_flight)
		return -EBUSY;
	log_leave_segment(b);
	if (is_used(b))
		return -EBUSY;
	/* A late reader, whose extent has gone, may still be at it. */
	atomic_store_explicit(&b->fd, -1, memory_order_seq_cst);
	if (atomic_load_explicit(&b->readers, memory_order_seq_cst)) {
		atomic_store_explicit(&b->fd, fd, memory_order_release);
		return -EBUSY;
	}
	end_file(b, fd);
	return 0;
}
