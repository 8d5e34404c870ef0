// The outputs of MiniRocket's 84 kernels at one dilation, and what is read off them: the numbers of NumPy's way
// (tsmtl/representation/convolutions.py and poolings.py), to the last bit.
//
// Sums are taken in the same order. No product here rounds, being of whole numbers below 2^53: that compilers may make one
// instruction, which rounds once, of a product and a sum changes no bit.
#include <algorithm>

#include "vectors.h"

namespace {

typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef double Doubles __attribute__((vector_size(8 * LANES)));

constexpr int TAPS = 9, KERNELS = 84, POOLS = 4;  // share, longest stretch, mean, mean place
constexpr int TOGETHER = ROWS;                    // biases whose counts stay in registers, and
constexpr int POOLED = ROWS / 2;                  // those of which more is read
constexpr int64_t OUTPUTS = 1 << 12;              // of a kernel that stay in the first cache
constexpr int64_t BYTE = 255;                     // NumPy's way counts up to so many in bytes, whose means are floats
constexpr int64_t PLACES = 1 << 14;               // steps after which the sum of places goes into doubles

// The taps of weight 2 of each kernel, in order; the others have -1.
struct Combinations {
  int taps[KERNELS][3];
  constexpr Combinations() : taps() {
    int kernel = 0;
    for (int i = 0; i < TAPS; ++i)
      for (int j = i + 1; j < TAPS; ++j)
        for (int k = j + 1; k < TAPS; ++k, ++kernel) taps[kernel][0] = i, taps[kernel][1] = j, taps[kernel][2] = k;
  }
};
constexpr Combinations COMBINATIONS;

struct Given {
  const float* x;  // (N, C, T)
  int64_t n, channels, steps, dilation, each;  // biases of each kernel
  const float* biases;                         // (84, each)
};

// How series of a tile lie: step by step, `width` of them side by side, a power of two and LANES at most. A vector then
// holds several steps where few series are left, or these are so long that outputs would leave the first cache.
struct Tile {
  int64_t width, edge, values, padded;  // of a channel (T, width), and with four taps of zeros at both ends

  Tile(const Given& given, bool all) : width(LANES) {
    const int64_t n = given.n;
    while (!all && width > 1 && (width / 2 >= n || given.steps * width > OUTPUTS)) width /= 2;
    edge = TAPS / 2 * given.dilation * width;
    values = given.steps * width;
    padded = values + 2 * edge;
  }
};

TSMTL_INLINE int64_t whole(int64_t values) { return (values + LANES - 1) / LANES * LANES; }

// S: about as many steps as there are stretches, of which there are 255 at most.
int64_t steps_of_stretch(int64_t rows) {
  int64_t root = 0;
  while ((root + 1) * (root + 1) <= rows) ++root;
  return std::max(root, (rows + BYTE - 1) / BYTE);
}

// Arrays one after another in the room that is given; their sizes are also what it needs.
struct Room {
  float *taps, *others;          // of each channel three times the series, and minus the sum of all taps
  float *of_taps, *of_others;    // their sums over the channels of a kernel
  float *second, *outputs;       // the others with two taps of weight 2, and with all three
  float *features, *by_place;    // of a kernel, and its biases' sums
  int64_t taps_apart, others_apart, floats;

