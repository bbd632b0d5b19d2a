/* The steps of the CRF's recursions over rows of tags, which are padded to a multiple of LANES. */

#include "simd.h"

#if defined(__GNUC__)
/* Explicit vectors: GCC does not keep the sums of a loop over an array in registers. */
#define LANES 8
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lane_masks __attribute__((vector_size(LANES * sizeof(double))));
#define LARGER(a, b) \
    ((lanes)(((lane_masks)(a) & ((a) > (b))) | ((lane_masks)(b) & ~((a) > (b)))))
#else
#define LANES 1
typedef double lanes;
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#endif

/* The smallest argument of exp(); its result is not yet a subnormal number. */
#define SMALLEST -700.0

static const double TAYLOR[] = {1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0,
                                1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0};

/* results = exp((scores - highest) * factor), padded with zeros.

   x = n ln 2 + r with |r| <= ln 2 / 2: the bits of 2^n are put together, and exp(r) is its
   Taylor polynomial of degree 9. */
MULTIVERSION static void exponentials(const float *scores, float highest, double factor,
                                      double *results, ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        const double argument = ((double)scores[k] - (double)highest) * factor;
        const double x = argument > SMALLEST ? argument : SMALLEST;
        /* x is not positive, so truncation rounds to the nearest integer. */
        const int32_t power = (int32_t)(x * 1.4426950408889634 - 0.5);
        const double r = x - (double)power * 0.6931471805599453;
        double sum = 0.0;
        for (int degree = 0; degree < 10; degree++)
            sum = sum * r + TAYLOR[degree];
        const int64_t bits = ((int64_t)power + 1023) << 52;
        double scale;
        memcpy(&scale, &bits, sizeof scale);
        results[k] = argument > SMALLEST ? sum * scale : 0.0;
    }
    for (ptrdiff_t k = n; k < width; k++)
        results[k] = 0.0;
}

/* result[j] = max over i of scores[i] + matrix[i, j], with n padded rows in the matrix. */
MULTIVERSION static void max_plus(const double *scores, const double *matrix, double *result,
                                  ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        lanes highest, row;
        memcpy(&row, matrix + j, sizeof row);
        highest = row + scores[0];
        for (ptrdiff_t i = 1; i < n; i++) {
            memcpy(&row, matrix + i * width + j, sizeof row);
            row += scores[i];
            highest = LARGER(row, highest);
        }
        memcpy(result + j, &highest, sizeof highest);
    }
}

/* result = weights @ matrix, with n padded rows in the matrix. */
MULTIVERSION static void sum_product(const double *weights, const double *matrix, double *result,
                                     ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        lanes total = {0.0}, row;
        for (ptrdiff_t i = 0; i < n; i++) {
            memcpy(&row, matrix + i * width + j, sizeof row);
            total += weights[i] * row;
        }
        memcpy(result + j, &total, sizeof total);
    }
}
