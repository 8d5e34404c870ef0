// Batch norm over instances and steps, ReLU, and squeeze-and-excite or a mean over the steps, of maps whose channels
// lie side by side: z[n][t][f]. What a step of a training computes between two convolutions, forward and backward.
//
// With m and v the mean and the biased variance of a channel, a = weight / sqrt(v + eps) and c = z - m:
//
//     y = max(a c + bias, 0)        s[n][f] = mean of y over t        g = sigmoid(excite max(squeeze s, 0))
//
// and the output is y, y g, or s. Backward needs of the maps z alone: y and the mask are computed again.
//
// Statistics are those of blocks of rows, each by the corrected two passes of Chan, Golub and LeVeque (1983) over a
// block that lies in the cache, put together in double precision in the order of the blocks. Sums over steps run within
// a series, sums over series in their order. So the numbers depend on the data alone: neither on the number of threads
// nor on addresses.

#include <algorithm>
#include <cmath>

#include "halves.h"
#include "threads.h"

namespace {

constexpr int64_t BLOCK = 64;  // rows: partial sums of a long series stay exact, and a block stays in the cache
constexpr int WIDE = LANES == 16 ? 4 : 2;  // vectors at a time, with all that belongs to them in registers

// A stretch of neighbouring channels: V vectors of them, or (Whole false) one vector of which only the first lanes are.
template <int V, bool Whole>
struct Tile {
  static constexpr int vectors = V;
  static constexpr bool whole = Whole;
  int64_t at;     // first channel
  int64_t lanes;  // in each vector
};

template <typename Body>
TSMTL_INLINE void over_channels(int64_t f, Body body) {
  int64_t at = 0;
  for (; at + WIDE * LANES <= f; at += WIDE * LANES) body(Tile<WIDE, true>{at, LANES});
  for (; at + LANES <= f; at += LANES) body(Tile<1, true>{at, LANES});
  if (at < f) body(Tile<1, false>{at, f - at});
}

TSMTL_INLINE float positive(float x) { return x < 0 ? 0 : x; }  // NaN stays NaN: the loss shall tell

// What all steps of a channel share.
struct Channels {
  const float* mean;
  const float* scale;  // a
  const float* shift;  // the bias of the norm
};

// The same of the channels of a vector.
struct Lanes {
  Vec mean, scale, shift;

  TSMTL_INLINE Vec activated(Vec centred) const {
    return at_least(centred * scale + shift, 0.0f);  // NaN stays NaN here too
  }

