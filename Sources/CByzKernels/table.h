// What a variant offers: one function per kernel and element type.
#ifndef BYZ_TABLE_H
#define BYZ_TABLE_H

#include "CByzKernels.h"

// X(name, parameters, arguments): one line per kernel that exists for both element types.
#define BYZ_KERNELS(X)                                                                                      \
  X(weighted_sum,                                                                                           \
    (byz_rows rows, const double *weights, size_t n, size_t begin, size_t end, void *out),        \
    (rows, weights, n, begin, end, out))                                                                    \
  X(median, (byz_rows rows, size_t n, size_t begin, size_t end, bool lower, void *out),           \
    (rows, n, begin, end, lower, out))                                                                      \
  X(trimmed_mean, (byz_rows rows, size_t n, size_t f, size_t begin, size_t end, void *out),       \
    (rows, n, f, begin, end, out))                                                                          \
  X(mean_around_median, (byz_rows rows, size_t n, size_t f, size_t begin, size_t end, void *out), \
    (rows, n, f, begin, end, out))                                                                          \
  X(mean_plus_deviation,                                                                                    \
    (byz_rows rows, size_t n, double factor, size_t correction, size_t begin, size_t end,         \
     void *out),                                                                                            \
    (rows, n, factor, correction, begin, end, out))                                                         \
  X(squared_norms,                                                                                          \
    (byz_rows rows, size_t n, size_t part, bool apart, size_t begin, size_t end, double *out),              \
    (rows, n, part, apart, begin, end, out))                                                                \
  X(squared_distances_to,                                                                                   \
    (byz_rows rows, size_t n, size_t reference, size_t part, bool apart, size_t begin, size_t end,          \
     double *out),                                                                                          \
    (rows, n, reference, part, apart, begin, end, out))                                                     \
  X(squared_distances,                                                                                      \
    (byz_rows rows, size_t n, size_t part, bool apart, size_t begin, size_t end, double *out),              \
    (rows, n, part, apart, begin, end, out))                                                                \
  X(centred_gram,                                                                                           \
    (byz_rows rows, size_t n, size_t m, size_t part, bool apart, size_t begin, size_t end, double *out),    \
    (rows, n, m, part, apart, begin, end, out))                                                             \
  X(subset_means,                                                                                           \
    (byz_rows rows, size_t n, const uint64_t *members, size_t m, bool overlapping, size_t begin,   \
     size_t end, byz_outputs outs),                                                                        \
    (rows, n, members, m, overlapping, begin, end, outs))                                                   \
  X(scale, (const void *row, double factor, size_t begin, size_t end, bool streaming, void *out),           \
    (row, factor, begin, end, streaming, out))                                                              \
  X(uniform, (uint64_t key, size_t begin, size_t end, void *out), (key, begin, end, out))                   \
  X(normal, (uint64_t key, double mean, double deviation, size_t begin, size_t end, void *out),             \
    (key, mean, deviation, begin, end, out))

// X(name, parameters, arguments): one line per kernel in single precision only.
#define BYZ_F32_KERNELS(X)                                                                                  \
  X(convolve_pool,                                                                                          \
    (const float *input, size_t height, size_t width, size_t channels, size_t outputs,                      \
     const float *weights, const float *bias, float *pooled, size_t pooled_stride, uint8_t *which),         \
    (input, height, width, channels, outputs, weights, bias, pooled, pooled_stride, which))                 \
  X(convolve,                                                                                               \
    (const float *input, size_t height, size_t width, size_t channels, size_t outputs,                      \
     const float *weights, float *out),                                                                     \
    (input, height, width, channels, outputs, weights, out))                                                \
  X(convolve_transpose_weights,                                                                             \
    (const float *weights, size_t channels, size_t outputs, float *out), (weights, channels, outputs, out)) \
  X(unpool,                                                                                                 \
    (const float *pooled_gradient, const uint8_t *which, size_t height, size_t width, size_t outputs,       \
     float *gradient, float *bias_gradient),                                                                \
    (pooled_gradient, which, height, width, outputs, gradient, bias_gradient))                              \
  X(convolve_weight_gradient,                                                                               \
    (const float *input, const float *gradient, size_t height, size_t width, size_t channels,               \
     size_t outputs, float *weight_gradient),                                                               \
    (input, gradient, height, width, channels, outputs, weight_gradient))                                   \
  X(convolve_pool_weight_gradient,                                                                          \
    (const float *input, const float *pooled_gradient, const uint8_t *which, size_t height, size_t width,   \
     size_t outputs, float *weight_gradient, float *bias_gradient),                                         \
    (input, pooled_gradient, which, height, width, outputs, weight_gradient, bias_gradient))

typedef struct {
#define BYZ_MEMBER(name, parameters, arguments) void(*name[2]) parameters;
  BYZ_KERNELS(BYZ_MEMBER)
#undef BYZ_MEMBER
#define BYZ_MEMBER(name, parameters, arguments) void(*name) parameters;
  BYZ_F32_KERNELS(BYZ_MEMBER)
#undef BYZ_MEMBER
} byz_table;

extern const byz_table byz_table_plain;
#if defined(__x86_64__)
extern const byz_table byz_table_avx2;
extern const byz_table byz_table_avx512;
#endif

#endif
