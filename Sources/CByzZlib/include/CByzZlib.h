// zlib, loaded at run time: gunzipping is the only use, and no header or link option of zlib is needed.
#ifndef CBYZZLIB_H
#define CBYZZLIB_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// One gzip member being inflated.
typedef struct byz_inflater byz_inflater;

/// What a step of inflating ended with.
typedef enum { BYZ_INFLATE_OK = 0, BYZ_INFLATE_END = 1, BYZ_INFLATE_CORRUPT = 2, BYZ_INFLATE_NO_MEMORY = 3 } byz_inflate_status;

/// Whether zlib is there.
bool byz_zlib_available(void);

/// NULL without zlib or memory.
byz_inflater *_Nullable byz_inflater_create(void);

/// Inflates from `*in` (`*in_count` bytes) to `*out` (room for `*out_count`), and moves all four past what was used.
/// Ends early only where the member ends (its checksum compared by then) or at an error.
byz_inflate_status byz_inflater_step(byz_inflater *inflater, const void *_Nullable *_Nonnull in, size_t *in_count,
                                     void *_Nullable *_Nonnull out, size_t *out_count);

void byz_inflater_destroy(byz_inflater *inflater);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