  Room(const Given& given, const Tile& tile, int pools, float* room) : floats(LANES) {
    const uintptr_t over = reinterpret_cast<uintptr_t>(room) % sizeof(Vec);
    float* begin = over ? room + (sizeof(Vec) - over) / sizeof(float) : room;
    auto take = [&](int64_t size) {
      float* own = room ? begin + (floats - LANES) : nullptr;
      floats += size;
      return own;
    };
    taps_apart = whole(tile.padded) + LANES;  // a vector reads beyond the end
    others_apart = whole(tile.values) + LANES;
    taps = take(given.channels * taps_apart);
    others = take(given.channels * others_apart);
    of_taps = take(taps_apart);
    of_others = take(others_apart);
    second = take(others_apart);
    outputs = take(others_apart);
    features = take(whole(pools * given.each * tile.width));
    by_place = take(pools > 1 ? POOLED * LANES * steps_of_stretch(given.steps) : 0);
  }
};

// Lay series from `first` on as a tile, zeros beyond their ends and in place of those that are not there.
void lay(const Given& given, const Tile& tile, const Room& room, int64_t first) {
  const int64_t width = tile.width, own = std::min(width, given.n - first), step = given.dilation * width;
  std::fill(room.taps, room.taps + given.channels * room.taps_apart, 0.0f);
  for (int64_t c = 0; c < given.channels; ++c) {
    float *taps = room.taps + c * room.taps_apart, *others = room.others + c * room.others_apart;
    for (int64_t i = 0; i < own; ++i) {
      const float* series = given.x + ((first + i) * given.channels + c) * given.steps;
      for (int64_t t = 0; t < given.steps; ++t) taps[tile.edge + t * width + i] = series[t];
    }
    for (int64_t at = 0; at < tile.values; at += LANES) {
      Vec sum = -load(taps + at);
      for (int tap = 1; tap < TAPS; ++tap) sum -= load(taps + tap * step + at);
      store(others + at, sum);
    }
    for (int64_t at = 0; at < tile.padded; at += LANES) {
      const Vec v = load(taps + at);
      store(taps + at, (v + v) + v);  // rounds once, as three times v does: twice v is exact
    }
  }
}

// Add the channels of a kernel, one after another, `apart` floats from each other.
const float* sum_of(const float* values, int64_t apart, int64_t n, const int64_t* chosen, int64_t many, float* sum) {
  if (many == 1) return values + chosen[0] * apart;
  for (int64_t at = 0; at < n; at += LANES) {
    Vec v = load(values + chosen[0] * apart + at);
    for (int64_t c = 1; c < many; ++c) v += load(values + chosen[c] * apart + at);
    store(sum + at, v);
  }
  return sum;
}

TSMTL_INLINE Vec floats_of_counts(Ints counts) { return __builtin_convertvector(counts, Vec); }
TSMTL_INLINE Ints least(Ints a, Ints b) { return a > b ? a : b; }

// Calls work.template biases<B>(first) for all biases of a kernel, MOST at a time and then those that are left.
template <int B, class Work>
TSMTL_INLINE void biases_left(int64_t left, int64_t first, const Work& work) {
  if (left == B) return work.template biases<B>(first);
  if constexpr (B > 1) biases_left<B - 1>(left, first, work);
}

template <int MOST, class Work>
TSMTL_INLINE void for_biases(int64_t n, const Work& work) {
  int64_t first = 0;
  for (; first + MOST <= n; first += MOST) work.template biases<MOST>(first);
  if (first < n) biases_left<MOST - 1>(n - first, first, work);
}

// The share of outputs (R, width) above each bias, as features (each, width).
struct Share {
  const float *outputs, *of_biases;
  float* features;
  int64_t rows, width;

  template <int B>
  void biases(int64_t first) const {
    Vec bias[B];
    Ints count[B] = {};
    for (int b = 0; b < B; ++b) bias[b] = splat(of_biases[first + b]);
    for (int64_t at = 0; at < rows * width; at += LANES) {
      const Vec v = load(outputs + at);
      for (int b = 0; b < B; ++b) count[b] -= v > bias[b];
    }
    for (int b = 0; b < B; ++b) {
      Vec share = floats_of_counts(count[b]) / splat(float(rows));
      if (width < LANES) {
        int32_t lanes[LANES];
        std::memcpy(lanes, &count[b], sizeof lanes);
        for (int64_t half = LANES / 2; half >= width; half /= 2)
          for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
        for (int64_t i = 0; i < width; ++i) share[i] = float(lanes[i]) / float(rows);
      }
      store(features + (first + b) * width, share, width);
    }
  }
};

// Share, longest stretch, mean and mean place of outputs (R, LANES) above each bias, as features (4, each, LANES).
struct Four {
  const float *outputs, *of_biases;
  float *features, *by_place;  // (S, B, LANES): what is above, added over stretches
  int64_t rows, each, stretch;

  template <int B>
  void biases(int64_t first) const {
    Vec bias[B];
    Ints count[B] = {}, places[B] = {}, since[B], most[B] = {};
    Doubles sum_of_places[B] = {};
    for (int b = 0; b < B; ++b) bias[b] = splat(of_biases[first + b]), since[b] = Ints{} - 1;
    std::fill(by_place, by_place + stretch * B * LANES, 0.0f);
    int64_t from = 0;  // places are counted from here, and
    Ints before[B] = {};  // so many were above
    auto to_doubles = [&] {
      for (int b = 0; b < B; ++b) {
        const Doubles newly = __builtin_convertvector(count[b] - before[b], Doubles);
        const Doubles own = __builtin_convertvector((Bits)places[b], Doubles);
        sum_of_places[b] += own + newly * double(from);
        places[b] = Ints{};
        before[b] = count[b];
      }
    };
    for (int64_t start = 0; start < rows; start += stretch) {
      if (start - from >= PLACES) {
        to_doubles();
        from = start;
      }
      for (int64_t t = start; t < std::min(start + stretch, rows); ++t) {
        const Vec v = load(outputs + t * LANES);
        const Ints place = Ints{} + int32_t(t - from);
        float* sums = by_place + (t - start) * B * LANES;
        for (int b = 0; b < B; ++b) {
          const Vec over = v - bias[b];
          store(sums + b * LANES, load(sums + b * LANES) + (over < Vec{} ? Vec{} : over));  // NaN stays NaN
          const Ints above = v > bias[b];
          count[b] -= above;
          places[b] += above & place;
          since[b] += 1;
          most[b] = least(most[b], since[b]);
          since[b] &= v >= bias[b];
        }
      }
    }
    to_doubles();
    for (int b = 0; b < B; ++b) {
      Vec total = load(by_place + b * LANES);
      for (int64_t s = 1; s < std::min(stretch, rows); ++s) total += load(by_place + (s * B + b) * LANES);
      const Vec twice = bias[b] + bias[b];
      const Ints some = least(count[b], Ints{} + 1);
      const Doubles exact = __builtin_convertvector(some, Doubles);
      Vec mean = total / floats_of_counts(some) + twice;  // of output plus bias
      if (rows > BYTE)
        mean = __builtin_convertvector(
            __builtin_convertvector(total, Doubles) / exact + __builtin_convertvector(twice, Doubles), Vec);
      const Vec place = __builtin_convertvector(sum_of_places[b] / exact, Vec);
      float* own = features + (first + b) * LANES;
      store(own, floats_of_counts(count[b]) / splat(float(rows)));
      store(own + each * LANES, floats_of_counts(most[b]));
      store(own + 2 * each * LANES, count[b] > 0 ? mean : Vec{});
      store(own + 3 * each * LANES, count[b] > 0 ? place : splat(-1.0f));
    }
  }
};

// Write the outputs of a kernel: the sums of two taps, from `from` on, with the third.
void add_third(const float* second, const float* third, int64_t values, bool more_steps, float* outputs) {
  for (int64_t at = 0; at < values; at += LANES) store(outputs + at, load(second + at) + load(third + at));
  for (int64_t at = values; more_steps && at < whole(values); ++at) outputs[at] = __builtin_nanf("");  // above nothing
}

}  // namespace

