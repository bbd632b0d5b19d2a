/* A product of matrices for a few rows at a time, with the widest instructions that the
   processor has: GCC compiles it for several, and the right one is chosen when it is loaded. */

#include <stddef.h>

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
