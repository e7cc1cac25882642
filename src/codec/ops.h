/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codecs that are compiled in, for the registry in codec.c alone. */
#ifndef SRC_CODEC_OPS_H
#define SRC_CODEC_OPS_H

#include "codec/codec.h"

extern const struct codec_ops codec_raw_ops;
extern const struct codec_ops codec_lz4_ops;
extern const struct codec_ops codec_lz4hc_ops;
extern const struct codec_ops codec_zstd_ops;

#endif
