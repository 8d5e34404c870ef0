// Threads of the pool that torch has.
#pragma once
#include <algorithm>
#include <cstdint>

// Of the OpenMP that torch has loaded, where it is GNU's or takes its calls; elsewhere one thread does all.
extern "C" {
__attribute__((weak)) void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned);
__attribute__((weak)) int omp_get_thread_num();
__attribute__((weak)) int omp_get_num_threads();
}

// Share the numbers below count among threads, each a run of neighbours.
template <typename Body>
void in_parallel(int threads, int64_t count, Body body) {
  struct Work {
    Body& body;
    int64_t count;
  } work{body, count};
  auto part = [](void* given) {
    Work& own = *static_cast<Work*>(given);
    const int64_t which = omp_get_thread_num(), of = omp_get_num_threads();
    for (int64_t i = own.count * which / of; i < own.count * (which + 1) / of; i++) own.body(i);
  };
  if (threads > 1 && count > 1 && GOMP_parallel && omp_get_thread_num && omp_get_num_threads)
    GOMP_parallel(part, &work, unsigned(std::min<int64_t>(threads, count)), 0);
  else
    for (int64_t i = 0; i < count; i++) body(i);
}
