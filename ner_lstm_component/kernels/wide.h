/* Loops for the widest instructions that the processor has: GCC compiles them for several, and
   the right ones are chosen when the module is loaded. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

/* Have memory brought to the cache that is soon read at random. */
#if defined(__GNUC__)
#define soon(address) __builtin_prefetch(address)
#else
#define soon(address) ((void)(address))
#endif

/* So many rows before it is read. */
#define AHEAD 4

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

/* result = the sum of one row of each table. tables: (n_tables,), each of rows of a width;
   numbers: (n_tables, n), result: (n, width) */
WIDEST static void sum_rows(float *const *tables, const int64_t *numbers, ptrdiff_t n_tables,
                            float *result, ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        float *sums = result + row * width;
        for (ptrdiff_t k = 0; row + 1 < n && k < n_tables; k++)
            for (ptrdiff_t i = 0; i < width; i += 16)
                soon(tables[k] + numbers[k * n + row + 1] * width + i);
        memcpy(sums, tables[0] + numbers[row] * width, width * sizeof(float));
        for (ptrdiff_t k = 1; k < n_tables; k++) {
            const float *values = tables[k] + numbers[k * n + row] * width;
            for (ptrdiff_t i = 0; i < width; i++)
                sums[i] += values[i];
        }
    }
}

/* Rows of tags are padded to a multiple of so many, which fill the widest registers. */
#define LANES 8

#if defined(__GNUC__)
/* So many at once: in loops over an array GCC keeps no sums in registers. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lane_masks __attribute__((vector_size(LANES * sizeof(double))));
#endif

/* exp() of less is zero: just before doubles lose their digits. */
#define LEAST -700.0

/* results = exp((scores - highest) * factor), and zero up to the width of a padded row.

   x = n ln 2 + r with |r| <= ln 2 / 2: 2^n is put together from its bits, exp(r) is its Taylor
   polynomial of degree 9. */
WIDEST static void exponentials(const float *scores, float highest, double factor,
                                double *results, ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        const double argument = ((double)scores[k] - (double)highest) * factor;
        const double x = argument > LEAST ? argument : LEAST;
        /* To the nearest integer, as x is not positive. */
        const int32_t power = (int32_t)(x * 1.4426950408889634 - 0.5);
        const double r = x - (double)power * 0.6931471805599453;
        double sum = 1.0 / 362880.0;
        sum = sum * r + 1.0 / 40320.0;
        sum = sum * r + 1.0 / 5040.0;
        sum = sum * r + 1.0 / 720.0;
        sum = sum * r + 1.0 / 120.0;
        sum = sum * r + 1.0 / 24.0;
        sum = sum * r + 1.0 / 6.0;
        sum = sum * r + 0.5;
        sum = sum * r + 1.0;
        sum = sum * r + 1.0;
        const int64_t bits = ((int64_t)power + 1023) << 52;
        double scale;
        memcpy(&scale, &bits, sizeof scale);
        results[k] = argument > LEAST ? sum * scale : 0.0;
    }
    for (ptrdiff_t k = n; k < width; k++)
        results[k] = 0.0;
}

/* best[j] = max over i of scores[i] + matrix[i, j], a matrix of n padded rows. */
WIDEST static void best_ways(const double *scores, const double *matrix, double *best,
                             ptrdiff_t n, ptrdiff_t width)
{
#if defined(__GNUC__)
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        lanes highest, way;
        memcpy(&way, matrix + j, sizeof way);
        highest = way + scores[0];
        for (ptrdiff_t i = 1; i < n; i++) {
            memcpy(&way, matrix + i * width + j, sizeof way);
            way += scores[i];
            const lane_masks is_higher = way > highest;
            highest = (lanes)(((lane_masks)way & is_higher) | ((lane_masks)highest & ~is_higher));
        }
        memcpy(best + j, &highest, sizeof highest);
    }
#else
    for (ptrdiff_t j = 0; j < width; j++)
        best[j] = scores[0] + matrix[j];
    for (ptrdiff_t i = 1; i < n; i++)
        for (ptrdiff_t j = 0; j < width; j++) {
            const double way = scores[i] + matrix[i * width + j];
            best[j] = way > best[j] ? way : best[j];
        }
#endif
}

/* sums = factors @ matrix, a matrix of n padded rows. */
WIDEST static void sum_ways(const double *factors, const double *matrix, double *sums, ptrdiff_t n,
                            ptrdiff_t width)
{
#if defined(__GNUC__)
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        lanes total = {0.0}, row;
        for (ptrdiff_t i = 0; i < n; i++) {
            memcpy(&row, matrix + i * width + j, sizeof row);
            total += factors[i] * row;
        }
        memcpy(sums + j, &total, sizeof total);
    }
