// The kernels of ByzKit: the few loops that touch all n·d numbers.
//
// Every kernel reads n rows through an array of row pointers (nothing is ever stacked or copied) and
// works on the columns begin ..< end. Row and output pointers address column 0, so callers pass one
// array of pointers and any range. A kernel never allocates memory proportional to d.
//
// Each kernel is written once (the .inc files) and compiled for AVX-512, AVX2 and plain C. All three give the
// same bits: sums run in one fixed order over one 64-byte vector (16 floats or 8 doubles) and every
// multiply-add is fused, with fmaf in the plain variant, which is the specification.
//
// Arguments are trusted: callers check shapes and bounds first.
#ifndef CBYZKERNELS_H
#define CBYZKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// n pointers to rows; only kernels that say so accept NULL for a row.
typedef const void *_Nullable const *_Nonnull byz_rows;
/// Pointers to the rows a kernel writes.
typedef void *_Nullable const *_Nonnull byz_outputs;

// MARK: - Variants

/// The element type of all rows and outputs of one call.
typedef enum { BYZ_F32 = 0, BYZ_F64 = 1 } byz_type;

/// The instruction sets the kernels are compiled for, from the slowest to the fastest.
typedef enum { BYZ_PLAIN = 0, BYZ_AVX2 = 1, BYZ_AVX512 = 2 } byz_isa;

/// Whether this processor (and this build) can run the variant.
bool byz_isa_available(byz_isa isa);

/// The variant that all kernels use now. At first: what `BYZKIT_KERNELS` (plain, avx2, avx512) names, if this processor
/// can run it, else the fastest available.
byz_isa byz_isa_selected(void);

/// Makes all kernels use `isa` from now on; returns false and changes nothing if it is not available.
bool byz_isa_select(byz_isa isa);

// MARK: - One reduction per coordinate (columns.inc)

/// out[j] = Σ_i weights[i]·x_ij, fused, in row order. Rows of weight 0 and NULL rows are skipped: they may hold anything.
/// `out` may be one of the rows.
void byz_weighted_sum(byz_type type, byz_rows rows, const double *weights, size_t n,
                      size_t begin, size_t end, void *out);

/// out[j] = the median of column j: the mean of the two middle values for even n, or the lower one.
/// NaN counts as +Inf; ±Inf keep their order.
void byz_median(byz_type type, byz_rows rows, size_t n, size_t begin, size_t end,
                bool lower, void *out);

/// out[j] = the mean of column j without its f smallest and f largest values. NaN counts as +Inf. Requires 2f < n.
void byz_trimmed_mean(byz_type type, byz_rows rows, size_t n, size_t f, size_t begin,
                      size_t end, void *out);

/// out[j] = the mean of the n - f values of column j nearest to its median (even n: mean of the middle two).
/// Equal distances go to the lowest row. A NaN or Inf is infinitely far; with more than f of them out[j] is not finite.
/// Requires f < n.
void byz_mean_around_median(byz_type type, byz_rows rows, size_t n, size_t f,
                            size_t begin, size_t end, void *out);

/// out[j] = mean + factor·deviation of column j, where deviation² = Σ_i (x_ij - mean)² / (n - correction).
/// One pass, in double: of its precision a factor n is lost at most. Values beyond 1e154 give what is not finite.
void byz_mean_plus_deviation(byz_type type, byz_rows rows, size_t n, double factor,
                             size_t correction, size_t begin, size_t end, void *out);

// MARK: - Geometry: what rules know about rows (geometry.inc)
//
// These return the part of columns begin ..< end. Inside a block of columns sums run in the rows' type, blocks are added
// in double. A block whose sum overflows or underflows float is summed again in double; norms are always summed in double. Blocks start at multiples of
// BYZ_BLOCK, and so must `begin`; callers add the parts of successive ranges in order.

/// Columns in one block of a geometric sum.
#define BYZ_BLOCK 2048

/// out[i] = Σ_j x_ij², the sums of `part` columns each, a multiple of BYZ_BLOCK, added in order; or, if they are to stay apart, the n
/// numbers of each part after those of the one before. Not finite exactly if the row is not finite (or, for doubles, beyond 1e154).
void byz_squared_norms(byz_type type, byz_rows rows, size_t n, size_t part, bool apart, size_t begin, size_t end,
                       double *out);

/// out[i] = Σ_j (x_ij - x_rj)² for r = reference, with the bits of byz_squared_distances; +Inf where one of the two is not finite.
/// Parts as for byz_squared_norms.
void byz_squared_distances_to(byz_type type, byz_rows rows, size_t n, size_t reference, size_t part, bool apart, size_t begin,
                              size_t end, double *out);

