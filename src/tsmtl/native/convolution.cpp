// A convolution along time of series whose channels lie side by side, x[n][t][c] to y[n][steps][f], with stride 1.
//
// The rows of x that a step of y reads lie side by side too: the step is the product of taps * c neighbouring values
// with the weights, and nothing is copied to find them. Where a window hangs over an end it is the product of what is
// within; the steps of one such place in all series share a tile. The gradient of x is the convolution of that of y by
// the weights with their taps in reverse order. That of the weights is, for each tap, a product over the steps.
//
// Sums run over a window in its order; over the steps of a series, then over the series in theirs. So the numbers
// depend on the data alone: neither on the number of threads nor on addresses.

#include <algorithm>

#include "threads.h"
#include "vectors.h"

namespace {

constexpr int WIDE = 2;                  // vectors of a panel: ROWS x WIDE sums hide how long a product takes
constexpr int64_t PANEL = WIDE * LANES;  // outputs that are computed together; their weights stay in the first cache
constexpr int64_t NEAR = 4;              // series whose values stay in the second cache

struct Shape {
  int64_t n, t, c, f, taps, padding;
  int64_t steps() const { return t + 2 * padding - taps + 1; }
};

int64_t panels_of(int64_t outputs) { return (outputs + PANEL - 1) / PANEL; }

// As for_rows, in tiles as equal as can be: one of few rows, behind others, would wait for each of its sums.
template <class Work>
TSMTL_INLINE void for_even_rows(int64_t n, const Work& work) {
  int64_t first = 0;
  for (int64_t tiles = (n + ROWS - 1) / ROWS; tiles > 0; tiles--) {
    const int64_t rows = (n - first + tiles - 1) / tiles;
    the_rest<ROWS>(rows, first, work);
    first += rows;
  }
}

// Panels [depth][PANEL] of weights: value(i, o) of place i and output o, 0 behind the last output.
template <typename Value>
void pack(int64_t depth, int64_t outputs, float* panels, Value value) {
  for (int64_t first = 0; first < outputs; first += PANEL)
    for (int64_t i = 0; i < depth; i++)
      for (int64_t o = first; o < first + PANEL; o++) *panels++ = o < outputs ? value(i, o) : 0.0f;
}

// Products of windows of `depth` values that lie `apart` with a panel; what they give lies `gap` apart.
struct Windows {
  const float* from;
  int64_t apart, depth;
  const float* panel;
  float* to;
  int64_t gap, outputs;

  template <int R>
  TSMTL_INLINE void rows(int64_t first) const {
    Vec sums[R][WIDE] = {};
    add_products<R, WIDE>(sums, from + first * apart, apart, panel, depth);
    for (int i = 0; i < R; i++)
      for (int b = 0; b < WIDE; b++)
        store(to + (first + i) * gap + b * LANES, sums[i][b], std::clamp<int64_t>(outputs - b * LANES, 0, LANES));
  }
};

void convolve(Shape of, int threads, const float* x, const float* panels, float* y) {
  const int64_t steps = of.steps(), depth = of.taps * of.c;
  const int64_t first = std::min(of.padding, steps), last = std::max(first, of.t - of.taps + of.padding + 1);
  auto multiply = [&](int64_t count, const float* from, int64_t apart, int64_t begin, int64_t size, float* to,
                      int64_t gap) {  // by the weights of `size` places from `begin` on
    for (int64_t p = 0; p < panels_of(of.f); p++)
      for_rows(count, Windows{from, apart, size, panels + (p * depth + begin) * PANEL, to + p * PANEL, gap,
                              of.f - p * PANEL});
  };
  in_parallel(threads, of.n, [&](int64_t n) {
    multiply(last - first, x + n * of.t * of.c, of.c, 0, depth, y + (n * steps + first) * of.f, of.f);
  });
  in_parallel(threads, steps - (last - first), [&](int64_t at) {
    const int64_t step = at < first ? at : at + last - first, before = of.padding - step;
    const int64_t begin = std::max<int64_t>(0, before), end = std::min(of.taps, of.t + before);
    multiply(of.n, x + (begin - before) * of.c, of.t * of.c, begin * of.c, (end - begin) * of.c, y + step * of.f,
             steps * of.f);
  });
}

// Adds to sums[c][PANEL] the products of rows of x, which lie `apart`, with g[steps][PANEL].
struct OverSteps {
  const float* x;
  int64_t apart, steps;
  const float* g;
  float* sums;