#else
    for (ptrdiff_t j = 0; j < width; j++)
        sums[j] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            sums[j] += factors[i] * matrix[i * width + j];
#endif
}

/* sums[i, j] += before[i] * factor * after[j], of n padded rows. */
WIDEST static void add_pairs(const double *before, const double *after, double factor,
                             double *sums, ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const double weight = before[i] * factor;
        double *row = sums + i * width;
#pragma GCC ivdep
        for (ptrdiff_t j = 0; j < width; j++)
            row[j] += weight * after[j];
    }
}

/* tanh(x) and the sigmoid, within five units of a float's last place.

   The quotient of polynomials is Eigen's; beyond its ends floats have no more digits. */
static inline float tanh_of(float x)
{
    const float end = 7.90531111f;
    x = x > end ? end : x;
    x = x < -end ? -end : x;
    const float y = x * x;
    float p = -2.76076847742355e-16f;
    p = p * y + 2.00018790482477e-13f;
    p = p * y + -8.60467152213735e-11f;
    p = p * y + 5.12229709037114e-08f;
    p = p * y + 1.48572235717979e-05f;
    p = p * y + 6.37261928875436e-04f;
    p = p * y + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * y + 1.18534705686654e-04f;
    q = q * y + 2.26843463243900e-03f;
    q = q * y + 4.89352518554385e-03f;
    return x * (p / q);
}

static inline float sigmoid_of(float x)
{
    return 0.5f * tanh_of(0.5f * x) + 0.5f;
}

/* A step of an LSTM, see kernels/__init__.py. Of gates, (n, 4 * units), rows are `stride`
   apart; all others stand one after the other. What is written overlaps nothing. */
WIDEST static void lstm_step(float *gates, ptrdiff_t stride, const float *bias,
                             const float *before, float *cells, float *hidden, ptrdiff_t n,
                             ptrdiff_t units)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        float *input = gates + row * stride;
        float *forget = input + units;
        float *candidate = forget + units;
        float *output = candidate + units;
        const float *c_before = before + row * units;
        float *c = cells + row * units;
        float *h = hidden + row * units;
#pragma GCC ivdep
        for (ptrdiff_t u = 0; u < units; u++) {
            const float i = sigmoid_of(input[u] + bias[u]);
            const float f = sigmoid_of(forget[u] + bias[u + units]);
            const float g = tanh_of(candidate[u] + bias[u + 2 * units]);
            const float o = sigmoid_of(output[u] + bias[u + 3 * units]);
            const float cell = f * c_before[u] + i * g;
            input[u] = i;
            forget[u] = f;
            candidate[u] = g;
            output[u] = o;
            c[u] = cell;
            h[u] = o * tanh_of(cell);
        }
    }
}

/* The way back through it. */
WIDEST static void lstm_step_back(const float *gates, ptrdiff_t stride, const float *before,
                                  const float *cells, const float *d_outputs, const float *d_h,
                                  float *d_c, float *d_gates, ptrdiff_t n, ptrdiff_t units)
{
    for (ptrdiff_t row = 0; row < n; row++) {
        const float *z = gates + row * stride;
        float *d_input = d_gates + row * stride;
        float *d_forget = d_input + units;
        float *d_candidate = d_forget + units;
        float *d_output = d_candidate + units;
        const float *c_before = before + row * units;
        const float *c = cells + row * units;
        const float *dy = d_outputs + row * units;
        const float *dh = d_h + row * units;
        float *dc = d_c + row * units;
#pragma GCC ivdep
        for (ptrdiff_t u = 0; u < units; u++) {
            const float i = z[u], f = z[u + units], g = z[u + 2 * units], o = z[u + 3 * units];
            const float squashed = tanh_of(c[u]);
            const float d_hidden = dh[u] + dy[u];
            const float d_cell = dc[u] + d_hidden * o * (1.0f - squashed * squashed);
            d_input[u] = d_cell * g * i * (1.0f - i);
            d_forget[u] = d_cell * c_before[u] * f * (1.0f - f);
            d_candidate[u] = d_cell * i * (1.0f - g * g);
            d_output[u] = d_hidden * squashed * o * (1.0f - o);
            dc[u] = d_cell * f;
        }
    }
}

/* A hash of 32 bits, each of which depends on all of x (Wellons' "lowbias32"). */
static inline uint32_t mixed(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0x735A2D97u;
    return x ^ (x >> 15);
}

