/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control socket needs of the mount. */
#include "fs/talk.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "ctl/socket.h"
#include "foldfs/control.h"
#include "fs/check.h"
#include "fs/control.h"
#include "fs/later.h"
#include "fs/mount_id.h"
#include "fs/spill_knobs.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* As by the attributes of the hidden file, which strangers cannot even see in
 * a mount that is one user's alone. */
static enum ctl_right right(void *arg, uid_t peer)
{
	struct talk *talk = arg;

	if (control_may_change(talk->fs, peer))
		return CTL_MAY_CHANGE;
	return talk->fs->config->allow_other ? CTL_MAY_ASK : CTL_MAY_NOTHING;
}

struct change_job {
	struct later_job job;
	struct ctl_change *change;
};

static void run(struct fs *fs, struct later_job *job)
{
	struct change_job *c = container_of(job, struct change_job, job);
	struct ctl_change *change = c->change;
	int r;

	if (change->is_check) {
		ctl_check_done(change, check_answer(fs));
		return;
	}
	r = protocol_set(&fs->ctl, change->key, change->value, change->n);
	if (spill_knob_is_slow(change->key))
		spiller_release(fs->spiller, SPILL_ORDER_MOUNT);
	ctl_change_done(change, r);
}

static void cancel(struct fs *fs UNUSED, struct later_job *job)
{
	struct change_job *c = container_of(job, struct change_job, job);

	if (c->change->is_check)
		ctl_check_done(c->change, protocol_check_refusal(-EINTR));
	else
		ctl_change_done(c->change, -EINTR);
}

static int change(void *arg, struct ctl_change *change)
{
	struct talk *talk = arg;
	struct fs *fs = talk->fs;
	bool slow = !change->is_check && spill_knob_is_slow(change->key);
	struct change_job *c = heap_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (slow && spiller_claim(fs->spiller, SPILL_ORDER_MOUNT) != 0) {
		heap_free(c);
		return -EBUSY;
	}
	*c = (struct change_job){
		.job = {.run = run, .cancel = cancel},
		.change = change,
	};
	later_post(slow ? fs->slow : fs->later, &c->job);
	return 0;
}

static void stop(void *arg)
{
	struct talk *talk = arg;

	signals_ask(talk->signals);
}

static const struct ctl_socket_ops ops = {
	.right = right,
	.change = change,
	.stop = stop,
};

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0' || top[n - 1] == '/');
}

void talk_prepare(struct talk *talk, struct fs *fs, struct signals *signals)
{
	char real[PATH_MAX];

	*talk = (struct talk){.fs = fs, .signals = signals};
	talk->no_dir =
		place_dir(fs->owner, getenv("XDG_RUNTIME_DIR"), talk->dir);
	if (talk->no_dir)
		return;
	/* Our own file in our own mount would keep it busy for ever. */
	if (!realpath(talk->dir, real))
		talk->no_dir = -errno;
	else if (is_below(real, fs->config->mountpoint))
		talk->no_dir = -EBUSY;
}

static int start_socket(struct talk *talk)
{
	struct fs *fs = talk->fs;
	struct ctl_socket_config config = {
		.protocol =
			{
				.ctl = &fs->ctl,
				.mountpoint = fs->config->mountpoint,
				.source = fs->config->source,
			},
		.ops = &ops,
		.arg = talk,
		.budget = &fs->engine.budget,
		.dir = talk->dir,
		.patience_ns = FOLDFS_SOCKET_PATIENCE_S * NS_PER_S,
	};
	int r = talk->no_dir;

	if (!r)
		r = mount_id("/proc/self/mountinfo", fs->config->mountpoint,
			     &config.protocol.id);
	/* Unmounted again already: nobody will ask. */
	if (!talk->no_dir && r == -ENOENT)
		return 0;
	/* That was whoever is on top. */
	if (fs->mount_id)
		config.protocol.id = fs->mount_id;
	return r ? r : ctl_socket_start(&config, &talk->socket);
}

static const char *why(int r)
{
	switch (-r) {
	case EDESTADDRREQ:
		return "XDG_RUNTIME_DIR is not set";
	case EPERM:
		return "the directory is not this user's alone";
	case EBUSY:
		return "the directory is below the mount point";
	}
	return strerror(-r);
}

void talk_start(struct talk *talk)
{
	int r = start_socket(talk);

	if (r)
		log_warning("%s: no control socket%s%s: %s",
			    talk->fs->config->mountpoint,
			    talk->dir[0] ? " in " : "", talk->dir, why(r));
}

void talk_stop(struct talk *talk)
{
	ctl_socket_stop(talk->socket);
	talk->socket = NULL;
}
