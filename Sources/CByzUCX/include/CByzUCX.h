// UCX, loaded at run time: libucp's active messages over whatever two machines have between them.
//
// Compiled against UCX's headers where they are; without them byz_ucx_load() says so, and nothing
// else does anything. Nothing here is thread-safe but byz_ucx_load(), byz_ucx_sleep() and byz_ucx_wake(): a worker
// with its endpoint and its listener is used by one thread at a time, and a context outlives its
// workers.
#ifndef CBYZUCX_H
#define CBYZUCX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// Loads libucp.so.0 on the first call, from whatever thread; later calls return what the first one
/// found.
bool byz_ucx_load(void);

/// Why byz_ucx_load() returned false; NULL if it was not called or succeeded.
const char *_Nullable byz_ucx_error(void);

// Everything below requires that byz_ucx_load() returned true. A status is 0 or one of UCX's, which
// are negative.

/// UCX's version: "1.13.1".
const char *byz_ucx_version(void);

/// A status in words.
const char *byz_ucx_status_text(int status);

/// UCX's devices and transports.
typedef struct byz_ucx_context byz_ucx_context;

/// Opens the devices. `transports` is a list as UCX_TLS takes it; NULL leaves the choice to UCX and
/// the environment.
int byz_ucx_context_create(const char *_Nullable transports,
                           byz_ucx_context *_Nullable *_Nonnull context);
void byz_ucx_context_destroy(byz_ucx_context *context);

/// One piece of a message.
typedef struct byz_ucx_part {
  /// The message's number.
  uint64_t frame;
  /// Which of its parts this is.
  uint32_t index;
  /// How many parts the message has.
  uint32_t count;
} byz_ucx_part;

/// What a worker tells, on the thread that calls one of the functions below and inside that call.
/// None of these may call back into the worker.
typedef struct byz_ucx_events {
  void *_Nullable owner;
  /// A part of `byte_count` bytes arrives; all numbers are whatever the other side says. Returns
  /// memory for it, which stays until `received` is called or the worker destroyed; NULL to refuse.
  void *_Nullable (*_Nonnull allocate)(void *_Nullable owner, byz_ucx_part part, size_t byte_count);
  /// A part is in the memory that `allocate` returned, or could not be fetched.
  void (*_Nonnull received)(void *_Nullable owner, byz_ucx_part part, int status);
  /// The bytes that byz_ucx_send() was given are no longer read.
  void (*_Nonnull sent)(void *_Nullable owner, byz_ucx_part part, int status);
  /// Something arrived that ByzKit does not send.
  void (*_Nonnull malformed)(void *_Nullable owner);
  /// The endpoint is broken, or the other side has closed it.
  void (*_Nonnull failed)(void *_Nullable owner, int status);
  /// Someone wants to connect to the listener. The request goes to byz_ucx_accept() or to
  /// byz_ucx_reject(), later.
  void (*_Nonnull requested)(void *_Nullable owner, void *request);
} byz_ucx_events;

/// A UCX worker with at most one endpoint and at most one listener.
typedef struct byz_ucx_worker byz_ucx_worker;

int byz_ucx_worker_create(byz_ucx_context *context, byz_ucx_events events,
                          byz_ucx_worker *_Nullable *_Nonnull worker);

/// Frees the worker, whatever is still on its way.
void byz_ucx_worker_destroy(byz_ucx_worker *worker);

/// Does what there is to do, and returns whether there was anything.
bool byz_ucx_progress(byz_ucx_worker *worker);

/// Prepares to sleep, and returns false when there is something to do instead.
bool byz_ucx_arm(byz_ucx_worker *worker);

/// Sleeps until there may be something to do, byz_ucx_wake() is called or was called since the last
/// sleep, or `timeout` milliseconds have passed; -1 for no limit. Unless the worker was armed, what
/// the other side sends does not count. Meanwhile another thread may use the worker.
void byz_ucx_sleep(byz_ucx_worker *worker, bool is_armed, int timeout);

/// Ends a sleep. From any thread while the worker exists.
void byz_ucx_wake(byz_ucx_worker *worker);

/// Begins to connect to an address.
///
/// With `shared_memory` transports take part that do not notice when the other side is gone; then
/// only the end of its process is reported, by the socket that made the connection.
int byz_ucx_connect(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                    bool shared_memory);

/// Makes the worker's endpoint from the request that came to a listener of the same context, which
/// is used up whatever is returned. Both sides have to agree on `shared_memory`.
int byz_ucx_accept(byz_ucx_worker *worker, void *request, bool shared_memory);

/// Refuses a request that came to this worker's listener.
void byz_ucx_reject(byz_ucx_worker *worker, void *request);

/// The address that a request comes from.
int byz_ucx_request_address(void *request, struct sockaddr_storage *address);

/// Listens at an address; `bound` receives it with the port that was chosen.
int byz_ucx_listen(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                   struct sockaddr_storage *bound);

/// Begins to send a part: with `eager` a copy of the bytes, which should be few; else by rendezvous
/// from where they lie, and they must stay until `sent` is called or the worker destroyed. When it
/// returns an error, `sent` is not called.
int byz_ucx_send(byz_ucx_worker *worker, byz_ucx_part part, const void *_Nullable bytes,
                 size_t byte_count, bool eager);

/// Begins to close the endpoint. Between machines nothing waits for the other side; in shared memory
/// what the other side is reading is waited for.
void byz_ucx_close(byz_ucx_worker *worker);

/// Whether the endpoint is closed, or never was there.
bool byz_ucx_is_closed(byz_ucx_worker *worker);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