/// out[i·n + k] = Σ_j (x_ij - x_kj)², symmetric. +Inf for a pair with a row that is not finite (or, for doubles, whose own
/// squares end beyond 1e308 as the pair's do); so is its diagonal entry.
/// Parts as for byz_squared_norms.
void byz_squared_distances(byz_type type, byz_rows rows, size_t n, size_t part, bool apart, size_t begin, size_t end,
                           double *out);

/// out[i·m + k] = Σ_j (x_ij - c_j)(x_kj - c_j), symmetric, over m ≥ n rows, where c_j is the median of column j over the
/// first n rows, or 0 where that is not finite. A NULL row is a row of zeros. Entries of a non-finite row are NaN or Inf.
/// Parts as for byz_squared_norms.
void byz_centred_gram(byz_type type, byz_rows rows, size_t n, size_t m, size_t part, bool apart, size_t begin, size_t end,
                      double *out);

// MARK: - Many rows out (geometry.inc)

/// outs[k][j] = the mean of the rows of set k, summed in a fixed order; rows outside a set are not read for it. Set k has row i if bit
/// i mod 64 of members[k·⌈n/64⌉ + i / 64] is 1.
/// `overlapping` says that the sets share most of their rows, which is then used to sum less; the bits are the same.
/// An empty set gives NaN.
void byz_subset_means(byz_type type, byz_rows rows, size_t n, const uint64_t *members,
                      size_t m, bool overlapping, size_t begin, size_t end, byz_outputs outs);

/// out[j] = factor·x_j; a factor of 0 gives zeros, whatever the row holds.
/// `streaming` says that the output is too large for the caches, which are then passed by; the bits are the same.
void byz_scale(byz_type type, const void *row, double factor, size_t begin, size_t end, bool streaming, void *out);

// MARK: - Random numbers (random.inc)
//
// Philox4x32-10 (Salmon et al. 2011) with a 64-bit key. Element j depends on (key, j) alone, so any range can be drawn anywhere.

/// One Philox block: four words from a counter of four words and a key of two.
void byz_philox(const uint32_t counter[_Nonnull 4], const uint32_t key[_Nonnull 2], uint32_t out[_Nonnull 4]);

/// out[j] for begin ≤ j < end: uniform in [0, 1).
void byz_uniform(byz_type type, uint64_t key, size_t begin, size_t end, void *out);

/// out[j] for begin ≤ j < end: mean + deviation·z with z standard normal (Box–Muller).
void byz_normal(byz_type type, uint64_t key, double mean, double deviation, size_t begin, size_t end, void *out);

// MARK: - Convolution (convolution.inc)
//
// 3×3 convolutions with a border of zeros ("same"), of one image, in single precision. Images are (height, width, channels) with the
// channels side by side; a *bordered* image is (height + 2, width + 2, channels) whose outermost pixels are zero.
// Requires: height and width even, outputs a multiple of 32. Weights are (3, 3, channels, outputs).

/// What `which` holds where ReLU cut the window's maximum to 0.
#define BYZ_POOL_NONE 4

/// pooled = the maximum over each 2×2 window of max(0, bias + input ∗ weights), NaN if the window has one.
/// which = the place of the maximum in its window, row by row (0…3; the first of equals), or BYZ_POOL_NONE.
///
/// input: bordered (height, width, channels), any number of channels. pooled: (height/2, width/2, outputs), its rows
/// `pooled_stride` floats apart, so it may be the inside of a bordered image. which: the same shape, without gaps.
void byz_convolve_pool(const float *input, size_t height, size_t width, size_t channels, size_t outputs,
                       const float *weights, const float *bias, float *pooled, size_t pooled_stride,
                       uint8_t *which);

/// out = input ∗ weights. input: bordered (height, width, channels). out: (height, width, outputs), without a border.
void byz_convolve(const float *input, size_t height, size_t width, size_t channels, size_t outputs,
                  const float *weights, float *out);

/// out[2 - ky][2 - kx][o][i] = weights[ky][kx][i][o]: convolving a bordered gradient with it gives the input's gradient.
void byz_convolve_transpose_weights(const float *weights, size_t channels, size_t outputs, float *out);

/// gradient = the pooled gradient at the place `which` names, 0 elsewhere: the inside of a bordered (height, width, outputs)
/// image. bias_gradient[o] += the sum of what was placed.
void byz_unpool(const float *pooled_gradient, const uint8_t *which, size_t height, size_t width, size_t outputs,
                float *gradient, float *bias_gradient);

/// weight_gradient += the gradient of an image, both bordered. Requires channels to be a multiple of 4.
void byz_convolve_weight_gradient(const float *input, const float *gradient, size_t height, size_t width,
                                  size_t channels, size_t outputs, float *weight_gradient);

/// weight_gradient and bias_gradient += those of a pooled convolution of one channel, straight from the pooled gradient.
void byz_convolve_pool_weight_gradient(const float *input, const float *pooled_gradient, const uint8_t *which,
                                       size_t height, size_t width, size_t outputs, float *weight_gradient,
                                       float *bias_gradient);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
