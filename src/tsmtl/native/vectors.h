// Vectors of floats as wide as the processor's registers, by the vector extensions of GCC and Clang, and products of
// small matrices whose sums stay in registers.
#pragma once
#include <cstdint>
#include <cstring>

#define TSMTL_EXPORT extern "C" __attribute__((visibility("default")))
#define TSMTL_INLINE inline __attribute__((always_inline))

// A tile of ROWS x 3 sums, three weights and one factor fit into the registers: 32, or 16 where it is 4 rows.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 4;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 8;
#else
constexpr int LANES = 4, ROWS = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));

TSMTL_INLINE Vec splat(float value) { return value - Vec{}; }

TSMTL_INLINE Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

TSMTL_INLINE void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }

// The first n lanes, n <= LANES; zeros in the others.
TSMTL_INLINE Vec load(const float* from, int64_t n) {
  if (n == LANES) return load(from);
  float lanes[LANES] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = from[i];
  return load(lanes);
}

TSMTL_INLINE void store(float* to, Vec v, int64_t n) {
  if (n == LANES) return store(to, v);
  float lanes[LANES];
  store(lanes, v);
  for (int64_t i = 0; i < n; ++i) to[i] = lanes[i];
}

TSMTL_INLINE Bits bits_of(Vec v) { return (Bits)v; }
TSMTL_INLINE Vec floats_of(Bits b) { return (Vec)b; }
TSMTL_INLINE Vec at_most(Vec v, float most) { return v > splat(most) ? splat(most) : v; }  // NaN stays NaN
TSMTL_INLINE Vec at_least(Vec v, float least) { return v < splat(least) ? splat(least) : v; }

// e^x = power * (1 + rest), rest exact to rounding where x is near 0; |x| <= 86.
struct Exp {
  Vec power, rest;
};

TSMTL_INLINE Exp exp_parts(Vec x) {
  const float to_whole = 12582912.0f;  // 1.5 * 2^23: a sum with it has no binary digits behind the point
  Vec shifted = x * 1.44269504f + to_whole;
  Vec n = shifted - to_whole;
  Vec f = x - n * 0.693359375f;  // ln 2 in two parts, so that the first product is exact
  f = f + n * 2.12194440e-4f;
  Vec sum = splat(1.0f / 5040);  // Taylor's sum: |f| <= ln(2) / 2, what is left out is 5e-9
  sum = sum * f + 1.0f / 720;
  sum = sum * f + 1.0f / 120;
  sum = sum * f + 1.0f / 24;
  sum = sum * f + 1.0f / 6;
  sum = sum * f + 0.5f;
  return {floats_of((bits_of(shifted) << 23) + 0x3f800000u), f * f * sum + f};
}

TSMTL_INLINE Vec tanh(Vec x) {
  Vec size = at_most(floats_of(bits_of(x) & 0x7fffffffu), 10.0f);  // beyond it is 1
  Exp e = exp_parts(size + size);
  Vec less_one = e.power * e.rest + (e.power - 1.0f);
  Vec found = less_one / (less_one + 2.0f);
  return floats_of(bits_of(found) | (bits_of(x) & 0x80000000u));
}

// Both sigmoids by one division: 1 / (1 + e^-x).
TSMTL_INLINE void sigmoids(Vec& x, Vec& y) {
  const float most = 43.0f;  // so that the product of both stays finite
  Exp ex = exp_parts(at_least(at_most(-x, most), -most)), ey = exp_parts(at_least(at_most(-y, most), -most));
  Vec of_x = 1.0f + (ex.power * ex.rest + ex.power), of_y = 1.0f + (ey.power * ey.rest + ey.power);
  Vec inverse = 1.0f / (of_x * of_y);
  x = of_y * inverse;
  y = of_x * inverse;
}

// sums[i][b] += rows[i][k] * weights[k][b] for all k < depth; rows lie `stride` apart, weights[k] are B vectors.
template <int R, int B>
TSMTL_INLINE void add_products(Vec (&sums)[R][B], const float* rows, int64_t stride, const float* weights, int64_t depth) {
  for (int64_t k = 0; k < depth; ++k, weights += B * LANES) {
    Vec w[B];
    for (int b = 0; b < B; ++b) w[b] = load(weights + b * LANES);
    for (int i = 0; i < R; ++i) {
      Vec factor = splat(rows[i * stride + k]);
      for (int b = 0; b < B; ++b) sums[i][b] += factor * w[b];
    }
  }
}

// Calls work.template rows<R>(first) for rows 0 to n, ROWS at a time and then those that are left.
template <int R, class Work>
TSMTL_INLINE void the_rest(int64_t left, int64_t first, const Work& work) {
  if (left == R) return work.template rows<R>(first);
  if constexpr (R > 1) the_rest<R - 1>(left, first, work);
}

template <class Work>
TSMTL_INLINE void for_rows(int64_t n, const Work& work) {
  int64_t first = 0;
  for (; first + ROWS <= n; first += ROWS) work.template rows<ROWS>(first);
  if (first < n) the_rest<ROWS - 1>(n - first, first, work);
}