  template <int R>
  TSMTL_INLINE void rows(int64_t c) const {
    Vec own[R][WIDE] = {};
    for (int64_t j = 0; j < steps; j++) {
      Vec d[WIDE];
      for (int b = 0; b < WIDE; b++) d[b] = load(g + j * PANEL + b * LANES);
      for (int i = 0; i < R; i++) {
        const Vec factor = splat(x[j * apart + c + i]);
        for (int b = 0; b < WIDE; b++) own[i][b] += factor * d[b];
      }
    }
    for (int i = 0; i < R; i++)
      for (int b = 0; b < WIDE; b++) {
        float* to = sums + (c + i) * PANEL + b * LANES;
        store(to, load(to) + own[i][b]);
      }
  }
};

}  // namespace

// Weights and their gradient are [f][c][taps]; padding is at least 0 and below taps.
//   scratch    [taps * c][f], f rounded up to a whole number of panels
TSMTL_EXPORT void convolution_forward(int64_t n, int64_t t, int64_t c, int64_t f, int64_t taps, int64_t padding,
                                      int threads, const float* x, const float* weight, float* y, float* scratch) {
  pack(taps * c, f, scratch, [&](int64_t i, int64_t o) { return weight[(o * c + i % c) * taps + i / c]; });
  convolve({n, t, c, f, taps, padding}, threads, x, scratch, y);
}

//   scratch    [taps * f][c], c rounded up likewise
TSMTL_EXPORT void convolution_backward_x(int64_t n, int64_t t, int64_t c, int64_t f, int64_t taps, int64_t padding,
                                         int threads, const float* weight, const float* d_y, float* d_x,
                                         float* scratch) {
  pack(taps * f, c, scratch, [&](int64_t i, int64_t o) { return weight[(i % f * c + o + 1) * taps - 1 - i / f]; });
  const int64_t steps = Shape{n, t, c, f, taps, padding}.steps();
  convolve({n, steps, f, c, taps, taps - 1 - padding}, threads, d_y, scratch, d_x);
}

//   scratch    [steps + taps * c][f], f rounded up likewise
TSMTL_EXPORT void convolution_backward_weight(int64_t n, int64_t t, int64_t c, int64_t f, int64_t taps, int64_t padding,
                                              int threads, const float* x, const float* d_y, float* d_weight,
                                              float* scratch) {
  const int64_t steps = Shape{n, t, c, f, taps, padding}.steps(), room = (steps + taps * c) * PANEL;
  for (int64_t near = 0; near < n; near += NEAR)
    in_parallel(threads, panels_of(f), [&](int64_t panel) {
      const int64_t at = panel * PANEL, outputs = std::min(PANEL, f - at);
      float *g = scratch + panel * room, *sums = g + steps * PANEL;
      if (!near) std::fill(g, g + room, 0.0f);
      for (int64_t s = near; s < std::min(n, near + NEAR); s++) {
        const float* from = d_y + s * steps * f + at;
        for (int64_t j = 0; j < steps; j++) std::copy(from + j * f, from + j * f + outputs, g + j * PANEL);
        for (int64_t tap = 0; tap < taps; tap++) {
          const int64_t first = std::max<int64_t>(0, padding - tap), last = std::min(steps, t + padding - tap);
          for_even_rows(c, OverSteps{x + (s * t + first + tap - padding) * c, c, last - first, g + first * PANEL,
                                     sums + tap * c * PANEL});
        }
      }
      if (near + NEAR < n) return;
      for (int64_t l = 0; l < outputs; l++)
        for (int64_t i = 0; i < taps * c; i++)
          d_weight[((at + l) * c + i % c) * taps + i / c] = sums[i * PANEL + l];
    });
}
