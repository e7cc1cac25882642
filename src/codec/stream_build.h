/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making and freeing the memory of one stream, for stream.c alone. Knows no
 * slot and no lock: the caller holds the slot's lock or has not published.
 */
#ifndef SRC_CODEC_STREAM_BUILD_H
#define SRC_CODEC_STREAM_BUILD_H

#include "codec/stream.h"

/* The contexts that every stream has; a codec of RAW means none. */
struct stream_plan {
	struct codec_params shared[STREAM_SHARED];
	struct codec_params next; /* becomes the spare */
};

/* A whole stream by @plan, or -ENOMEM and nothing. Where memory is locked all of
 * it is there, so that using it later needs none from the kernel either. */
int stream_build(struct sets *sets, unsigned slot,
		 const struct stream_plan *plan, struct stream_counts *counts,
		 struct stream **ret_stream) MUST_CHECK;
void stream_destroy(struct stream *stream);

/* A context for @params in the stream's memory; for RAW an empty one. */
int stream_ctx_make(struct stream *stream, const struct codec_params *params,
		    struct stream_ctx *ret_ctx) MUST_CHECK;
void stream_ctx_drop(struct stream *stream, struct stream_ctx *ctx);

#endif
