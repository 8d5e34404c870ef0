// The way through time of one direction of a GRU layer, forth and back; tsmtl.models.gru_native has what surrounds it.
//
// Rows are packed step after step, the longest series first: row i of a step goes on from row i of the step before.
// A row of gates is (4, H): a_n, what the new gate reads of the state; r; z; n, the new gate. A row of states is (H).
// Weights are first laid as the loops read them, `LANES` hidden units by the side of each other, zeros behind the last.
#include "vectors.h"

namespace {

constexpr int PAIR = 2;  // vectors of units that the way back sums at once

int64_t groups(int64_t hidden, int64_t each) { return (hidden + each - 1) / each; }

// A step forth, of some hidden units.
struct Read {
  int64_t hidden, unit, lanes;
  const float *weights, *bias;  // (H, 3, LANES) of these units; (4, H)
  const float* before;
  float *gates, *after;

  template <int R>
  __attribute__((noinline)) void rows(int64_t first) const {
    const float* states = before + first * hidden;
    float* own = gates + first * 4 * hidden + unit;
    Vec sums[R][3], of_gate[4];
    for (int g = 0; g < 4; ++g) of_gate[g] = load(bias + g * hidden + unit, lanes);
    for (int i = 0; i < R; ++i) {
      sums[i][0] = of_gate[0];
      sums[i][1] = load(own + (i * 4 + 1) * hidden, lanes) + of_gate[1];
      sums[i][2] = load(own + (i * 4 + 2) * hidden, lanes) + of_gate[2];
    }
    add_products(sums, states, hidden, weights, hidden);
    for (int i = 0; i < R; ++i) {
      float* row = own + i * 4 * hidden;
      Vec a_n = sums[i][0], r = sums[i][1], z = sums[i][2];
      sigmoids(r, z);
      Vec n = tanh(load(row + 3 * hidden, lanes) + of_gate[3] + r * a_n);
      Vec h = load(states + i * hidden + unit, lanes);
      store(row, a_n, lanes);
      store(row + hidden, r, lanes);
      store(row + 2 * hidden, z, lanes);
      store(row + 3 * hidden, n, lanes);
      store(after + (first + i) * hidden + unit, n + z * (h - n), lanes);
    }
  }
};

// A step back: the gradient of the states before by what the gates read of them, of some hidden units.
struct GoBack {
  int64_t hidden, unit;
  const float* weights;   // (3H, PAIR, LANES) of these units
  const float* d_gates;   // (rows, 4, H)
  float* d_before;

  template <int R>
  __attribute__((noinline)) void rows(int64_t first) const {
    float* own = d_before + first * hidden;
    Vec sums[R][PAIR];
    for (int i = 0; i < R; ++i)
      for (int b = 0; b < PAIR; ++b) sums[i][b] = load(own + i * hidden + unit + b * LANES, lanes(b));
    add_products(sums, d_gates + first * 4 * hidden, 4 * hidden, weights, 3 * hidden);
    for (int i = 0; i < R; ++i)
      for (int b = 0; b < PAIR; ++b) store(own + i * hidden + unit + b * LANES, sums[i][b], lanes(b));
  }

  int64_t lanes(int b) const {
    int64_t left = hidden - unit - b * LANES;
    return left < 0 ? 0 : left < LANES ? left : LANES;
  }
};

// The gradients (4, H) of what a row's gates read, by that of its state: of a_n, r and z as read of the state before,
// and of what the new gate reads of the input; and what the state before passes on by itself.
void differentiate(int64_t hidden, const float* __restrict gates, const float* __restrict before,
                   const float* __restrict d_after, float* __restrict d_gates, float* __restrict d_before) {
  for (int64_t j = 0; j < hidden; ++j) {
    float a_n = gates[j], r = gates[hidden + j], z = gates[2 * hidden + j], n = gates[3 * hidden + j];
    float d = d_after[j], d_n = d * (1 - z) * (1 - n * n);
    d_gates[j] = d_n * r;
    d_gates[hidden + j] = d_n * a_n * r * (1 - r);
    d_gates[2 * hidden + j] = d * (before[j] - n) * z * (1 - z);
    d_gates[3 * hidden + j] = d_n;
    d_before[j] += d * z;
  }
}

}  // namespace

