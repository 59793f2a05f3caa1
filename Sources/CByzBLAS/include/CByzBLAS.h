// OpenBLAS, loaded at run time: the package builds without it, and its kernels are chosen before it
// starts.
//
// Matrices are row-major; `lda` is the distance between the starts of two rows of A as stored. Only
// single-threaded calls give the same bits everywhere, so OpenBLAS runs on the calling thread
// unless OPENBLAS_NUM_THREADS says otherwise: ByzKit's own workers use the other cores, and idle
// BLAS threads would only take time from them.
#ifndef CBYZBLAS_H
#define CBYZBLAS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// Loads libopenblas.so.0 on the first call, from whatever thread; later calls return what the
/// first one found.
bool byz_blas_load(void);

/// Why byz_blas_load() returned false; NULL if it was not called or succeeded.
const char *_Nullable byz_blas_error(void);

// Everything below requires that byz_blas_load() returned true.

/// The processor whose kernels OpenBLAS uses, as it names it: "SkylakeX", "Haswell", "Zen".
const char *byz_blas_core_name(void);

/// OpenBLAS's version and build options in one line.
const char *byz_blas_config(void);

/// The number of threads one call uses.
int byz_blas_threads(void);

/// C = alpha·op(A)·op(B) + beta·C, with op(A) (m, k), op(B) (k, n), C (m, n); op transposes where
/// asked. With beta = 0, C is only written. Products with an empty k leave beta·C.
void byz_sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha,
               const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

/// As byz_sgemm, in double precision.
void byz_dgemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
               const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc);

/// The upper triangle of C = alpha·A·Aᵀ + beta·C, with A (n, k) and C (n, n).
void byz_ssyrk(int n, int k, float alpha, const float *a, int lda, float beta, float *c, int ldc);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