  TSMTL_INLINE Vec masked(Vec centred, Vec gradient) const {
    return (centred * scale + shift <= 0.0f) ? Vec{} : gradient;
  }
};

template <bool Whole>
TSMTL_INLINE Lanes lanes_of(Channels of, int64_t at, int64_t lanes) {
  return {get<Whole>(of.mean + at, lanes), get<Whole>(of.scale + at, lanes), get<Whole>(of.shift + at, lanes)};
}

// A mean of rows, what is missing in it for rounding, and the sum of squares around both.
template <typename Z>
void describe(const Z* z, int64_t rows, int64_t f, float* mean, float* missing, float* spread) {
  over_channels(f, [&](auto tile) {
    constexpr int V = decltype(tile)::vectors;
    constexpr bool W = decltype(tile)::whole;
    Vec total[V] = {}, squares[V] = {}, rest[V] = {}, middle[V];
    for (int64_t r = 0; r < rows; r++)
      for (int v = 0; v < V; v++) total[v] += get<W>(z + r * f + tile.at + v * LANES, tile.lanes);
    for (int v = 0; v < V; v++) middle[v] = total[v] / float(rows);
    for (int64_t r = 0; r < rows; r++)
      for (int v = 0; v < V; v++) {
        Vec d = get<W>(z + r * f + tile.at + v * LANES, tile.lanes) - middle[v];
        rest[v] += d;
        squares[v] += d * d;
      }
    for (int v = 0; v < V; v++) {
      const int64_t at = tile.at + v * LANES;
      rest[v] /= float(rows);
      put<W>(mean + at, middle[v], tile.lanes);
      put<W>(missing + at, rest[v], tile.lanes);
      put<W>(spread + at, squares[v] - float(rows) * rest[v] * rest[v], tile.lanes);
    }
  });
}

// K sums over the steps of a series, block by block: terms(own, c, place, tile, found) writes those of a place, where
// own are its Lanes and c is z - m. Blocks count steps beyond the whole numbers of a float.
template <int K, typename Z, typename Terms>
TSMTL_INLINE void over_steps(const Z* z, int64_t t, int64_t f, Channels of, float* const (&sums)[K], Terms terms) {
  over_channels(f, [&](auto tile) {
    constexpr int V = decltype(tile)::vectors;
    constexpr bool W = decltype(tile)::whole;
    Vec total[K][V] = {};
    Lanes own[V];
    for (int v = 0; v < V; v++) own[v] = lanes_of<W>(of, tile.at + v * LANES, tile.lanes);
    for (int64_t first = 0; first < t; first += BLOCK) {
      Vec some[K][V] = {};
      for (int64_t r = first; r < std::min(t, first + BLOCK); r++)
        for (int v = 0; v < V; v++) {
          const int64_t place = r * f + tile.at + v * LANES;
          Vec found[K];
          terms(own[v], get<W>(z + place, tile.lanes) - own[v].mean, place, tile, found);
          for (int k = 0; k < K; k++) some[k][v] += found[k];
        }
      for (int k = 0; k < K; k++)
        for (int v = 0; v < V; v++) total[k][v] += some[k][v];
    }
    for (int k = 0; k < K; k++)
      for (int v = 0; v < V; v++) put<W>(sums[k] + tile.at + v * LANES, total[k][v], tile.lanes);
  });
}

// Means of y; sums of the steps with y > 0, and of z - m over these.
template <typename Z>
void pool(const Z* z, int64_t t, int64_t f, Channels of, float* pooled, float* counts, float* parts) {
  over_steps<3>(z, t, f, of, {pooled, counts, parts}, [](Lanes own, Vec c, int64_t, auto, Vec(&found)[3]) {
    found[0] = own.activated(c);
    found[1] = own.masked(c, splat(1.0f));
    found[2] = own.masked(c, c);
  });
  for (int64_t i = 0; i < f; i++) pooled[i] /= float(t);
}

template <typename Z, typename O>
void write(const Z* z, int64_t t, int64_t f, Channels of, const float* gate, O* out) {
  over_channels(f, [&](auto tile) {
    constexpr int V = decltype(tile)::vectors;
    constexpr bool W = decltype(tile)::whole;
    Lanes own[V];
    Vec weight[V];
    for (int v = 0; v < V; v++) {
      own[v] = lanes_of<W>(of, tile.at + v * LANES, tile.lanes);
      weight[v] = gate ? get<W>(gate + tile.at + v * LANES, tile.lanes) : splat(1.0f);
    }
    for (int64_t r = 0; r < t; r++)
      for (int v = 0; v < V; v++) {
        const int64_t at = r * f + tile.at + v * LANES;
        put<W>(out + at, own[v].activated(get<W>(z + at, tile.lanes) - own[v].mean) * weight[v], tile.lanes);
      }
  });
}

// Sums of the gradient of the output over the steps with y > 0, and of its product with z - m.
template <typename Z, typename D>
void gather(const Z* z, const D* d_out, int64_t t, int64_t f, Channels of, float* sums, float* products) {
  over_steps<2>(z, t, f, of, {sums, products}, [=](Lanes own, Vec c, int64_t place, auto tile, Vec(&found)[2]) {
    found[0] = own.masked(c, get<decltype(tile)::whole>(d_out + place, tile.lanes));
    found[1] = found[0] * c;
  });
}

// The gradient of z. Without d_out the output was the mean alone.
template <typename Z, typename D>
void spread_back(const Z* z, const D* d_out, int64_t t, int64_t f, Channels of, const float* gate, const float* of_mean,
                 const float* along, const float* across, Z* d_z) {
  over_channels(f, [&](auto tile) {
    constexpr int V = decltype(tile)::vectors;
    constexpr bool W = decltype(tile)::whole;
    Lanes own[V];
    Vec weight[V], pooled[V], first[V], second[V];
    for (int v = 0; v < V; v++) {
      int64_t at = tile.at + v * LANES;
      own[v] = lanes_of<W>(of, at, tile.lanes);
      weight[v] = gate ? get<W>(gate + at, tile.lanes) : splat(1.0f);
      pooled[v] = of_mean ? get<W>(of_mean + at, tile.lanes) : Vec{};
      first[v] = get<W>(along + at, tile.lanes);
      second[v] = get<W>(across + at, tile.lanes);
    }
    for (int64_t r = 0; r < t; r++)
      for (int v = 0; v < V; v++) {
        int64_t at = r * f + tile.at + v * LANES;
        Vec c = get<W>(z + at, tile.lanes) - own[v].mean;
        Vec d = pooled[v];
        if (d_out) d += get<W>(d_out + at, tile.lanes) * weight[v];
        d = own[v].masked(c, d);
        put<W>(d_z + at, own[v].scale * (d - first[v] - c * second[v]), tile.lanes);
      }
  });
}

TSMTL_INLINE float dot(const float* a, const float* b, int64_t f) {
  Vec total{};
  int64_t at = 0;
  for (; at + LANES <= f; at += LANES) total += get<true>(a + at, LANES) * get<true>(b + at, LANES);
  if (at < f) total += get<false>(a + at, f - at) * get<false>(b + at, f - at);
  float sum = 0;
  for (int64_t l = 0; l < LANES; l++) sum += total[l];
  return sum;
}

struct Shape {
  int64_t n, t, f, narrow;
};

// Squeeze-and-excite of one series.
void weigh(Shape of, const float* pooled, const float* squeeze, const float* excited, float* hidden, float* gate) {
  for (int64_t j = 0; j < of.narrow; j++) hidden[j] = positive(dot(squeeze + j * of.f, pooled, of.f));
  for (int64_t i = 0; i < of.f; i += 2 * LANES) {
    const int64_t lanes[2] = {std::min<int64_t>(LANES, of.f - i), std::clamp<int64_t>(of.f - i - LANES, 0, LANES)};
    Vec sums[2] = {};
    for (int64_t j = 0; j < of.narrow; j++)
      for (int k = 0; k < 2; k++) sums[k] += hidden[j] * load(excited + j * of.f + i + k * LANES, lanes[k]);
    sigmoids(sums[0], sums[1]);
    for (int k = 0; k < 2; k++) store(gate + i + k * LANES, sums[k], lanes[k]);
  }
}

template <typename Z, typename O>
void forward(Shape of, bool mean_alone, int threads, const Z* z, const float* weight, const float* bias, float eps,
             const float* squeeze, const float* excite, O* out, float* channels, float* series, float* hidden,
             double* sums, float* scratch) {
  const int64_t rows = of.n * of.t, f = of.f, blocks = (rows + BLOCK - 1) / BLOCK, plane = of.n * f;
  float *mean = channels, *variance = mean + f, *scale = variance + f;
  float *means = scratch, *missing = means + blocks * f, *spreads = missing + blocks * f;
  float* excited = spreads + blocks * f;  // the weights [narrow][f]
  double *total = sums, *squares = sums + f;
  for (int64_t i = 0; i < f; i++)
    for (int64_t j = 0; j < of.narrow; j++) excited[j * f + i] = excite[i * of.narrow + j];
  auto rows_of = [&](int64_t block) { return std::min(BLOCK, rows - block * BLOCK); };
  in_parallel(threads, blocks, [&](int64_t b) {
    describe(z + b * BLOCK * f, rows_of(b), f, &means[b * f], &missing[b * f], &spreads[b * f]);
  });
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t i = 0; i < f; i++) total[i] += double(rows_of(b)) * (double(means[b * f + i]) + missing[b * f + i]);
  for (int64_t i = 0; i < f; i++) total[i] /= double(rows);
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t i = 0; i < f; i++) {
      const double apart = double(means[b * f + i]) + missing[b * f + i] - total[i];
      squares[i] += spreads[b * f + i] + double(rows_of(b)) * apart * apart;
    }
  for (int64_t i = 0; i < f; i++) {
    mean[i] = float(total[i]);
    variance[i] = float(squares[i] / double(rows - 1));
    scale[i] = float(weight[i] / std::sqrt(squares[i] / double(rows) + eps));
  }
  in_parallel(threads, of.n, [&](int64_t n) {
    const Z* own = z + n * of.t * f;
    const Channels shared{mean, scale, bias};
    float *s = series + n * f, *g = s + 3 * plane, *h = hidden + n * of.narrow;
    if (mean_alone || of.narrow) pool(own, of.t, f, shared, s, s + plane, s + 2 * plane);
    if (of.narrow) weigh(of, s, squeeze, excited, h, g);
    if (!mean_alone) write(own, of.t, f, shared, of.narrow ? g : nullptr, out + n * of.t * f);
  });
}

