#include "CByzUCX.h"

#if __has_include(<ucp/api/ucp.h>)

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library.h"

#define ucx byz_ucx_functions

/// The number of ByzKit's active messages.
enum { MESSAGE_ID = 0x42 };

/// What precedes a part's bytes. Both sides have the same byte order, or the magic differs.
typedef struct {
  uint32_t magic;
  uint32_t count;
  uint64_t frame;
  uint32_t index;
  uint32_t reserved;
} header;

static const uint32_t MAGIC = 0x425a5531;

/// A send or a receive on its way, in its worker's list.
typedef struct operation {
  struct operation *next, **link;
  byz_ucx_worker *worker;
  byz_ucx_part part;
  header header;
  char copy[];
} operation;

struct byz_ucx_worker {
  ucp_worker_h ucp;
  int descriptor;
  int bell;
  byz_ucx_events events;
  ucp_ep_h endpoint;
  bool shared_memory;
  bool is_closing;
  ucp_listener_h listener;
  operation *operations;
};

static operation *begin_operation(byz_ucx_worker *worker, byz_ucx_part part, size_t copied) {
  operation *new = byz_ucx_allocate(sizeof *new + copied);
  *new = (operation){
      .next = worker->operations,
      .link = &worker->operations,
      .worker = worker,
      .part = part,
      .header = {.magic = MAGIC, .count = part.count, .frame = part.frame, .index = part.index},
  };
  if (new->next) new->next->link = &new->next;
  worker->operations = new;
  return new;
}

static void end_operation(operation *ended) {
  *ended->link = ended->next;
  if (ended->next) ended->next->link = ended->link;
  free(ended);
}

static void end_send(operation *send, ucs_status_t status) {
  byz_ucx_events *events = &send->worker->events;
  events->sent(events->owner, send->part, status);
  end_operation(send);
}

static void end_receive(operation *receive, ucs_status_t status) {
  byz_ucx_events *events = &receive->worker->events;
  events->received(events->owner, receive->part, status);
  end_operation(receive);
}

static void did_send(void *request, ucs_status_t status, void *send) {
  end_send(send, status);
  ucx.ucp_request_free(request);
}

static void did_receive(void *request, ucs_status_t status, size_t length, void *receive) {
  end_receive(receive, status);
  ucx.ucp_request_free(request);
}

/// An active message of ours, or of someone who forges one: everything in it may be anything.
static ucs_status_t message_arrived(void *argument, const void *bytes, size_t header_length,
                                    void *data, size_t length, const ucp_am_recv_param_t *param) {
  byz_ucx_worker *worker = argument;
  byz_ucx_events *events = &worker->events;
  header header;
  if (worker->is_closing) return UCS_OK;
  if (header_length != sizeof header) {
    events->malformed(events->owner);
    return UCS_OK;
  }
  memcpy(&header, bytes, sizeof header);
  if (header.magic != MAGIC || header.reserved != 0) {
    events->malformed(events->owner);
    return UCS_OK;
  }
  const byz_ucx_part part = {.frame = header.frame, .index = header.index, .count = header.count};
  void *memory = events->allocate(events->owner, part, length);
  if (!memory) return UCS_OK;
  if (!(param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) {
    if (length) memcpy(memory, data, length);
    events->received(events->owner, part, UCS_OK);
    return UCS_OK;
  }
  operation *receive = begin_operation(worker, part, 0);
  const ucp_request_param_t request = {
      .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                      UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
      .cb.recv_am = did_receive,
      .user_data = receive,
  };
  ucs_status_ptr_t started =
      ucx.ucp_am_recv_data_nbx(worker->ucp, data, memory, length, &request);
  if (UCS_PTR_IS_ERR(started)) end_receive(receive, UCS_PTR_STATUS(started));
  return UCS_OK;
}

int byz_ucx_worker_create(byz_ucx_context *context, byz_ucx_events events,
                          byz_ucx_worker **worker) {
  *worker = NULL;
  const ucp_worker_params_t params = {
      .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
      .thread_mode = UCS_THREAD_MODE_SERIALIZED,
  };
  byz_ucx_worker *new = byz_ucx_allocate(sizeof *new);
  new->events = events;
  new->bell = -1;
  ucs_status_t status = ucx.ucp_worker_create(context->ucp, &params, &new->ucp);
  if (status != UCS_OK) {
    free(new);
    return status;
  }
  const ucp_am_handler_param_t handler = {
      .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                    UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
      .id = MESSAGE_ID,
      .flags = UCP_AM_FLAG_WHOLE_MSG,
      .cb = message_arrived,
      .arg = new,
  };
  status = ucx.ucp_worker_set_am_recv_handler(new->ucp, &handler);
  if (status == UCS_OK) status = ucx.ucp_worker_get_efd(new->ucp, &new->descriptor);
  if (status == UCS_OK) new->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (status == UCS_OK && new->bell < 0) status = UCS_ERR_NO_RESOURCE;
  if (status != UCS_OK) {
    byz_ucx_worker_destroy(new);
    return status;
  }
  *worker = new;
  return 0;
}

void byz_ucx_worker_destroy(byz_ucx_worker *worker) {
  if (worker->listener) ucx.ucp_listener_destroy(worker->listener);
  // What a closing endpoint does on its way is of no one's interest.
  worker->is_closing = true;
  // When a peer in shared memory goes, UCX ends what it was reading from there, as many reads as a message has parts, and calls none of
  // that progress. It ends this process if the worker goes before.
  if (worker->shared_memory)
    for (int idle = 0, all = 0; idle < 10000 && all < 1000000; all++)
      idle = ucx.ucp_worker_progress(worker->ucp) ? 0 : idle + 1;
  ucx.ucp_worker_destroy(worker->ucp);
  while (worker->operations) end_operation(worker->operations);
  if (worker->bell >= 0) close(worker->bell);
  free(worker);
}

bool byz_ucx_progress(byz_ucx_worker *worker) { return ucx.ucp_worker_progress(worker->ucp) != 0; }

bool byz_ucx_arm(byz_ucx_worker *worker) { return ucx.ucp_worker_arm(worker->ucp) == UCS_OK; }

void byz_ucx_sleep(byz_ucx_worker *worker, bool is_armed, int timeout) {
  struct pollfd events[] = {{.fd = worker->bell, .events = POLLIN},
                            {.fd = worker->descriptor, .events = POLLIN}};
  poll(events, is_armed ? 2 : 1, timeout);
  uint64_t rings;
  if (events[0].revents && read(worker->bell, &rings, sizeof rings) < 0) return;
}

void byz_ucx_wake(byz_ucx_worker *worker) {
  const uint64_t ring = 1;
  // It only fails when it has rung 2⁶⁴ times unheard.
  if (write(worker->bell, &ring, sizeof ring) < 0) return;
}

static void endpoint_failed(void *argument, ucp_ep_h endpoint, ucs_status_t status) {
  byz_ucx_worker *worker = argument;
  if (!worker->is_closing) worker->events.failed(worker->events.owner, status);
}

static int open_endpoint(byz_ucx_worker *worker, bool shared_memory, ucp_ep_params_t params) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.err_mode = shared_memory ? UCP_ERR_HANDLING_MODE_NONE : UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = endpoint_failed;
  params.err_handler.arg = worker;
  worker->shared_memory = shared_memory;
  return ucx.ucp_ep_create(worker->ucp, &params, &worker->endpoint);
}

