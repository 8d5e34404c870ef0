// The way through time of one direction of a GRU layer, forth and back; tsmtl.models.gru_native has what surrounds it.
//
// Rows are packed step after step, the longest series first, so that row i of every step is of the same series. A row of
// gates is (4, H): a_n, what the new gate reads of the state; r; z; n, the new gate. Rows of states, (H) each, lie
// `stride` apart: N rows of zeros, those of all steps, and N of zeros again. The direction that reads the series from
// their ends goes from the last step to the first; a series joins it where its own last step is.
// Weights are first laid as the loops read them, `LANES` hidden units by the side of each other, zeros behind the last.
#include "vectors.h"

namespace {

constexpr int PAIR = 2;  // vectors of units that the way back sums at once

int64_t groups(int64_t hidden, int64_t each) { return (hidden + each - 1) / each; }

// All steps, by the first row of each and, behind the last, the number of rows; and the direction.
struct Steps {
  int64_t n_steps;
  const int64_t* starts;
  bool from_end;

  int64_t size(int64_t t) const { return t < 0 || t >= n_steps ? 0 : starts[t + 1] - starts[t]; }
  int64_t states(int64_t t) const { return size(0) + starts[t]; }  // where those of a step lie

  // Calls work(rows, first row of the step, where the states before them lie) for the rows of a step that go on from
  // one before, and for those that go on from zeros.
  template <class Work>
  void parts(int64_t t, const Work& work) const {
    int64_t before = from_end ? t + 1 : t - 1, rows = size(t), on = size(before) < rows ? size(before) : rows;
    if (on > 0) work(on, 0, states(before));
    if (on < rows) work(rows - on, on, from_end ? states(n_steps) + on : on);
  }
};

// A step forth, of some hidden units.
struct Read {
  int64_t hidden, stride, unit, lanes;
  const float *weights, *bias;  // (H, 3, LANES) of these units; (4, H)
  const float* before;
  float *gates, *after;

  template <int R>
  __attribute__((noinline)) void rows(int64_t first) const {
    const float* states = before + first * stride;
    float* own = gates + first * 4 * hidden + unit;
    Vec sums[R][3], of_gate[4];
    for (int g = 0; g < 4; ++g) of_gate[g] = load(bias + g * hidden + unit, lanes);
    for (int i = 0; i < R; ++i) {
      sums[i][0] = of_gate[0];
      sums[i][1] = load(own + (i * 4 + 1) * hidden, lanes) + of_gate[1];
      sums[i][2] = load(own + (i * 4 + 2) * hidden, lanes) + of_gate[2];
    }
    add_products(sums, states, stride, weights, hidden);
    for (int i = 0; i < R; ++i) {
      float* row = own + i * 4 * hidden;
      Vec a_n = sums[i][0], r = sums[i][1], z = sums[i][2];
      sigmoids(r, z);
      Vec n = tanh(load(row + 3 * hidden, lanes) + of_gate[3] + r * a_n);
      Vec h = load(states + i * stride + unit, lanes);
      store(row, a_n, lanes);
      store(row + hidden, r, lanes);
      store(row + 2 * hidden, z, lanes);
      store(row + 3 * hidden, n, lanes);
      store(after + (first + i) * stride + unit, n + z * (h - n), lanes);
    }
  }
};

// A step back: the gradient of the states before by what the gates read of them, of some hidden units.
struct GoBack {
  int64_t hidden, stride, unit;
  const float* weights;   // (3H, PAIR, LANES) of these units
  const float* d_gates;   // (rows, 4, H)
  float* d_before;