template <typename Z, typename O>
void backward(Shape of, bool mean_alone, int threads, const Z* z, const O* d_out, const float* bias, float eps,
              const float* squeeze, const float* excite, const float* channels, const float* series,
              const float* hidden, Z* d_z, float* d_norm, float* d_squeeze, float* d_excite, double* of_all,
              float* scratch) {
  const int64_t rows = of.n * of.t, f = of.f, plane = of.n * f, narrow = of.narrow;
  const float *mean = channels, *variance = mean + f, *scale = variance + f;
  const float *pooled = series, *counts = pooled + plane, *parts = counts + plane, *gate = parts + plane;
  const float* d_mean = reinterpret_cast<const float*>(d_out);  // where the output is the mean
  const bool pools = mean_alone || narrow;
  float *sums = scratch, *products = sums + plane, *of_pool = products + plane, *of_gate = of_pool + plane;
  float *of_hidden = of_gate + plane, *along = of_hidden + of.n * narrow, *across = along + f;
  double *total = of_all, *product = of_all + f;
  const Channels shared{mean, scale, bias};
  in_parallel(threads, of.n, [&](int64_t n) {
    const int64_t at = n * f;
    const Z* own = z + at * of.t;
    if (!mean_alone) {
      gather(own, d_out + at * of.t, of.t, f, shared, &sums[at], &products[at]);
    } else {
      for (int64_t i = at; i < at + f; i++) of_pool[i] = d_mean[i];
    }
    if (narrow) {
      float *d_gate = &of_gate[at], *d_hidden = &of_hidden[n * narrow], *d_pool = &of_pool[at];
      for (int64_t i = 0; i < f; i++) {
        const float g = gate[at + i];
        d_gate[i] = (scale[i] * products[at + i] + bias[i] * sums[at + i]) * g * (1 - g);
        for (int64_t j = 0; j < narrow; j++) d_hidden[j] += d_gate[i] * excite[i * narrow + j];
      }
      for (int64_t j = 0; j < narrow; j++) {
        if (hidden[n * narrow + j] <= 0) d_hidden[j] = 0;
        for (int64_t i = 0; i < f; i++) d_pool[i] += d_hidden[j] * squeeze[j * f + i];
      }
    }
    if (pools)
      for (int64_t i = at; i < at + f; i++) {
        const float g = narrow ? gate[i] : 0;
        of_pool[i] /= float(of.t);
        sums[i] = g * sums[i] + of_pool[i] * counts[i];
        products[i] = g * products[i] + of_pool[i] * parts[i];
      }
  });
  for (int64_t n = 0; n < of.n; n++)
    for (int64_t i = 0; i < f; i++) {
      total[i] += sums[n * f + i];
      product[i] += products[n * f + i];
    }
  for (int64_t i = 0; i < f; i++) {
    const double precision = 1 / (double(variance[i]) * double(rows - 1) / double(rows) + eps);
    d_norm[i] = float(product[i] * std::sqrt(precision));
    d_norm[f + i] = float(total[i]);
    along[i] = float(total[i] / double(rows));
    across[i] = float(product[i] / double(rows) * precision);
  }
  in_parallel(threads, of.n, [&](int64_t n) {
    const int64_t at = n * f;
    const Z* own = z + at * of.t;
    const float *g = narrow ? gate + at : nullptr, *p = pools ? &of_pool[at] : nullptr;
    const O* given = mean_alone ? nullptr : d_out + at * of.t;
    spread_back(own, given, of.t, f, shared, g, p, along, across, d_z + at * of.t);
  });
  for (int64_t j = 0; j < narrow; j++) {
    std::fill(d_squeeze + j * f, d_squeeze + (j + 1) * f, 0.0f);
    for (int64_t n = 0; n < of.n; n++)
      for (int64_t i = 0; i < f; i++) d_squeeze[j * f + i] += of_hidden[n * narrow + j] * pooled[n * f + i];
  }
  std::fill(d_excite, d_excite + f * narrow, 0.0f);
  for (int64_t n = 0; n < of.n; n++)
    for (int64_t i = 0; i < f; i++)
      for (int64_t j = 0; j < narrow; j++) d_excite[i * narrow + j] += of_gate[n * f + i] * hidden[n * narrow + j];
}

}  // namespace

