// bfloat16 in memory, floats in registers.
#pragma once
#include "vectors.h"

typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

struct BF16 {
  uint16_t bits;
};

TSMTL_INLINE Vec widened(Halves halves) { return floats_of(__builtin_convertvector(halves, Bits) << 16); }

TSMTL_INLINE Halves rounded(Vec x) {  // to the nearest, ties to even; NaN stays NaN
  const Bits bits = bits_of(x), up = (bits + (((bits >> 16) & 1u) + 0x7fffu)) >> 16;
  return __builtin_convertvector(x == x ? up : Bits{} + 0x7fc0u, Halves);
}

// All lanes, or (Whole false) the first ones, the others then 0.
template <bool Whole>
TSMTL_INLINE Vec get(const float* from, int64_t lanes) {
  return Whole ? load(from) : load(from, lanes);
}

template <bool Whole>
TSMTL_INLINE Vec get(const BF16* from, int64_t lanes) {
  Halves x{};
  std::memcpy(&x, from, Whole ? sizeof x : 2 * lanes);
  return widened(x);
}

template <bool Whole>
TSMTL_INLINE void put(float* to, Vec x, int64_t lanes) {
  Whole ? store(to, x) : store(to, x, lanes);
}

template <bool Whole>
TSMTL_INLINE void put(BF16* to, Vec x, int64_t lanes) {
  const Halves halves = rounded(x);
  std::memcpy(to, &halves, Whole ? sizeof halves : 2 * lanes);
}

TSMTL_INLINE float single(float x) { return x; }
TSMTL_INLINE float single(BF16 x) {
  uint32_t bits = uint32_t(x.bits) << 16;
  float found;
  std::memcpy(&found, &bits, 4);
  return found;
}
