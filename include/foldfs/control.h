/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: what foldctl and other programs say to a mount's daemon.
 *
 * Where: FOLDFS_SOCKET_DIR/ID.sock, for mounts of ordinary users
 * $XDG_RUNTIME_DIR/foldfs/ID.sock. ID is the minor number of the mount's
 * device, the second number in the third field of its line in
 * /proc/self/mountinfo (and the name of its folder in
 * /sys/fs/fuse/connections). So a socket is found, and answers, without the
 * mount being touched: also when the mount is stuck.
 *
 * How: SOCK_STREAM; a request is one line, so is its answer, which is one JSON
 * object; as many as you like on a connection, answered in order. Lines end
 * with a newline and are at most FOLDFS_REQUEST_MAX bytes. A request is words
 * with one blank between them; the last word of `set` is the rest of the line.
 *
 *	stat			all keys:  {"ok":true,"stats":{...}}
 *	get KEY			{"ok":true,"key":"KEY","value":...}
 *	set KEY VALUE		{"ok":true}
 *	keys			{"ok":true,"keys":[{"name":...,"kind":...,
 *				"unit":...,"set":...,"values":...,
 *				"help":...},...]}
 *	hello			{"ok":true,"version":...,"protocol":1,"pid":...,
 *				"mountpoint":...,"source":...,"id":...}
 *	check			{"ok":true,"checked":{"inodes":N,"pages":N,...},
 *				"took_ms":N,"found":N,"faults":["...",...]}
 *	stop			ends the mount as SIGTERM does: {"ok":true}
 *
 * What failed: {"ok":false,"errno":"EINVAL","error":"a sentence"}. Keys are
 * without the user.foldfs. prefix. A value is a number for counters and gauges,
 * a string for texts, a list of objects for tables. Bytes that are not ASCII
 * (of a mount point, say) are \u0080 to \u00ff, one for each byte.
 *
 * A `set` may take a while (workers that leave finish what they do); others are
 * answered meanwhile. A `check` walks all state while every request to the
 * mount stands still: `found` are the things that do not add up, `faults`
 * sentences about the first of them. `stop` is answered before it begins; asked
 * once more, it ends a mount that is in use, but for one that is for swap.
 *
 * Who: by SO_PEERCRED root and the mount's owner may `set`, `check` and `stop`;
 * everyone may ask for what the extended attributes show to everyone, so nobody
 * in a mount without allow_other (EPERM). A client that reads nothing, or is
 * silent within a line, for FOLDFS_SOCKET_PATIENCE_S is cut off; so is, when one
 * more than FOLDFS_SOCKET_CLIENTS_MAX comes, the oldest idle one, strangers
 * first. Of one stranger there are FOLDFS_SOCKET_STRANGER_MAX at most, and none
 * of them costs root or the owner a place or a turn. A line that is too long
 * gets an answer (EMSGSIZE), then the end.
 *
 * The file is there from when the mount answers until its daemon ends. One that
 * a killed daemon left behind refuses connections (ECONNREFUSED).
 */
#ifndef FOLDFS_CONTROL_H
#define FOLDFS_CONTROL_H

#define FOLDFS_SOCKET_DIR "/run/foldfs"
#define FOLDFS_SOCKET_USER_DIR "foldfs" /* below $XDG_RUNTIME_DIR */
#define FOLDFS_SOCKET_SUFFIX ".sock"

#define FOLDFS_PROTOCOL 1
/* A key, a blank and the longest value there is; with the newline. */
#define FOLDFS_REQUEST_MAX 8192
/* More than monitors need; few enough to hold buffers for. */
#define FOLDFS_SOCKET_CLIENTS_MAX 64
#define FOLDFS_SOCKET_STRANGER_MAX (FOLDFS_SOCKET_CLIENTS_MAX / 2)
#define FOLDFS_SOCKET_PATIENCE_S 10

#endif