// What both passes take; z, out, d_out and d_z are floats, or bfloat16 (the mean is always floats).
//   mean_alone 0: out is [n][t][f]; 1: the mean [n][f], which is found in `series`; not with narrow > 0
//   narrow     units of squeeze-and-excite, whose weights are [narrow][f] and [f][narrow]; 0: there is none
//   channels   [3][f] mean, unbiased variance, a; written by forward, read by backward, as is what follows
//   series     [4][n][f] s; steps with y > 0; sum of c over these; g. Where there is narrow, or mean_alone
//   hidden     [n][narrow] max(squeeze s, 0)
//   sums       [2][f] doubles, scratch, zeros at first; so is the next: what allocates here could not say that it fails
//   scratch    forward [3][blocks of 64 rows][f] and [narrow][f]; backward [4][n][f], [n][narrow] and [2][f]
TSMTL_EXPORT void norm_relu_forward(int64_t n, int64_t t, int64_t f, int64_t narrow, int mean_alone, int threads,
                                    int bf16, float eps, const void* z, const float* weight, const float* bias,
                                    const float* squeeze, const float* excite, void* out, float* channels,
                                    float* series, float* hidden, double* sums, float* scratch) {
  auto run = [&](auto* from, auto* to) {
    forward(Shape{n, t, f, narrow}, mean_alone != 0, threads, from, weight, bias, eps, squeeze, excite, to, channels,
            series, hidden, sums, scratch);
  };
  if (bf16)
    run(static_cast<const BF16*>(z), static_cast<BF16*>(out));
  else
    run(static_cast<const float*>(z), static_cast<float*>(out));
}

//   d_norm     [2][f] gradients of weight and bias
TSMTL_EXPORT void norm_relu_backward(int64_t n, int64_t t, int64_t f, int64_t narrow, int mean_alone, int threads,
                                     int bf16, float eps, const void* z, const float* bias, const float* squeeze,
                                     const float* excite, const void* d_out, const float* channels,
                                     const float* series, const float* hidden, void* d_z, float* d_norm,
                                     float* d_squeeze, float* d_excite, double* sums, float* scratch) {
  auto run = [&](auto* from, auto* gradient, auto* to) {
    backward(Shape{n, t, f, narrow}, mean_alone != 0, threads, from, gradient, bias, eps, squeeze, excite, channels,
             series, hidden, to, d_norm, d_squeeze, d_excite, sums, scratch);
  };
  if (bf16)
    run(static_cast<const BF16*>(z), static_cast<const BF16*>(d_out), static_cast<BF16*>(d_z));
  else
    run(static_cast<const float*>(z), static_cast<const float*>(d_out), static_cast<float*>(d_z));
}
