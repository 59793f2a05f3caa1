#include "CByzUCX.h"

#if __has_include(<ucp/api/ucp.h>)

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "CByzSystem.h"
#include "library.h"

struct byz_ucx_functions byz_ucx_functions;
#define ucx byz_ucx_functions

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;
static char error[512];

static void set_error(const char *text) {
  strncpy(error, text ? text : "unknown error", sizeof error - 1);
}

static void load(void) {
  // UCX's constructor takes over the signals of crashes and writes its log to standard output, which
  // belong to the program; and it logs as errors what reaches the program as a status. The user's
  // own settings win, and afterwards the environment is as it was but for one.
  static const char *const settings[][2] = {
      {"UCX_ERROR_SIGNALS", ""}, {"UCX_LOG_FILE", "stderr"}, {"UCX_LOG_LEVEL", "fatal"}};
  enum { COUNT = sizeof settings / sizeof *settings };
  bool is_ours[COUNT];
  byz_environment_lock();
  for (size_t i = 0; i < COUNT; i++) {
    is_ours[i] = !getenv(settings[i][0]);
    if (is_ours[i]) setenv(settings[i][0], settings[i][1], 0);
  }
  // A listener that ended can listen on its port again at once. Read with each worker, and not to be
  // had through a context's configuration, so this one stays.
  setenv("UCX_TCP_CM_REUSEADDR", "y", 0);
  void *library = dlopen("libucp.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) set_error(dlerror());
  for (size_t i = 0; i < COUNT; i++)
    if (is_ours[i]) unsetenv(settings[i][0]);
  byz_environment_unlock();
  if (!library) return;
#define FIND(name)                                               \
  if (!(ucx.name = (__typeof__(ucx.name))dlsym(library, #name))) \
    return set_error(dlerror());
  BYZ_UCX_FUNCTIONS(FIND)
  loaded = true;
}

bool byz_ucx_load(void) {
  pthread_once(&once, load);
  return loaded;
}

const char *byz_ucx_error(void) { return error[0] ? error : NULL; }
const char *byz_ucx_version(void) { return ucx.ucp_get_version_string(); }
const char *byz_ucx_status_text(int status) { return ucx.ucs_status_string((ucs_status_t)status); }

int byz_ucx_context_create(const char *transports, byz_ucx_context **context) {
  *context = NULL;
  ucp_config_t *config;
  ucs_status_t status = ucx.ucp_config_read(NULL, NULL, &config);
  if (status != UCS_OK) return status;
  if (transports) status = ucx.ucp_config_modify(config, "TLS", transports);
  const ucp_params_t params = {
      .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED,
      .features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
      // Several workers of one context, each on a thread of its own.
      .mt_workers_shared = 1,
  };
  ucp_context_h ucp;
  if (status == UCS_OK)
    status = ucx.ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &params, config, &ucp);
  ucx.ucp_config_release(config);
  if (status != UCS_OK) return status;
  *context = byz_ucx_allocate(sizeof **context);
  (*context)->ucp = ucp;
  return 0;
}

void byz_ucx_context_destroy(byz_ucx_context *context) {
  ucx.ucp_cleanup(context->ucp);
  free(context);
}

#endif
