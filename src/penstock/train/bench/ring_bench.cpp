// Sums over processes: bus bandwidth as nccl-tests define it, 2(n-1)/n of the bytes over the time,
// over loopback, over emulated nodes (root only), and over links that the ring limits itself.
// Gloo's ring on the same bytes beside it, where its library was found.
//
//   bench_train --benchmark_filter=Loopback
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/train/network.h"
#include "penstock/train/ring.h"
#ifdef PENSTOCK_HAS_GLOO
#include <gloo/allreduce.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>
#endif

namespace {

using namespace penstock;
using namespace penstock::train;

constexpr int kWarmup = 3;

// A sum in place, or false.
using Sum = std::function<bool(std::vector<float>&)>;
// Joins the others as a rank; empty on failure.
using Join = std::function<Sum(int rank)>;

struct Folder {
  std::string path = std::filesystem::temp_directory_path() / "ring-bench-XXXXXX";
  Folder() {
    if (::mkdtemp(path.data()) == nullptr) path.clear();
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

// Processor time of this process and of its ended children.
double processor_s() {
  double total = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      total += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    }
  }
  return total;
}

// This process is rank 0; the other ranks are its children, which do as many sums as it does.
void time_sums(benchmark::State& state, int world, const Join& join) {
  const auto count = static_cast<std::size_t>(state.range(0)) / sizeof(float);
  const double before_s = processor_s();
  std::vector<pid_t> children;
  for (int rank = 1; rank < world; ++rank) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const Sum sum = join(rank);
      std::vector<float> values(count);
      bool good = sum != nullptr;
      for (std::int64_t i = 0; good && i < kWarmup + state.max_iterations; ++i) good = sum(values);
      ::_exit(0);
    }
    children.push_back(pid);
  }
  const Sum sum = join(0);
  std::vector<float> values(count);
  bool good = sum != nullptr;
  for (int i = 0; good && i < kWarmup; ++i) good = sum(values);
  for (auto _ : state) good = good && sum(values);
  if (!good) state.SkipWithError("the ranks did not meet, or lost each other");
  for (const pid_t pid : children) ::waitpid(pid, nullptr, 0);
  state.counters["cpu_s"] =
      (processor_s() - before_s) / static_cast<double>(kWarmup + state.iterations());
  const double bus_bytes = 2.0 * (world - 1) / world * static_cast<double>(state.range(0));
  state.counters["busbw_bytes_per_s"] =
      benchmark::Counter(bus_bytes * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

Sum ring_sum(const RingOptions& options) {
  Result<std::unique_ptr<Collective>> connected = connect_ring(options);
  if (!connected) return nullptr;
  const std::shared_ptr<Collective> ring = *std::move(connected);
  return [ring](std::vector<float>& values) {
    return ring->wait(ring->start_sum(values.data(), values.size())).has_value();
  };
}

void ring_over(benchmark::State& state, int world, const LinkLimit& limit) {
  const Folder folder;
  time_sums(state, world, [&](int rank) {
    RingOptions options;
    options.rank = rank;
    options.world = world;
    options.rendezvous = folder.path + "/meet";
    options.limit = limit;
    return ring_sum(options);
  });
  if (limit.rate.value() > 0) {
    const double predicted_s =
        2.0 * (world - 1) *
        (limit.delay.value() + static_cast<double>(state.range(0)) / world / limit.rate.value());
    state.counters["predicted_s"] = predicted_s;
  }
}

void RingLoopback(benchmark::State& state) {
  ring_over(state, static_cast<int>(state.range(1)), {});
}

// range(1) is the link's rate in Mbit/s, its delay 50 us.
void RingLimited(benchmark::State& state) {
  const Bandwidth rate(static_cast<double>(state.range(1)) * 1e6 / 8);
  ring_over(state, 2, {rate, Seconds(50e-6)});
}

// Enters a node's network namespace for as long as it lives.
class InNode {
 public:
  explicit InNode(const std::string& network_namespace)
      : own_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const int other = ::open(("/run/netns/" + network_namespace).c_str(), O_RDONLY | O_CLOEXEC);
    if (::setns(other, CLONE_NEWNET) != 0) ::perror("setns");
    ::close(other);
  }
  InNode(const InNode&) = delete;
  ~InNode() {
    if (::setns(own_, CLONE_NEWNET) != 0) ::perror("setns");
    ::close(own_);
  }

 private:
  int own_;
};

// range(1) is the links' rate in Mbit/s, 0 for no limit.
void RingNodes(benchmark::State& state) {
  const Bandwidth rate(static_cast<double>(state.range(1)) * 1e6 / 8);
  const Result<NodeNetwork> network = NodeNetwork::create(2, rate);
  if (!network) {
    state.SkipWithError(network.error().text().c_str());
    return;
  }
  const Folder folder;
  time_sums(state, 2, [&](int rank) {
    const Node& node = network->nodes()[static_cast<std::size_t>(rank)];
    const InNode inside(node.network_namespace);
    RingOptions options;
    options.rank = rank;
    options.world = 2;
    options.rendezvous = folder.path + "/meet";
    options.interface = node.interface;
    return ring_sum(options);
  });
}

#ifdef PENSTOCK_HAS_GLOO
void GlooLoopback(benchmark::State& state) {
  const Folder folder;
  const int world = static_cast<int>(state.range(1));
  time_sums(state, world, [&](int rank) -> Sum {
    auto device = gloo::transport::tcp::CreateDevice("127.0.0.1");
    auto store = std::make_shared<gloo::rendezvous::FileStore>(folder.path);
    auto context = std::make_shared<gloo::rendezvous::Context>(rank, world);
    context->connectFullMesh(*store, device);
    return [context](std::vector<float>& values) {
      gloo::AllreduceOptions options(context);
      options.setOutput(values.data(), values.size());
      options.setReduceFunction([](void* to, const void* a, const void* b, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
          static_cast<float*>(to)[i] =
              static_cast<const float*>(a)[i] + static_cast<const float*>(b)[i];
        }
      });
      gloo::allreduce(options);
      return true;
    };
  });
}
#endif

void loopback_sizes(benchmark::internal::Benchmark* b) {
  for (const int world : {2, 4}) {
    b->Args({4 << 10, world})->Args({1 << 20, world})->Args({64 << 20, world});
  }
  b->ArgNames({"bytes", "ranks"})->UseRealTime()->Unit(benchmark::kMicrosecond)->Iterations(20);
}

void link_sizes(benchmark::internal::Benchmark* b) {
  for (const int rate : {1000, 10000}) {
    b->Args({4 << 10, rate})->Args({1 << 20, rate})->Args({16 << 20, rate});
  }
  b->ArgNames({"bytes", "mbit_per_s"})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond)
      ->Iterations(20);
}

BENCHMARK(RingLoopback)->Apply(loopback_sizes);
#ifdef PENSTOCK_HAS_GLOO
BENCHMARK(GlooLoopback)->Apply(loopback_sizes);
#endif
BENCHMARK(RingLimited)->Apply(link_sizes);
BENCHMARK(RingNodes)->Apply(link_sizes);

}  // namespace
