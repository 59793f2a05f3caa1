#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "CByzZlib.h"

// zlib's own interface, stable since version 1.0 (1996) and checked by inflateInit2_, which compares this size.
typedef struct {
  const unsigned char *next_in;
  unsigned avail_in;
  unsigned long total_in;
  unsigned char *next_out;
  unsigned avail_out;
  unsigned long total_out;
  const char *msg;
  void *state, *zalloc, *zfree, *opaque;
  int data_type;
  unsigned long adler, reserved;
} z_stream;
enum { Z_OK = 0, Z_STREAM_END = 1, Z_MEM_ERROR = -4, Z_BUF_ERROR = -5, Z_NO_FLUSH = 0, GZIP_WINDOW = 15 + 16 };

static int (*init)(z_stream *, int, const char *, int);
static int (*step)(z_stream *, int);
static int (*end)(z_stream *);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  static const char *const names[] = {"libz.so.1", "libz.1.dylib", "libz.so"};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0] && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  step = (int (*)(z_stream *, int))dlsym(library, "inflate");
  end = (int (*)(z_stream *))dlsym(library, "inflateEnd");
  init = (int (*)(z_stream *, int, const char *, int))dlsym(library, "inflateInit2_");
}

bool byz_zlib_available(void) {
  pthread_once(&once, load);
  return init && step && end;
}

struct byz_inflater {
  z_stream stream;
};

byz_inflater *byz_inflater_create(void) {
  if (!byz_zlib_available()) return NULL;
  byz_inflater *inflater = calloc(1, sizeof *inflater);
  // zlib compares the first digit of the version only.
  if (inflater && init(&inflater->stream, GZIP_WINDOW, "1", sizeof inflater->stream) != Z_OK) {
    free(inflater);
    return NULL;
  }
  return inflater;
}

byz_inflate_status byz_inflater_step(byz_inflater *inflater, const void **in, size_t *in_count, void **out,
                                     size_t *out_count) {
  z_stream *stream = &inflater->stream;
  int result = Z_OK;
  while (result == Z_OK) {
    // zlib counts in unsigned int: huge buffers go in pieces.
    const unsigned give = *in_count < INT_MAX ? (unsigned)*in_count : INT_MAX;
    const unsigned room = *out_count < INT_MAX ? (unsigned)*out_count : INT_MAX;
    stream->next_in = *in, stream->avail_in = give;
    stream->next_out = *out, stream->avail_out = room;
    result = step(stream, Z_NO_FLUSH);
    *in = stream->next_in, *in_count -= give - stream->avail_in;
    *out = stream->next_out, *out_count -= room - stream->avail_out;
    if (result == Z_OK && *out_count == 0) break;
  }
  switch (result) {
  case Z_OK:
  case Z_BUF_ERROR: return BYZ_INFLATE_OK;  // no more input, or no more room
  case Z_STREAM_END: return BYZ_INFLATE_END;
  case Z_MEM_ERROR: return BYZ_INFLATE_NO_MEMORY;
  default: return BYZ_INFLATE_CORRUPT;
  }
}

void byz_inflater_destroy(byz_inflater *inflater) {
  end(&inflater->stream);
  free(inflater);
}
