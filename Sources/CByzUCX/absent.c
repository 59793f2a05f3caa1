#include "CByzUCX.h"

// What is left when UCX's headers are not there: byz_ucx_load() fails, so that nothing else is called.
#if !__has_include(<ucp/api/ucp.h>)

enum { NOT_THERE = -1 };

bool byz_ucx_load(void) { return false; }
const char *byz_ucx_error(void) { return "UCX headers were not there when this was built"; }
const char *byz_ucx_version(void) { return ""; }
const char *byz_ucx_status_text(int status) { return byz_ucx_error(); }

int byz_ucx_context_create(const char *transports, byz_ucx_context **context) {
  *context = NULL;
  return NOT_THERE;
}

void byz_ucx_context_destroy(byz_ucx_context *context) {}

int byz_ucx_worker_create(byz_ucx_context *context, byz_ucx_events events,
                          byz_ucx_worker **worker) {
  *worker = NULL;
  return NOT_THERE;
}

void byz_ucx_worker_destroy(byz_ucx_worker *worker) {}
bool byz_ucx_progress(byz_ucx_worker *worker) { return false; }
bool byz_ucx_arm(byz_ucx_worker *worker) { return false; }
void byz_ucx_sleep(byz_ucx_worker *worker, bool is_armed, int timeout) {}
void byz_ucx_wake(byz_ucx_worker *worker) {}

int byz_ucx_connect(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                    bool shared_memory) {
  return NOT_THERE;
}

int byz_ucx_accept(byz_ucx_worker *worker, void *request, bool shared_memory) { return NOT_THERE; }
void byz_ucx_reject(byz_ucx_worker *worker, void *request) {}
int byz_ucx_request_address(void *request, struct sockaddr_storage *address) { return NOT_THERE; }

int byz_ucx_listen(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                   struct sockaddr_storage *bound) {
  return NOT_THERE;
}

int byz_ucx_send(byz_ucx_worker *worker, byz_ucx_part part, const void *bytes, size_t byte_count,
                 bool eager) {
  return NOT_THERE;
}

void byz_ucx_close(byz_ucx_worker *worker) {}
bool byz_ucx_is_closed(byz_ucx_worker *worker) { return true; }

#endif
