// The hold model (Jones, An empirical comparison of priority-queue and event-set implementations,
// 1986): every event that happens schedules one more, so that the number pending stays.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "penstock/core/random.h"
#include "penstock/sim/event_queue.h"

#ifdef PENSTOCK_SIMGRID
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>
#endif

namespace penstock::sim {
namespace {

struct Finish {
  std::int32_t job = 0;
  std::uint32_t version = 0;
};

// Gaps between an event and the one that it schedules, of mean 1 s, drawn beforehand.
class Gaps {
 public:
  Gaps() : ns_(std::size_t{1} << 16) {
    core::RandomStream random(1, "gaps");
    for (std::int64_t& ns : ns_) ns = std::llround(-1e9 * std::log1p(-random.uniform()));
  }
  std::int64_t next() { return ns_[at_++ & (ns_.size() - 1)]; }

 private:
  std::vector<std::int64_t> ns_;
  std::size_t at_ = 0;
};

void events_of_penstock(benchmark::State& state) {
  Gaps gaps;
  EventQueue<Finish> events;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    events.schedule({gaps.next()}, {std::int32_t(i), 0});
  }
  for (auto _ : state) {
    const Finish finish = events.pop();
    events.schedule(events.now() + Time{gaps.next()}, {finish.job, finish.version + 1});
  }
  benchmark::DoNotOptimize(events.now());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(events_of_penstock)->RangeMultiplier(10)->Range(100, 100'000);

#ifdef PENSTOCK_SIMGRID
simgrid::s4u::Engine& engine() {
  static simgrid::s4u::Engine* const one = [] {
    int count = 1;
    static char name[] = "bench_sim";
    static char* arguments[] = {name, nullptr};
    auto* made = new simgrid::s4u::Engine(&count, arguments);  // which lives as long as the program
    simgrid::s4u::Engine::set_config("contexts/stack-size:32");
    auto* zone = simgrid::s4u::create_full_zone("zone");
    zone->create_host("host", 1e9);
    zone->seal();
    return made;
  }();
  return *one;
}

// As many actors as events are to be pending; each sleeps, wakes and sleeps again.
void sleeps_of_simgrid(benchmark::State& state) {
  constexpr std::int64_t kSleeps = 200'000;
  simgrid::s4u::Engine& simulation = engine();
  simgrid::s4u::Host* const host = simulation.host_by_name("host");
  Gaps gaps;
  for (auto _ : state) {
    const std::int64_t each = kSleeps / state.range(0);
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      simgrid::s4u::Actor::create("sleeper", host, [&gaps, each] {
        for (std::int64_t k = 0; k < each; ++k) {
          simgrid::s4u::this_actor::sleep_for(double(gaps.next()) / 1e9);
        }
      });
    }
    simulation.run();
  }
  state.SetItemsProcessed(state.iterations() * kSleeps);
}
BENCHMARK(sleeps_of_simgrid)->Arg(100)->Arg(1000)->Arg(10'000)->Iterations(3);

// Its bare timers, which no actor waits for: each sets the next.
struct Chain {
  Gaps* gaps;
  std::int64_t* left;
  void operator()() const {
    if (--*left <= 0) return;
    const double at = simgrid::s4u::Engine::get_clock() + double(gaps->next()) / 1e9;
    simgrid::kernel::timer::Timer::set(at, Chain{*this});
  }
};

void timers_of_simgrid(benchmark::State& state) {
  constexpr std::int64_t kTimers = 1'000'000;
  simgrid::s4u::Engine& simulation = engine();
  Gaps gaps;
  for (auto _ : state) {
    std::int64_t left = kTimers;
    const double now = simgrid::s4u::Engine::get_clock();
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      simgrid::kernel::timer::Timer::set(now + double(gaps.next()) / 1e9, Chain{&gaps, &left});
    }
    simgrid::s4u::Actor::create("clock", simulation.host_by_name("host"), [&left] {
      while (left > 0) simgrid::s4u::this_actor::sleep_for(1000);
    });
    simulation.run();
  }
  state.SetItemsProcessed(state.iterations() * kTimers);
}
BENCHMARK(timers_of_simgrid)->RangeMultiplier(10)->Range(100, 100'000)->Iterations(1);
#endif

}  // namespace
}  // namespace penstock::sim
