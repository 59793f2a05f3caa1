#ifndef BYZ_UCX_LIBRARY_H
#define BYZ_UCX_LIBRARY_H

#include <stdlib.h>
#include <ucp/api/ucp.h>

// Prototypes come from UCX's headers, addresses from dlsym: nothing is linked. The headers' inline
// functions must not be called, since they name what is not there.
#define BYZ_UCX_FUNCTIONS(X)                                \
  X(ucp_init_version)                                       \
  X(ucp_cleanup)                                            \
  X(ucp_config_read)                                        \
  X(ucp_config_modify)                                      \
  X(ucp_config_release)                                     \
  X(ucp_get_version_string)                                 \
  X(ucs_status_string)                                      \
  X(ucp_worker_create)                                      \
  X(ucp_worker_destroy)                                     \
  X(ucp_worker_get_efd)                                     \
  X(ucp_worker_progress)                                    \
  X(ucp_worker_arm)                                         \
  X(ucp_worker_set_am_recv_handler)                         \
  X(ucp_listener_create)                                    \
  X(ucp_listener_destroy)                                   \
  X(ucp_listener_query)                                     \
  X(ucp_listener_reject)                                    \
  X(ucp_conn_request_query)                                 \
  X(ucp_ep_create)                                          \
  X(ucp_ep_close_nbx)                                       \
  X(ucp_am_send_nbx)                                        \
  X(ucp_am_recv_data_nbx)                                   \
  X(ucp_request_free)

#define BYZ_UCX_DECLARE(name) __typeof__(name) *name;
extern struct byz_ucx_functions {
  BYZ_UCX_FUNCTIONS(BYZ_UCX_DECLARE)
} byz_ucx_functions __attribute__((visibility("hidden")));

struct byz_ucx_context {
  ucp_context_h ucp;
};

/// Memory set to zero. The process ends when there is none, as Swift's would.
static inline void *byz_ucx_allocate(size_t byte_count) {
  void *memory = calloc(1, byte_count);
  if (!memory) abort();
  return memory;
}

#endif
