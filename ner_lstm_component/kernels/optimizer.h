#include "simd.h"
#include <math.h>

/* The sum of the squares of a gradient, x + weights * l2. */
MULTIVERSION static double squared_norm(const float *x, const float *weights, float l2,
                                        ptrdiff_t n)
{
    double total = 0.0;
#pragma omp simd reduction(+ : total)
    for (ptrdiff_t k = 0; k < n; k++) {
        const double gradient = x[k] + weights[k] * l2;
        total += gradient * gradient;
    }
    return total;
}

/* A step of Adam for one variable (Kingma and Ba, 2015, algorithm 1).

   The gradient is x * scale + weights * l2, the rate includes the correction of the moments'
   bias, and the average may be NULL. */
MULTIVERSION static void adam_step(float *weights, const float *x, float *mom1, float *mom2,
                                   float *average, ptrdiff_t n, float scale, float l2, float b1,
                                   float b2, float eps, float rate, float decay, float step)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const float gradient = x[k] * scale + weights[k] * l2;
        const float m = mom1[k] * b1 + gradient * (1.0f - b1);
        const float v = mom2[k] * b2 + gradient * gradient * (1.0f - b2);
        float change = rate * m / (sqrtf(v) + eps);
        change += decay * (weights[k] - change);
        mom1[k] = m;
        mom2[k] = v;
        weights[k] -= change;
        if (average)
            average[k] += step * (weights[k] - average[k]);
    }
}