/* result = x * factor, zero where the hash of the place under two keys is below a limit. */
WIDEST static void drop(const float *x, uint32_t key, uint32_t other, uint32_t limit, float factor,
                        float *result, ptrdiff_t n)
{
#pragma GCC ivdep
    for (ptrdiff_t k = 0; k < n; k++) {
        const uint32_t drawn = mixed(mixed((uint32_t)k + key) ^ other);
        result[k] = drawn < limit ? 0.0f : x[k] * factor;
    }
}

/* sums[k] = the sum of the table's rows for ids[k], of which there are `group`.
   ids: (n, group), sums: (n, width) */
WIDEST static void look_up(const float *table, const int32_t *ids, float *sums, ptrdiff_t n,
                           ptrdiff_t group, ptrdiff_t width)
{
    const ptrdiff_t n_ids = n * group;
    for (ptrdiff_t k = 0; k < n; k++) {
        const int32_t *own = ids + k * group;
        float *sum = sums + k * width;
        for (ptrdiff_t i = (k + AHEAD) * group; i < (k + AHEAD + 1) * group && i < n_ids; i++)
            for (ptrdiff_t j = 0; j < width; j += 16)
                soon(table + ids[i] * width + j);
        memcpy(sum, table + own[0] * width, width * sizeof(float));
        for (ptrdiff_t i = 1; i < group; i++) {
            const float *row = table + own[i] * width;
#pragma GCC ivdep
            for (ptrdiff_t j = 0; j < width; j++)
                sum[j] += row[j];
        }
    }
}

/* table[id] += rows[k] of each of ids[k]. ids: (n, group), rows: (n, width); rows and the
   table share no memory. */
WIDEST static void add_rows(const float *rows, const int32_t *ids, float *table, ptrdiff_t n,
                            ptrdiff_t group, ptrdiff_t width)
{
    const ptrdiff_t n_ids = n * group;
    for (ptrdiff_t k = 0; k < n; k++) {
        const float *row = rows + k * width;
        for (ptrdiff_t i = (k + AHEAD) * group; i < (k + AHEAD + 1) * group && i < n_ids; i++)
            for (ptrdiff_t j = 0; j < width; j += 16)
                soon(table + ids[i] * width + j);
        for (ptrdiff_t i = 0; i < group; i++) {
            float *sum = table + ids[k * group + i] * width;
#pragma GCC ivdep
            for (ptrdiff_t j = 0; j < width; j++)
                sum[j] += row[j];
        }
    }
}

/* Numbers whose squares are summed up at once, a power of two. */
#define SUMMED 1024

/* The sum of the squares of a gradient, x * scale + weights * l2. */
WIDEST static double squared(const float *x, const float *weights, float scale, float l2,
                             ptrdiff_t n)
{
    double total = 0.0;
    for (ptrdiff_t k = 0; k < n; k += SUMMED) {
        const ptrdiff_t size = n - k > SUMMED ? SUMMED : n - k;
        float squares[SUMMED] = {0.0f};
        for (ptrdiff_t i = 0; i < size; i++) {
            const float gradient = x[k + i] * scale + (l2 != 0.0f ? weights[k + i] * l2 : 0.0f);
            squares[i] = gradient * gradient;
        }
        /* By halves, which are added number by number. */
        for (ptrdiff_t half = SUMMED / 2; half > 8; half /= 2)
#pragma GCC ivdep
            for (ptrdiff_t i = 0; i < half; i++)
                squares[i] += squares[i + half];
        for (int i = 0; i < 16; i++)
            total += squares[i];
    }
    return total;
}

/* What a step of Adam is for one variable. */
struct adam_step {
    float scale, l2;          /* the gradient is x * scale + weights * l2 */
    float b1, b2, eps, rate;
    float decay, step;        /* weights *= 1 - decay; the average's way towards them */
};

/* Kingma and Ba (2015), algorithm 1, the bias' correction being in the rate. There need be no
   average. */
WIDEST static void adam(float *weights, const float *x, float *mom1, float *mom2, float *average,
                        const struct adam_step *of, ptrdiff_t n)
{
    const struct adam_step a = *of;
#pragma GCC ivdep
    for (ptrdiff_t k = 0; k < n; k++) {
        const float gradient = x[k] * a.scale + weights[k] * a.l2;
        const float m = mom1[k] * a.b1 + gradient * (1.0f - a.b1);
        const float v = mom2[k] * a.b2 + gradient * gradient * (1.0f - a.b2);
        float change = a.rate * m / (sqrtf(v) + a.eps);
        change += a.decay * (weights[k] - change);
        mom1[k] = m;
        mom2[k] = v;
        weights[k] -= change;
        if (average)
            average[k] += a.step * (weights[k] - average[k]);
    }
}
