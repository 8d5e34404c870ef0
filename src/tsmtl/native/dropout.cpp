// Dropout whose mask is not kept: it follows from a key and the place of a value, forward and backward.
//
// Random bits are those of Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the 128
// bits of a counter, ten rounds of two products each. A value takes 16 of them, and is dropped where they are below
// `dropped`.
#include "halves.h"
#include "threads.h"

namespace {

typedef uint64_t Longs __attribute__((vector_size(8 * LANES)));
constexpr int64_t TOGETHER = 16;         // counters whose values lie together, whatever the registers hold
constexpr int64_t EACH = 8 * TOGETHER;   // their values: two by each of four words
constexpr int64_t CHUNK = 64 * EACH;     // values that a thread takes at a time

TSMTL_INLINE void multiply(Bits x, uint32_t by, Bits& high, Bits& low) {
  const Longs product = __builtin_convertvector(x, Longs) * uint64_t(by);
  high = __builtin_convertvector(product >> 32, Bits);
  low = __builtin_convertvector(product, Bits);
}

TSMTL_INLINE void philox(Bits (&words)[4], uint64_t key) {
  uint32_t first = uint32_t(key), second = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round, first += 0x9E3779B9u, second += 0xBB67AE85u) {
    Bits high[2], low[2];
    multiply(words[0], 0xD2511F53u, high[0], low[0]);
    multiply(words[2], 0xCD9E8D57u, high[1], low[1]);
    words[0] = high[1] ^ words[1] ^ first;
    words[1] = low[1];
    words[2] = high[0] ^ words[3] ^ second;
    words[3] = low[0];
  }
}

template <typename T>
void drop(int64_t first, int64_t last, uint64_t key, uint32_t dropped, float scale, const T* from, T* to) {
  Bits lane{};
  for (int i = 0; i < LANES; ++i) lane[i] = uint32_t(i);
  for (int64_t at = first; at < last; at += EACH)
    for (int64_t sub = 0; sub < TOGETHER; sub += LANES) {
      const uint64_t counter = uint64_t(at / 8 + sub);
      Bits words[4] = {lane + uint32_t(counter), Bits{} + uint32_t(counter >> 32), Bits{}, Bits{}};
      philox(words, key);
      for (int k = 0; k < 8; ++k) {
        const int64_t begin = at + k * TOGETHER + sub, left = last - begin;
        const Bits own = k % 2 ? words[k / 2] >> 16 : words[k / 2] & 0xffffu;
        const Vec factor = own < dropped ? Vec{} : splat(scale);  // NaN times 0 stays NaN: the loss shall tell
        if (left >= LANES)
          put<true>(to + begin, get<true>(from + begin, LANES) * factor, LANES);
        else if (left > 0)
          put<false>(to + begin, get<false>(from + begin, left) * factor, left);
      }
    }
}

template <typename T>
void drop_all(int64_t n, int threads, uint64_t key, uint32_t dropped, float scale, const T* from, T* to) {
  in_parallel(threads, (n + CHUNK - 1) / CHUNK, [&](int64_t chunk) {
    const int64_t first = chunk * CHUNK;
    drop(first, first + CHUNK < n ? first + CHUNK : n, key, dropped, scale, from, to);
  });
}

}  // namespace

// Write n values times `scale`, or times 0 with a probability of dropped / 2^16; bf16: of bfloat16, else floats.
TSMTL_EXPORT void dropout(int64_t n, int threads, int bf16, int64_t key, int dropped, float scale, const void* from,
                          void* to) {
  if (bf16)
    drop_all(n, threads, uint64_t(key), uint32_t(dropped), scale, static_cast<const BF16*>(from),
             static_cast<BF16*>(to));
  else
    drop_all(n, threads, uint64_t(key), uint32_t(dropped), scale, static_cast<const float*>(from),
             static_cast<float*>(to));
}
