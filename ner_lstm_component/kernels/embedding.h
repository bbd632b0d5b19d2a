#include "simd.h"

/* Products that are added up before the sum is stored. */
#define UNROLLED 4

/* x = the sums of groups of the table's rows. ids: (n_groups, group), x: (n_groups, width) */
MULTIVERSION static void sum_embeddings(const float *table, const int32_t *ids, float *x,
                                        ptrdiff_t n_groups, ptrdiff_t group, ptrdiff_t width)
{
    for (ptrdiff_t i = 0; i < n_groups * group; i++)
        for (ptrdiff_t j = 0; j < width; j += 16)
            prefetch(table + ids[i] * width + j);
    for (ptrdiff_t k = 0; k < n_groups; k++, x += width, ids += group) {
        memcpy(x, table + ids[0] * width, width * sizeof(float));
        for (ptrdiff_t i = 1; i < group; i++)
#pragma omp simd
            for (ptrdiff_t j = 0; j < width; j++)
                x[j] += table[ids[i] * width + j];
    }
}

/* result = x @ kernel + bias. x: (width,), kernel: (width, units), bias: (units,) */
MULTIVERSION static void dense(const float *x, const float *kernel, const float *bias,
                               float *result, ptrdiff_t width, ptrdiff_t units)
{
    ptrdiff_t i = 0;
    memcpy(result, bias, units * sizeof(float));
    for (; i + UNROLLED <= width; i += UNROLLED) {
        const float *weights = kernel + i * units;
        for (ptrdiff_t unit = 0; unit < units; unit++)
            result[unit] += x[i] * weights[unit] + x[i + 1] * weights[unit + units]
                            + x[i + 2] * weights[unit + 2 * units]
                            + x[i + 3] * weights[unit + 3 * units];
    }
    for (; i < width; i++)
        for (ptrdiff_t unit = 0; unit < units; unit++)
            result[unit] += x[i] * kernel[i * units + unit];
}

/* result = the sum of one row of each table.
   tables: (n_tables, size, width), rows: (n_tables, n), result: (n, width) */
MULTIVERSION static void sum_rows(const float *tables, const int64_t *rows, ptrdiff_t n_tables,
                                  ptrdiff_t size, float *result, ptrdiff_t n, ptrdiff_t width)
{
    for (ptrdiff_t row = 0; row < n; row++, result += width) {
        for (ptrdiff_t k = 0; row + 1 < n && k < n_tables; k++)
            for (ptrdiff_t i = 0; i < width; i += 16)
                prefetch(tables + (k * size + rows[k * n + row + 1]) * width + i);
        memcpy(result, tables + rows[row] * width, width * sizeof(float));
        for (ptrdiff_t k = 1; k < n_tables; k++) {
            const float *values = tables + (k * size + rows[k * n + row]) * width;
            for (ptrdiff_t i = 0; i < width; i++)
                result[i] += values[i];
        }
    }
}