// Give the floats of the room that rocket_pool needs.
TSMTL_EXPORT void rocket_room(int pools, int64_t n, int64_t channels, int64_t steps, int64_t dilation, int64_t each,
                              int64_t* floats) {
  const Given given{nullptr, n, channels, steps, dilation, each, nullptr};
  *floats = Room(given, Tile(given, pools > 1), pools, nullptr).floats;
}

// Write the features of series x (N, C, T), pool by pool (1: the share alone, or 4) by kernel and bias: those of series
// i at features + i * apart, those of a pool `pool_apart` behind those of the pool before. Kernels are taken in the
// `order` given; kernel k reads the sum of the channels from ends[k] to ends[k + 1] of `chosen`, and those that are odd
// with `odd` added read whole taps alone. Nothing is written of a kernel that fits nowhere.
TSMTL_EXPORT void rocket_pool(int pools, int64_t n, int64_t channels, int64_t steps, int64_t dilation, int64_t each,
                              const float* x, const float* biases, int odd, const int64_t* order, const int64_t* ends,
                              const int64_t* chosen, float* room, float* features, int64_t apart, int64_t pool_apart) {
  const Given given{x, n, channels, steps, dilation, each, biases};
  const Tile tile(given, pools > 1);
  const Room own(given, tile, pools, room);
  const int64_t step = dilation * tile.width;
  for (int64_t first = 0; first < n; first += tile.width) {
    lay(given, tile, own, first);
    const float *of_taps = nullptr, *of_others = nullptr;
    int64_t before = -1;  // the kernel before, whose sums may be the same
    for (int place = 0; place < KERNELS; ++place) {
      const int64_t kernel = order[place], many = ends[kernel + 1] - ends[kernel];
      const int* taps = COMBINATIONS.taps[kernel];
      const int64_t* own_channels = chosen + ends[kernel];
      const bool same = before >= 0 && std::equal(own_channels, own_channels + many, chosen + ends[before],
                                                  chosen + ends[before + 1]);
      if (!same) {
        of_taps = sum_of(own.taps, own.taps_apart, tile.padded, own_channels, many, own.of_taps);
        of_others = sum_of(own.others, own.others_apart, tile.values, own_channels, many, own.of_others);
      }
      if (!same || !std::equal(taps, taps + 2, COMBINATIONS.taps[before])) {
        const float *one = of_taps + taps[0] * step, *two = of_taps + taps[1] * step;
        for (int64_t at = 0; at < tile.values; at += LANES)
          store(own.second + at, (load(of_others + at) + load(one + at)) + load(two + at));
      }
      before = kernel;
      const int64_t edge = (kernel + odd) % 2 ? tile.edge : 0, values = tile.values - 2 * edge;
      if (values <= 0) continue;
      add_third(own.second + edge, of_taps + taps[2] * step + edge, values, tile.width < LANES, own.outputs);
      const int64_t rows = values / tile.width;
      const float* of_biases = biases + kernel * each;
      if (pools == 1)
        for_biases<TOGETHER>(each, Share{own.outputs, of_biases, own.features, rows, tile.width});
      else
        for_biases<POOLED>(each, Four{own.outputs, of_biases, own.features, own.by_place, rows, each,
                                      steps_of_stretch(rows)});
      for (int64_t i = 0; i < std::min(tile.width, n - first); ++i)
        for (int p = 0; p < pools; ++p)
          for (int64_t q = 0; q < each; ++q)
            features[(first + i) * apart + p * pool_apart + kernel * each + q] =
                own.features[(p * each + q) * tile.width + i];
    }
  }
}
