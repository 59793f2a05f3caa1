#include "CByzBLAS.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "CByzSystem.h"

// From the CBLAS standard: the package needs no BLAS header to build.
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112, UPPER = 121 };

static struct {
  void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                float *, int);
  void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int,
                double, double *, int);
  void (*ssyrk)(int, int, int, int, int, float, const float *, int, float, float *, int);
  char *(*core_name)(void);
  char *(*config)(void);
  int (*threads)(void);
} blas;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;
static char error[512];

static bool has_avx512(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// Opens the library with `name` set to `value` for its constructor, which reads the environment
/// once. The user's own setting wins, and afterwards the environment is as it was: a child process
/// chooses for itself. As with all changes of the environment, no other thread may read it meanwhile. This library's own, which
/// start processes, wait; a program whose threads read it while its first model trains should call this before.
static void *open_with(const char *name, const char *value, void *(*open)(void)) {
  if (!value || getenv(name)) return open();
  setenv(name, value, 0);
  void *library = open();
  unsetenv(name);
  return library;
}

static void *open_library(void) { return dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL); }

static void *open_single_threaded(void) {
  return open_with("OPENBLAS_NUM_THREADS", "1", open_library);
}

static void set_error(const char *text) {
  strncpy(error, text ? text : "unknown error", sizeof error - 1);
}

static void load(void) {
  // OpenBLAS before 0.3.22 takes recent AVX-512 processors for AVX2 ones: a third slower.
  const char *core = has_avx512() ? "SkylakeX" : NULL;
  byz_environment_lock();
  void *library = open_with("OPENBLAS_CORETYPE", core, open_single_threaded);
  byz_environment_unlock();
  if (!library) return set_error(dlerror());
  const struct {
    const char *name;
    void *address;
  } symbols[] = {
      {"cblas_sgemm", &blas.sgemm},           {"cblas_dgemm", &blas.dgemm},
      {"cblas_ssyrk", &blas.ssyrk},           {"openblas_get_corename", &blas.core_name},
      {"openblas_get_config", &blas.config},  {"openblas_get_num_threads", &blas.threads},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *symbol = dlsym(library, symbols[i].name);
    if (!symbol) return set_error(dlerror());
    memcpy(symbols[i].address, &symbol, sizeof symbol);
  }
  loaded = true;
}

bool byz_blas_load(void) {
  pthread_once(&once, load);
  return loaded;
}

const char *byz_blas_error(void) { return error[0] ? error : NULL; }
const char *byz_blas_core_name(void) { return blas.core_name(); }
const char *byz_blas_config(void) { return blas.config(); }
int byz_blas_threads(void) { return blas.threads(); }

static int operation(bool transpose) { return transpose ? TRANSPOSE : NO_TRANSPOSE; }

void byz_sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
               const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
  blas.sgemm(ROW_MAJOR, operation(transpose_a), operation(transpose_b), m, n, k, alpha, a, lda, b,
             ldb, beta, c, ldc);
}

void byz_dgemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
               const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc) {
  blas.dgemm(ROW_MAJOR, operation(transpose_a), operation(transpose_b), m, n, k, alpha, a, lda, b,
             ldb, beta, c, ldc);
}

void byz_ssyrk(int n, int k, float alpha, const float *a, int lda, float beta, float *c, int ldc) {
  blas.ssyrk(ROW_MAJOR, UPPER, NO_TRANSPOSE, n, k, alpha, a, lda, beta, c, ldc);
}