// Floats that gru_pack fills: weights (H, 3, LANES) by group of units for the way forth, then (3H, PAIR, LANES) back.
TSMTL_EXPORT void gru_sizes(int64_t hidden, int64_t* forth, int64_t* back) {
  *forth = groups(hidden, LANES) * hidden * 3 * LANES;
  *back = groups(hidden, PAIR * LANES) * 3 * hidden * PAIR * LANES;
}

// Lay the weights (3H, H), gates r, z and n, in the order a_n, r, z for one of the ways; the other is null.
TSMTL_EXPORT void gru_pack(int64_t hidden, const float* weights, float* forth, float* back) {
  const int64_t of_gate[3] = {2 * hidden, 0, hidden};
  for (int64_t unit = 0; forth && unit < hidden; unit += LANES)
    for (int64_t k = 0; k < hidden; ++k)
      for (int64_t gate : of_gate)
        for (int64_t j = unit; j < unit + LANES; ++j) *forth++ = j < hidden ? weights[(gate + j) * hidden + k] : 0.0f;
  for (int64_t unit = 0; back && unit < hidden; unit += PAIR * LANES)
    for (int64_t gate : of_gate)
      for (int64_t k = 0; k < hidden; ++k)
        for (int64_t j = unit; j < unit + PAIR * LANES; ++j) *back++ = j < hidden ? weights[(gate + k) * hidden + j] : 0.0f;
}

// Go through consecutive steps.
//   sizes    rows of each step
//   prior    rows of the step before the first one, of which there are as many or more
//   packed   by gru_pack, for the way forth
//   bias     (4, H) of a_n, r, z and what n reads of the input
//   gates    (rows, 4, H): r, z and n as the weights of the input alone give them; becomes the gates
//   states   (prior + rows, H), of which the first `prior` are given
TSMTL_EXPORT void gru_read(int64_t steps, const int64_t* sizes, int64_t prior, int64_t hidden, const float* packed,
                           const float* bias, float* gates, float* states) {
  float* after = states + prior * hidden;
  for (int64_t t = 0; t < steps; ++t) {
    const float* weights = packed;
    for (int64_t unit = 0; unit < hidden; unit += LANES, weights += hidden * 3 * LANES) {
      int64_t lanes = hidden - unit < LANES ? hidden - unit : LANES;
      for_rows(sizes[t], Read{hidden, unit, lanes, weights, bias, states, gates, after});
    }
    states = after;
    after += sizes[t] * hidden;
    gates += sizes[t] * 4 * hidden;
  }
}

// Go back through consecutive steps; steps, sizes, prior and hidden as above.
//   packed    by gru_pack, for the way back
//   gates     (rows, 4, H), states (prior + rows, H): as gru_read left them
//   d_states  (prior + rows, H) gradients of the states by what comes after, and of the states before added here
//   d_gates   (rows, 4, H) is written: gradients of a_n, r, z and of what n reads of the input
TSMTL_EXPORT void gru_go_back(int64_t steps, const int64_t* sizes, int64_t prior, int64_t hidden, const float* packed,
                              const float* gates, const float* states, float* d_states, float* d_gates) {
  int64_t row = 0;  // of the step among the gates
  for (int64_t t = 0; t < steps; ++t) row += sizes[t];
  for (int64_t t = steps - 1; t >= 0; --t) {
    row -= sizes[t];
    int64_t before = t > 0 ? row + prior - sizes[t - 1] : 0;  // the step before among the states
    float* d_before = d_states + before * hidden;
    for (int64_t i = 0; i < sizes[t]; ++i)
      differentiate(hidden, gates + (row + i) * 4 * hidden, states + (before + i) * hidden,
                    d_states + (prior + row + i) * hidden, d_gates + (row + i) * 4 * hidden, d_before + i * hidden);
    const float* weights = packed;
    for (int64_t unit = 0; unit < hidden; unit += PAIR * LANES, weights += 3 * hidden * PAIR * LANES)
      for_rows(sizes[t], GoBack{hidden, unit, weights, d_gates + row * 4 * hidden, d_before});
  }
}