  template <int R>
  __attribute__((noinline)) void rows(int64_t first) const {
    float* own = d_before + first * stride + unit;
    Vec sums[R][PAIR];
    for (int i = 0; i < R; ++i)
      for (int b = 0; b < PAIR; ++b) sums[i][b] = load(own + i * stride + b * LANES, lanes(b));
    add_products(sums, d_gates + first * 4 * hidden, 4 * hidden, weights, 3 * hidden);
    for (int i = 0; i < R; ++i)
      for (int b = 0; b < PAIR; ++b) store(own + i * stride + b * LANES, sums[i][b], lanes(b));
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

// Floats that gru_pack fills for the way forth and for that back.
TSMTL_EXPORT void gru_sizes(int64_t hidden, int64_t* sizes) {
  sizes[0] = groups(hidden, LANES) * hidden * 3 * LANES;
  sizes[1] = groups(hidden, PAIR * LANES) * 3 * hidden * PAIR * LANES;
}

// Lay the weights (3H, H) of the gates r, z and n in the order a_n, r, z: for the way forth (H, 3, LANES) by group of
// units, for that back (3H, PAIR, LANES).
TSMTL_EXPORT void gru_pack(int64_t hidden, int64_t back, const float* weights, float* packed) {
  const int64_t of_gate[3] = {2 * hidden, 0, hidden};
  if (!back)
    for (int64_t unit = 0; unit < hidden; unit += LANES)
      for (int64_t k = 0; k < hidden; ++k)
        for (int64_t gate : of_gate)
          for (int64_t j = unit; j < unit + LANES; ++j) *packed++ = j < hidden ? weights[(gate + j) * hidden + k] : 0.0f;
  else
    for (int64_t unit = 0; unit < hidden; unit += PAIR * LANES)
      for (int64_t gate : of_gate)
        for (int64_t k = 0; k < hidden; ++k)
          for (int64_t j = unit; j < unit + PAIR * LANES; ++j)
            *packed++ = j < hidden ? weights[(gate + k) * hidden + j] : 0.0f;
}

// Go through the steps from `first` up to `end`, forth in the direction's own order.
//   n_steps, starts   all steps: the first row of each, and the number of rows (n_steps + 1)
//   packed   by gru_pack, for the way forth
//   bias     (4, H) of a_n, r, z and what n reads of the input
//   gates    (rows, 4, H): r, z and n as the weights of the input alone give them; becomes the gates
//   states   (N + rows + N) rows of H, `stride` apart
TSMTL_EXPORT void gru_read(int64_t n_steps, const int64_t* starts, int64_t from_end, int64_t first, int64_t end,
                           int64_t hidden, int64_t stride, const float* packed, const float* bias, float* gates,
                           float* states) {
  const Steps all{n_steps, starts, from_end != 0};
  for (int64_t i = 0; i < end - first; ++i) {
    const int64_t t = from_end ? end - 1 - i : first + i;
    all.parts(t, [&](int64_t rows, int64_t row, int64_t before) {
      float *own = gates + (starts[t] + row) * 4 * hidden, *after = states + (all.states(t) + row) * stride;
      const float* weights = packed;
      for (int64_t unit = 0; unit < hidden; unit += LANES, weights += hidden * 3 * LANES) {
        int64_t lanes = hidden - unit < LANES ? hidden - unit : LANES;
        for_rows(rows, Read{hidden, stride, unit, lanes, weights, bias, states + before * stride, own, after});
      }
    });
  }
}

// Go back through the steps from `first` up to `end`; what is not said is as with gru_read.
//   packed    by gru_pack, for the way back
//   gates, states   as gru_read left them
//   d_states  like states: gradients by what comes after; those of the states before are added to here
//   d_gates   (rows of these steps, 4, H) is written: gradients of a_n, r, z and of what n reads of the input
TSMTL_EXPORT void gru_go_back(int64_t n_steps, const int64_t* starts, int64_t from_end, int64_t first, int64_t end,
                              int64_t hidden, int64_t stride, const float* packed, const float* gates,
                              const float* states, float* d_states, float* d_gates) {
  const Steps all{n_steps, starts, from_end != 0};
  for (int64_t i = 0; i < end - first; ++i) {
    const int64_t t = from_end ? first + i : end - 1 - i;
    all.parts(t, [&](int64_t rows, int64_t row, int64_t before) {
      const float *own = gates + (starts[t] + row) * 4 * hidden, *h = states + before * stride;
      const float* d_after = d_states + (all.states(t) + row) * stride;
      float *d_own = d_gates + (starts[t] - starts[first] + row) * 4 * hidden, *d_before = d_states + before * stride;
      for (int64_t j = 0; j < rows; ++j)
        differentiate(hidden, own + j * 4 * hidden, h + j * stride, d_after + j * stride, d_own + j * 4 * hidden,
                      d_before + j * stride);
      const float* weights = packed;
      for (int64_t unit = 0; unit < hidden; unit += PAIR * LANES, weights += 3 * hidden * PAIR * LANES)
        for_rows(rows, GoBack{hidden, stride, unit, weights, d_own, d_before});
    });
  }
}