int byz_ucx_connect(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                    bool shared_memory) {
  return open_endpoint(
      worker, shared_memory,
      (ucp_ep_params_t){
          .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR,
          .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
          .sockaddr = {.addr = address, .addrlen = length},
      });
}

int byz_ucx_accept(byz_ucx_worker *worker, void *request, bool shared_memory) {
  return open_endpoint(worker, shared_memory,
                       (ucp_ep_params_t){
                           .field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST,
                           .conn_request = request,
                       });
}

static void connection_requested(ucp_conn_request_h request, void *argument) {
  byz_ucx_worker *worker = argument;
  worker->events.requested(worker->events.owner, request);
}

void byz_ucx_reject(byz_ucx_worker *worker, void *request) {
  ucx.ucp_listener_reject(worker->listener, request);
}

int byz_ucx_request_address(void *request, struct sockaddr_storage *address) {
  ucp_conn_request_attr_t attributes = {.field_mask = UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR};
  ucs_status_t status = ucx.ucp_conn_request_query(request, &attributes);
  *address = attributes.client_address;
  return status;
}

int byz_ucx_listen(byz_ucx_worker *worker, const struct sockaddr *address, socklen_t length,
                   struct sockaddr_storage *bound) {
  const ucp_listener_params_t params = {
      .field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER,
      .sockaddr = {.addr = address, .addrlen = length},
      .conn_handler = {.cb = connection_requested, .arg = worker},
  };
  ucs_status_t status = ucx.ucp_listener_create(worker->ucp, &params, &worker->listener);
  if (status != UCS_OK) return status;
  ucp_listener_attr_t attributes = {.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR};
  status = ucx.ucp_listener_query(worker->listener, &attributes);
  *bound = attributes.sockaddr;
  return status;
}

int byz_ucx_send(byz_ucx_worker *worker, byz_ucx_part part, const void *bytes, size_t byte_count,
                 bool eager) {
  operation *send = begin_operation(worker, part, eager ? byte_count : 0);
  if (eager && byte_count) bytes = memcpy(send->copy, bytes, byte_count);
  const ucp_request_param_t request = {
      .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                      UCP_OP_ATTR_FIELD_FLAGS,
      .flags = eager ? UCP_AM_SEND_FLAG_EAGER : UCP_AM_SEND_FLAG_RNDV,
      .cb.send = did_send,
      .user_data = send,
  };
  ucs_status_ptr_t started =
      ucx.ucp_am_send_nbx(worker->endpoint, MESSAGE_ID, &send->header, sizeof send->header, bytes,
                          byte_count, &request);
  if (UCS_PTR_IS_PTR(started)) return 0;
  ucs_status_t status = UCS_PTR_RAW_STATUS(started);
  if (status == UCS_OK)
    end_send(send, status);
  else
    end_operation(send);
  return status;
}

static void did_close(void *request, ucs_status_t status, void *worker) {
  ((byz_ucx_worker *)worker)->endpoint = NULL;
  ucx.ucp_request_free(request);
}

void byz_ucx_close(byz_ucx_worker *worker) {
  if (!worker->endpoint || worker->is_closing) return;
  worker->is_closing = true;
  const ucp_request_param_t request = {
      .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                      UCP_OP_ATTR_FIELD_FLAGS,
      // What UCX demands: by force only where every transport copes with it.
      .flags = worker->shared_memory ? 0 : UCP_EP_CLOSE_FLAG_FORCE,
      .cb.send = did_close,
      .user_data = worker,
  };
  if (!UCS_PTR_IS_PTR(ucx.ucp_ep_close_nbx(worker->endpoint, &request))) worker->endpoint = NULL;
}

bool byz_ucx_is_closed(byz_ucx_worker *worker) { return !worker->endpoint; }

#endif
