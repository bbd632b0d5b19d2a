/* Loops for the widest instructions that the processor has: GCC compiles them for several, and
   the right ones are chosen when the module is loaded. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

/* So many products are added before the sum goes back to memory. */
#define AT_ONCE 4

/* result = bias + x @ kernel, all of them one row after the other.
   x: (n, width), kernel: (width, units), bias: (units,), result: (n, units) */
WIDEST static void dense(const float *x, const float *kernel, const float *bias, float *result,
                         ptrdiff_t n, ptrdiff_t width, ptrdiff_t units)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        const float *factors = x + row * width;
        float *sums = result + row * units;
        ptrdiff_t i = 0;
        for (ptrdiff_t unit = 0; unit < units; unit++)
            sums[unit] = bias[unit];
        for (; i + AT_ONCE <= width; i += AT_ONCE) {
            const float *weights = kernel + i * units;
            for (ptrdiff_t unit = 0; unit < units; unit++)
                sums[unit] += factors[i] * weights[unit] + factors[i + 1] * weights[unit + units]
                              + factors[i + 2] * weights[unit + 2 * units]
                              + factors[i + 3] * weights[unit + 3 * units];
        }
        for (; i < width; i++)
            for (ptrdiff_t unit = 0; unit < units; unit++)
                sums[unit] += factors[i] * kernel[i * units + unit];
    }
}

/* As far as exp() is computed: short of where floats lose their digits. */
#define LEAST -80.0f

/* results = exp((scores - highest) * factor), to the last digits of a float, and of arguments
   below LEAST a value given.

   x = n ln 2 + r with |r| <= ln 2 / 2: 2^n is put together from its bits, exp(r) is its Taylor
   polynomial of degree 7. */
WIDEST static void exponentials(const float *scores, float highest, float factor, double below,
                                double *results, ptrdiff_t n)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        const float argument = (scores[k] - highest) * factor;
        const float x = argument > LEAST ? argument : LEAST;
        /* To the nearest integer, as x is not positive. */
        const int32_t power = (int32_t)(x * 1.44269504f - 0.5f);
        /* ln 2 in two parts, of which the first has few digits: its multiples are exact. */
        const float r = (x - (float)power * 0.693359375f) + (float)power * 2.12194440e-4f;
        float sum = 1.0f / 5040.0f;
        sum = sum * r + 1.0f / 720.0f;
        sum = sum * r + 1.0f / 120.0f;
        sum = sum * r + 1.0f / 24.0f;
        sum = sum * r + 1.0f / 6.0f;
        sum = sum * r + 0.5f;
        sum = sum * r + 1.0f;
        sum = sum * r + 1.0f;
        const int32_t bits = (power + 127) << 23;
        float scale;
        memcpy(&scale, &bits, sizeof scale);
        results[k] = argument > LEAST ? (double)(sum * scale) : below;
    }
}

/* best[j] = max over i of scores[i] + matrix[i, j], whose rows are stride apart. */
WIDEST static void best_ways(const float *scores, const float *matrix, ptrdiff_t stride,
                             float *best, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++)
        best[j] = scores[0] + matrix[j];
    for (ptrdiff_t i = 1; i < n; i++) {
        const float *row = matrix + i * stride, score = scores[i];
        for (ptrdiff_t j = 0; j < n; j++) {
            const float way = score + row[j];
            best[j] = way > best[j] ? way : best[j];
        }
    }
}

/* sums = factors @ matrix, of n rows and columns. */
WIDEST static void sum_ways(const double *factors, const double *matrix, double *sums, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++)
        sums[j] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double *row = matrix + i * n, factor = factors[i];
        for (ptrdiff_t j = 0; j < n; j++)
            sums[j] += factor * row[j];
    }
}
